"""``flaskmail logs``: what the server has to say."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from flaskmail.cli.common import as_json, write_json
from flaskmail.cli.manager import Operations, Refused, operations

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
_BUSY = 503


@click.command(short_help="Search the log, or follow it.")
@click.argument("text", default="")
@click.option(
    "--level", type=click.Choice(LEVELS, case_sensitive=False), default="TRACE", help="The least urgent level."
)
@click.option(
    "--event",
    metavar="ID",
    default="",
    help="Only this event, such as authentication.failed, or those that begin with it.",
)
@click.option("--since", metavar="DATE", help="From this date and time on, such as 2026-01-31T12:00:00Z.")
@click.option("--before", metavar="DATE", help="Before this date and time.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="So many at most.")
@click.option("-f", "--follow", is_flag=True, help="Show what is written from now on, until Ctrl-C.")
@as_json
def logs(
    text: str,
    level: str,
    event: str,
    since: str | None,
    before: str | None,
    limit: int,
    follow: bool,
    machine: bool,
) -> None:
    """Show the server's log, the newest last; with TEXT what has it in the sentence, the id or the details.

    With --follow and --json each line is one JSON object.

    \b
    flaskmail logs --level warn --since 2026-01-31T00:00:00Z
    flaskmail logs jane@example.org --follow
    """
    asked: dict[str, Any] = {"filter": text, "level": level.upper(), "event_id": event}
    with operations() as manager:
        if follow:
            if since or before:
                raise click.UsageError("--follow shows what comes: --since and --before do not go with it.")
            _follow(manager, asked, machine)
            return
        found = manager.call("GET", "/logs", since=since, before=before, limit=limit, **asked)
        if machine:
            write_json(found["items"])
            return
        for one in reversed(found["items"]):
            _tell(one)
        if found["total"] > len(found["items"]):
            click.echo(f"{found['total'] - len(found['items'])} older ones; --limit shows more.", err=True)
        if not found["complete"]:
            click.echo("Not all of the log was looked through; --before looks further back.", err=True)


def _follow(manager: Operations, asked: dict[str, Any], machine: bool) -> None:
    try:
        while True:
            try:
                with manager.stream("/logs/live", **asked) as pieces:
                    for one in events(pieces):
                        if machine:
                            click.echo(json.dumps(one, ensure_ascii=False))
                        else:
                            _tell(one)
            except Refused as error:
                if error.status != _BUSY:
                    raise
            # The server ends a stream after ten minutes.
            time.sleep(1)
    except KeyboardInterrupt:
        return


def events(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The data of an event stream's events, whose data stands in one line each, as ``flaskmail.logs.tail`` writes them."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def _tell(one: dict[str, Any]) -> None:
    details = f" ({one['details']})" if one["details"] else ""
    line = f"{one['timestamp']} {one['level']:5} {one['event']}{details}"
    click.echo(line if line.isprintable() else ascii(line)[1:-1])
