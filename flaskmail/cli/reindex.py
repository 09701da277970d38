"""``flaskmail reindex``: makes search indexes anew."""

from __future__ import annotations

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.cli.working import named_accounts, progress
from flaskmail.upkeep import reindex_all
from flaskmail.upkeep.checking import stored_accounts


@click.command(short_help="Make search indexes anew.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--missing", is_flag=True, help="Only what the index has nothing of.")
@click.option("--fresh", is_flag=True, help="Empty the index first: for one that is damaged.")
@as_json
def reindex(names: tuple[str, ...], missing: bool, fresh: bool, machine: bool) -> None:
    """Make the search index of the accounts NAME... anew from their messages, or that of all.

    The server may be running: clients see no change, and search goes on; with --fresh it finds less until the end. What is
    interrupted can be begun again, with --missing where it was.
    """
    if missing and fresh:
        raise click.UsageError(
            "An index that is emptied first misses everything: --missing and --fresh do not go together."
        )
    with opened() as server:
        wanted = named_accounts(server, names) if names else stored_accounts(server.store, server.directory)
        with progress("Indexing", hidden=machine) as tell:
            done, failed = reindex_all(
                server.store, server.types.values(), wanted, missing=missing, fresh=fresh, tell=tell
            )
    if machine:
        write_json(
            {
                "accounts": len(wanted),
                "records": done.records,
                "lost": [{"type": kind, "id": id} for kind, id in done.lost],
                "failed": [{"account": name, "reason": reason} for name, reason in failed],
                "problems": done.problems,
            }
        )
    else:
        for name, reason in failed:
            click.echo(f"{name}: {reason}", err=True)
        for problem in done.problems:
            click.echo(problem, err=True)
        for kind, id in done.lost:
            click.echo(f"{kind} {id}: what it held cannot be told any more", err=True)
        click.echo(f"Indexed {done.records:,} records of {len(wanted)} account{'s' * (len(wanted) != 1)}.")
    if failed or done.lost or done.problems:
        raise SystemExit(REFUSED)
