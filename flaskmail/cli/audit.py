"""``flaskmail audit``: who changed what, from where, and how it ended."""

from __future__ import annotations

import json
from typing import Any

import click

from flaskmail.cli.common import as_json, write_json, write_table
from flaskmail.cli.manager import operations

_WIDEST = 60
"""Characters of a change in the table; ``--json`` has it whole."""


@click.command(short_help="Show who changed what, newest first.")
@click.argument("text", default="")
@click.option("--actor", help="Only what NAME did.", metavar="NAME")
@click.option("--operation", help="Only this operation, such as principal.create.", metavar="ID")
@click.option("--since", help="From this date and time on, such as 2026-01-31T12:00:00Z.", metavar="DATE")
@click.option("--before", help="Before this date and time.", metavar="DATE")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="So many at most.")
@as_json
def audit(
    text: str,
    actor: str | None,
    operation: str | None,
    since: str | None,
    before: str | None,
    limit: int,
    machine: bool,
) -> None:
    """Show who changed what, newest first; with TEXT only changes that it stands in.

    RESULT is the status of the answer: 2xx for what was done, 4xx for what was refused; none for what was cut short.
    """
    with operations() as manager:
        asked = {"filter": text, "actor": actor, "operation": operation, "since": since, "before": before}
        found = manager.call("GET", "/audit", limit=limit, **asked)
        if machine:
            write_json(found["items"])
            return
        head = ("WHEN", "WHO", "WITH", "FROM", "OPERATION", "OF", "RESULT", "CHANGE")
        rows = [
            (
                one["at"],
                one["actor"],
                one["via"].partition(" ")[0],
                one["address"],
                one["operation"],
                one["object"],
                one["status"],
                _told(one["change"]),
            )
            for one in found["items"]
        ]
        write_table(head, rows)
        if found["total"] > len(rows):
            click.echo(f"{found['total'] - len(rows)} older ones; --limit shows more.", err=True)


def _told(change: Any) -> str:
    """The beginning of what was changed; of members that are set, whose name comes first."""
    if change is None:
        return ""
    if isinstance(change, dict):
        told = {name: value for name, value in change.items() if value not in (None, "", [], False)}
        change = {name: told[name] for name in sorted(told, key=lambda name: name not in ("type", "name"))}
    return json.dumps(change, ensure_ascii=False)[:_WIDEST]
