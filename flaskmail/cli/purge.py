"""``flaskmail purge``: takes away now what would go some time."""

from __future__ import annotations

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.cli.working import named_accounts, progress
from flaskmail.upkeep import purge_blobs, purge_data, purge_memory
from flaskmail.upkeep.checking import stored_accounts


@click.group(short_help="Take away what nobody needs any more.")
def purge() -> None:
    """Take away now what nobody needs any more. The server may be running."""


@purge.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--older-than",
    type=click.IntRange(1),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="How long nothing must have referred to an upload.",
)
@as_json
def blob(names: tuple[str, ...], older_than: int, machine: bool) -> None:
    """Remove uploads that nothing refers to, of the accounts NAME... or of all."""
    with opened() as server:
        wanted = named_accounts(server, names) if names else stored_accounts(server.store, server.directory)
        with progress("Sweeping", hidden=machine) as tell:
            removed, failed = purge_blobs(server.store, wanted, older_than=older_than * 3600, tell=tell)
    if machine:
        write_json({"blobs": removed, "failed": [{"account": name, "reason": reason} for name, reason in failed]})
    else:
        for name, reason in failed:
            click.echo(f"{name}: {reason}", err=True)
        click.echo(f"Removed {removed:,} upload{'s' * (removed != 1)}.")
    if failed:
        raise SystemExit(REFUSED)


@purge.command()
@as_json
def data(machine: bool) -> None:
    """Remove credentials that expired a day ago, and what is left of accounts whose making or removal was cut short."""
    with opened() as server:
        _tell(purge_data(server.store, server.directory), machine)


@purge.command("in-memory")
@as_json
def in_memory(machine: bool) -> None:
    """Remove counts of wrong passwords that hold nobody back any more."""
    with opened() as server:
        _tell(purge_memory(server.directory), machine)


def _tell(removed: dict[str, int], machine: bool) -> None:
    if machine:
        write_json(removed)
        return
    total = sum(removed.values())
    listed = ", ".join(f"{count} {name}" for name, count in removed.items() if count)
    click.echo(f"Removed {listed}." if total else "There was nothing to remove.")
