"""``flaskmail role``: permissions under one name."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json
from flaskmail.cli.manager import operations
from flaskmail.cli.principals import (
    Kind,
    add_changes,
    add_delete,
    add_list,
    add_permissions,
    add_show,
    add_switches,
    make,
    tell,
)

KIND = Kind("role", ("NAME", "ID", "DOMAIN", "STATE", "ROLES", "ALLOWS", "DESCRIPTION"))


@click.group(cls=Group, short_help="Roles: permissions under one name.")
def role() -> None:
    """Roles of your own: permissions under one name. `flaskmail permission list` shows the built-in ones, user, domain-admin and
    admin, which cannot be changed."""


@role.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@click.option("--permission", "permissions", multiple=True, help="What it allows; may be repeated.")
@click.option("--role", "roles", multiple=True, help="A role whose permissions it has, too; may be repeated.")
@click.option("--domain", help="The domain to which it belongs. Default: the whole server.")
@as_json
def create(
    name: str,
    description: str,
    permissions: tuple[str, ...],
    roles: tuple[str, ...],
    domain: str | None,
    machine: bool,
) -> None:
    """Make the role NAME.

    Example: flaskmail role create helpdesk --role user --permission individual-list --permission individual-update
    """
    body = {
        "type": "role",
        "name": name,
        "description": description,
        "enabledPermissions": permissions,
        "roles": roles,
        "domain": domain,
    }
    with operations() as manager:
        made = make(manager, body)
        tell(made, f"Made the role {made['name']}.", machine)


add_list(role, KIND)
add_show(role, KIND)
add_changes(role, KIND)
add_switches(
    role, KIND, "Let the role NAME give nothing any more, at once.", "Let the role NAME give its permissions again."
)
add_permissions(role, KIND)
add_delete(role, KIND, "Delete the role NAME, which nobody has any more.")
