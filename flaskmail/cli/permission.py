"""``flaskmail permission``: what can be granted."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json, write_json, write_table
from flaskmail.cli.manager import operations


@click.group(cls=Group, short_help="What can be granted: permissions, roles, scopes.")
def permission() -> None:
    """What can be granted."""


@permission.command(name="list")
@click.argument("text", default="")
@as_json
def list_(text: str, machine: bool) -> None:
    """List permissions, built-in roles and scopes of credentials; with TEXT those that have it in the name or what they allow."""
    with operations() as manager:
        found = manager.call("GET", "/permission")
    wanted = text.lower()
    if wanted:
        for name in ("permissions", "scopes"):
            found[name] = [one for one in found[name] if wanted in f"{one['name']} {one['description']}".lower()]
        found["roles"] = [one for one in found["roles"] if wanted in one["name"] or wanted in one["permissions"]]
    if machine:
        write_json(found)
        return
    rows = [(one["name"], one["description"]) for one in found["permissions"]]
    write_table(("PERMISSION", "ALLOWS TO"), rows)
    click.echo()
    write_table(("ROLE", "PERMISSIONS"), [(one["name"], len(one["permissions"])) for one in found["roles"]])
    click.echo()
    write_table(("SCOPE", "ALLOWS TO"), [(one["name"], one["description"]) for one in found["scopes"]])
