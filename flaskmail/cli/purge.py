"""``flaskmail purge``: takes away now what would go some time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from flaskmail.cli.common import REFUSED, Group, as_json, opened, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.working import at_url, named_accounts, noted, only_name, progress, run_job
from flaskmail.server import Server
from flaskmail.upkeep import purge_blobs, purge_data, purge_memory
from flaskmail.upkeep.checking import stored_accounts

_NAMES = {"throttle": "counts of wrong passwords", "leftovers": "leftovers of accounts"}


@click.group(cls=Group, short_help="Take away what nobody needs any more.")
def purge() -> None:
    """Take away now what nobody needs any more. The server may be running."""


@purge.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@as_json
def blob(names: tuple[str, ...], machine: bool) -> None:
    """Remove uploads that nothing has referred to for a day. Without NAME those of all accounts."""
    if at_url():
        name = only_name(names)
        path, parts = ("/store/purge/blob", ()) if name is None else ("/store/purge/blob/{account}", (name,))
        with operations() as manager:
            done = run_job(manager, "Sweeping", path, *parts, hidden=machine)
    else:
        with opened() as server:
            wanted = named_accounts(server, names) if names else stored_accounts(server.store, server.directory)
            with (
                noted(server, "store.purgeBlobs", "/store/purge/blob", accounts=list(names)),
                progress("Sweeping", hidden=machine) as tell,
            ):
                removed, failed = purge_blobs(server.store, wanted, tell=tell)
        told = [{"account": name, "reason": reason} for name, reason in failed]
        done = {"accounts": len(wanted), "blobs": removed, "failed": told}
    if machine:
        write_json(done)
    else:
        for one in done["failed"]:
            click.echo(f"{one['account']}: {one['reason']}", err=True)
        click.echo(f"Removed {done['blobs']:,} upload{'s' * (done['blobs'] != 1)}.")
    if done["failed"]:
        raise SystemExit(REFUSED)


@purge.command()
@as_json
def data(machine: bool) -> None:
    """Remove credentials that expired a day ago, and what is left of accounts whose making or removal was cut short."""
    _purge("store.purgeData", "/store/purge/data", lambda server: purge_data(server.store, server.directory), machine)


@purge.command("in-memory")
@as_json
def in_memory(machine: bool) -> None:
    """Remove counts of wrong passwords that hold nobody back any more."""
    _purge("store.purgeInMemory", "/store/purge/in-memory", lambda server: purge_memory(server.directory), machine)


def _purge(operation: str, path: str, work: Callable[[Server], dict[str, Any]], machine: bool) -> None:
    if at_url():
        with operations() as manager:
            removed = run_job(manager, "Purging", path, hidden=machine)
    else:
        with opened() as server, noted(server, operation, path):
            removed = work(server)
    if machine:
        write_json(removed)
        return
    listed = ", ".join(f"{count} {_NAMES.get(name, name)}" for name, count in removed.items() if count)
    click.echo(f"Removed {listed}." if listed else "There was nothing to remove.")
