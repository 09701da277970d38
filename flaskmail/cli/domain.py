"""``flaskmail domain``: the mail domains that the server knows, and their records in the DNS."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json, write_fields, write_json, write_table
from flaskmail.cli.manager import operations

INCOMPLETE = 1
"""Exit code of a check that found a record that is not as it should be, or could not be looked up."""


def a_labels(name: str) -> str:
    """A domain as bodies have it; what is no domain as it is, for the refusal."""
    # Nobody else needs it.
    from flaskmail.values.hostnames import to_ascii

    try:
        return to_ascii(name)
    except ValueError:
        return name


def in_ascii(text: str) -> str:
    """An address as bodies have it, with its domain in A-labels; what is none as it is."""
    local, at, domain = text.rpartition("@")
    return text if not at or domain.isascii() else f"{local}@{a_labels(domain)}"


@click.group(cls=Group, short_help="Mail domains, and their records in the DNS.")
def domain() -> None:
    """Mail domains. Making an account makes its domain too."""


@domain.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@as_json
def create(name: str, description: str, machine: bool) -> None:
    """Make the domain NAME."""
    with operations() as manager:
        made = manager.call("POST", "/domain", body={"name": a_labels(name), "description": description})
        if machine:
            write_json(made)
        else:
            click.echo(f"Made the domain {made['name']}.")


@domain.command(name="list")
@click.argument("text", default="")
@as_json
def list_(text: str, machine: bool) -> None:
    """List all domains; with TEXT those that have it in their name or description."""
    with operations() as manager:
        found = manager.every("/domain", filter=text, details=True)
        if machine:
            write_json(found)
        else:
            rows = [(one["name"], one["accounts"], one["description"]) for one in found]
            write_table(("NAME", "ACCOUNTS", "DESCRIPTION"), rows)


@domain.command()
@click.argument("name")
@as_json
def show(name: str, machine: bool) -> None:
    """Show the domain NAME."""
    with operations() as manager:
        found = manager.call("GET", "/domain/{name}", name)
        if machine:
            write_json(found)
        else:
            write_fields(found)


@domain.command()
@click.argument("name")
@click.argument("description")
@as_json
def describe(name: str, description: str, machine: bool) -> None:
    """Replace the note on the domain NAME by DESCRIPTION."""
    with operations() as manager:
        found = manager.call("PATCH", "/domain/{name}", name, body={"description": description})
        if machine:
            write_json(found)
        else:
            click.echo(f"Changed the domain {found['name']}.")


@domain.command()
@click.argument("name")
@as_json
def delete(name: str, machine: bool) -> None:
    """Delete the domain NAME, which has no accounts any more, and its DKIM keys."""
    with operations() as manager:
        gone = manager.call("GET", "/domain/{name}", name)
        manager.call("DELETE", "/domain/{name}", name)
        if machine:
            write_json(gone)
        else:
            click.echo(f"Deleted the domain {gone['name']}.")


@domain.command()
@click.argument("name")
@click.option("--zone", is_flag=True, help="Write lines for a zone file.")
@as_json
def dns(name: str, zone: bool, machine: bool) -> None:
    """Show the records that the domain NAME should publish in the DNS."""
    with operations() as manager:
        found = manager.call("GET", "/dns/records/{domain}", name)
        if machine:
            write_json(found)
        elif zone:
            with manager.stream("/dns/zone/{domain}", name) as pieces:
                click.echo(b"".join(pieces).decode(), nl=False)
        else:
            write_table(("TYPE", "NAME", "CONTENT"), [(one["type"], one["name"], one["content"]) for one in found])


@domain.command()
@click.argument("name")
@as_json
def check(name: str, machine: bool) -> None:
    """Say of each DNS record of the domain NAME whether it is published.

    The exit code is 1 unless all of them are."""
    with operations() as manager:
        found = manager.call("GET", "/dns/check/{domain}", name)
        if machine:
            write_json(found)
        else:
            for one in found["items"]:
                click.echo(f"{one['status']:9}  {one['type']:5}  {one['name']}")
                if one["status"] in ("missing", "different"):
                    click.echo(f"           expected  {one['content']}")
                for content in one["found"] if one["status"] == "different" else ():
                    # What strangers publish goes to no terminal as it stands.
                    click.echo(f"           found     {content if content.isprintable() else ascii(content)}")
                if one["detail"]:
                    click.echo(f"           {one['detail']}")
        if not found["complete"]:
            raise SystemExit(INCOMPLETE)
