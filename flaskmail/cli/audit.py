"""``flaskmail audit``: who changed what, from where, and how it ended."""

from __future__ import annotations

import json

import click

from flaskmail.cli.common import as_json, write_json, write_table
from flaskmail.cli.manager import operations


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
                "" if one["change"] is None else json.dumps(one["change"], ensure_ascii=False)[:60],
            )
            for one in found["items"]
        ]
        write_table(head, rows)
        if found["total"] > len(rows):
            click.echo(f"{found['total'] - len(rows)} older ones; --limit shows more.", err=True)
