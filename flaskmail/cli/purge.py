"""``flaskmail purge``: takes away now what would go some time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from flaskmail.cli.common import REFUSED, Group, as_json, opened, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.working import at_url, named_accounts, noted, only_name, progress, run_job
from flaskmail.server import Server
from flaskmail.upkeep import purge_blobs, purge_data, purge_histories, purge_memory
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
    removed = _of_accounts("store.purgeBlobs", "/store/purge/blob", "Sweeping", "blobs", purge_blobs, names, machine)
    _end(removed, f"Removed {removed['blobs']:,} upload{'s' * (removed['blobs'] != 1)}.", machine)


@purge.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@as_json
def account(names: tuple[str, ...], machine: bool) -> None:
    """Forget what accounts need no longer remember of what was destroyed. Without NAME those of all accounts.

    jmap.protocol.changes.max-history says for how many changes they remember it. They forget by themselves, a little whenever
    something is destroyed."""
    path = "/store/purge/account"
    removed = _of_accounts("store.purgeAccounts", path, "Forgetting", "forgotten", purge_histories, names, machine)
    _end(removed, f"Forgot {removed['forgotten']:,} destroyed record{'s' * (removed['forgotten'] != 1)}.", machine)


def _of_accounts(
    operation: str,
    path: str,
    verb: str,
    told_as: str,
    work: Callable[..., tuple[int, list[tuple[str, str]]]],
    names: tuple[str, ...],
    machine: bool,
) -> dict[str, Any]:
    if at_url():
        name = only_name(names)
        with operations() as manager:
            if name is None:
                return run_job(manager, verb, path, hidden=machine)
            return run_job(manager, verb, f"{path}/{{account}}", name, hidden=machine)
    with opened() as server:
        wanted = named_accounts(server, names) if names else stored_accounts(server.store, server.directory)
        with noted(server, operation, path, accounts=list(names)), progress(verb, hidden=machine) as tell:
            removed, failed = work(server.store, wanted, tell=tell)
    told = [{"account": name, "reason": reason} for name, reason in failed]
    return {"accounts": len(wanted), told_as: removed, "failed": told}


def _end(done: dict[str, Any], sentence: str, machine: bool) -> None:
    if machine:
        write_json(done)
    else:
        for one in done["failed"]:
            click.echo(f"{one['account']}: {one['reason']}", err=True)
        click.echo(sentence)
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
