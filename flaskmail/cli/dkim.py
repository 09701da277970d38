"""``flaskmail dkim``: the keys with which domains sign their mail."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.accounts.dkim import default_id
from flaskmail.cli.common import Group, as_json, write_fields, write_json, write_table
from flaskmail.cli.domain import a_labels
from flaskmail.cli.manager import Operations, operations


@click.group(cls=Group, short_help="Make, list and delete DKIM keys.")
def dkim() -> None:
    """The keys with which domains sign their mail (DKIM). Private keys are never shown."""


@dkim.command()
@click.argument("domain")
@click.option("--algorithm", type=click.Choice(("rsa", "ed25519")), default="rsa", show_default=True)
@click.option("--id", help="What the key is called. Default: the algorithm and the domain.")
@click.option("--selector", help="Under which its record stands. Default: the year, the month, and r or e.")
@as_json
def create(domain: str, algorithm: Any, id: str | None, selector: str | None, machine: bool) -> None:
    """Make a key for DOMAIN, and show the DNS record to publish."""
    with operations() as manager:
        wanted = {"domain": a_labels(domain), "algorithm": algorithm, "id": id, "selector": selector}
        manager.call("POST", "/dkim", body=wanted)
        name = manager.call("GET", "/domain/{name}", domain)["name"]
        made = _key(manager, id or default_id(algorithm, name), domain=name)
        if machine:
            write_json(made)
        else:
            click.echo(f"Made the DKIM key {made['id']}. Publish this record:")
            _write_record(made)


@dkim.command(name="list")
@click.option("--domain", help="Only the keys of this domain.")
@as_json
def list_(domain: str | None, machine: bool) -> None:
    """List the keys."""
    with operations() as manager:
        found = manager.every("/dkim", domain=domain)
        if machine:
            write_json(found)
        else:
            rows = [(one["id"], one["domain"], one["selector"], one["algorithm"], one["created"]) for one in found]
            write_table(("ID", "DOMAIN", "SELECTOR", "ALGORITHM", "CREATED"), rows)


@dkim.command()
@click.argument("id")
@as_json
def show(id: str, machine: bool) -> None:
    """Show the key ID and its DNS record."""
    with operations() as manager:
        found = _key(manager, id)
        if machine:
            write_json(found)
        else:
            write_fields({name: found[name] for name in ("id", "domain", "selector", "algorithm", "created")})
            _write_record(found)


@dkim.command()
@click.argument("id")
@as_json
def delete(id: str, machine: bool) -> None:
    """Delete the key ID for good; leave its DNS record for some days."""
    with operations() as manager:
        gone = _key(manager, id)
        manager.call("DELETE", "/dkim/{id}", id)
        if machine:
            write_json(gone)
        else:
            click.echo(f"Deleted the DKIM key {id}.")


def _key(manager: Operations, id: str, **query: str) -> dict[str, Any]:
    # One that is not there is refused here.
    manager.call("GET", "/dkim/{id}", id)
    return next(one for one in manager.every("/dkim", filter=id, **query) if one["id"] == id)


def _write_record(key: dict[str, Any]) -> None:
    record = key["record"]
    click.echo(f"{record['name']} {record['type']}\n{record['content']}")
