"""``flaskmail reindex``: makes search indexes anew."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.working import at_url, named_accounts, noted, only_name, progress, run_job
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
    done = (_at_url if at_url() else _on_store)(names, missing, fresh, machine)
    if machine:
        write_json(done)
    else:
        for failed in done["failed"]:
            click.echo(f"{failed['account']}: {failed['reason']}", err=True)
        for problem in done["problems"]:
            click.echo(problem, err=True)
        for lost in done["lost"]:
            click.echo(f"{lost['type']} {lost['id']}: what it held cannot be told any more", err=True)
        accounts = done["accounts"]
        click.echo(f"Indexed {done['records']:,} records of {accounts} account{'s' * (accounts != 1)}.")
    if done["failed"] or done["lost"] or done["problems"]:
        raise SystemExit(REFUSED)


def _on_store(names: tuple[str, ...], missing: bool, fresh: bool, machine: bool) -> dict[str, Any]:
    with opened() as server:
        wanted = named_accounts(server, names) if names else stored_accounts(server.store, server.directory)
        types = server.types.values()
        with (
            noted(server, "store.reindex", "/store/reindex", accounts=list(names), missing=missing, fresh=fresh),
            progress("Indexing", hidden=machine) as tell,
        ):
            done, failed = reindex_all(server.store, types, wanted, missing=missing, fresh=fresh, tell=tell)
    return {
        "accounts": len(wanted),
        "records": done.records,
        "lost": [{"type": kind, "id": id} for kind, id in done.lost],
        "failed": [{"account": name, "reason": reason} for name, reason in failed],
        "problems": done.problems,
    }


def _at_url(names: tuple[str, ...], missing: bool, fresh: bool, machine: bool) -> dict[str, Any]:
    name = only_name(names)
    path, parts = ("/store/reindex", ()) if name is None else ("/store/reindex/{account}", (name,))
    with operations() as manager:
        return run_job(manager, "Indexing", path, *parts, hidden=machine, missing=missing, fresh=fresh)
