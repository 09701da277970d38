"""``flaskmail domain``: the mail domains that the server knows."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.accounts.domains import Domain
from flaskmail.cli.common import as_json, opened, write_fields, write_json, write_table


@click.group(short_help="Make, list and delete mail domains.")
def domain() -> None:
    """Mail domains. Making an account makes its domain too."""


def _wire(found: Domain) -> dict[str, Any]:
    return {
        "name": found.name,
        "description": found.description,
        "created": found.created,
        "accounts": found.accounts,
    }


@domain.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@as_json
def create(name: str, description: str, machine: bool) -> None:
    """Make the domain NAME."""
    with opened() as server:
        made = server.directory.domains.create(name, description)
        if machine:
            write_json(_wire(made))
        else:
            click.echo(f"Made the domain {made.name}.")


@domain.command(name="list")
@as_json
def list_(machine: bool) -> None:
    """List all domains."""
    with opened() as server:
        found = server.directory.domains.all()
        if machine:
            write_json([_wire(one) for one in found])
        else:
            write_table(("NAME", "ACCOUNTS", "DESCRIPTION"), [(d.name, d.accounts, d.description) for d in found])


@domain.command()
@click.argument("name")
@as_json
def show(name: str, machine: bool) -> None:
    """Show the domain NAME."""
    with opened() as server:
        found = server.directory.domains.get(name)
        if machine:
            write_json(_wire(found))
        else:
            write_fields(_wire(found))


@domain.command()
@click.argument("name")
@as_json
def delete(name: str, machine: bool) -> None:
    """Delete the domain NAME, which has no accounts any more."""
    with opened() as server:
        gone = server.directory.domains.delete(name)
        if machine:
            write_json(_wire(gone))
        else:
            click.echo(f"Deleted the domain {gone.name}.")
