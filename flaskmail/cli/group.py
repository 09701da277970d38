"""``flaskmail group``: groups of people."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json
from flaskmail.cli.manager import operations
from flaskmail.cli.principals import Kind, add_changes, add_delete, add_items, add_list, add_show, count, make, tell

KIND = Kind("group", ("NAME", "ID", "MEMBERS", "DESCRIPTION"))


@click.group(cls=Group, short_help="Groups of people.")
def group() -> None:
    """Groups of people, each with an address."""


@group.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@click.option("--member", "members", multiple=True, help="An account or a group; may be repeated.")
@as_json
def create(name: str, description: str, members: tuple[str, ...], machine: bool) -> None:
    """Make the group NAME, an address in a domain that is there.

    Example: flaskmail group create sales@example.org --member jane@example.org --member john@example.org
    """
    with operations() as manager:
        made = make(manager, {"type": "group", "name": name, "description": description, "members": members})
        tell(made, f"Made the group {made['name']} with {count(len(made['members']), 'member')}.", machine)


add_list(group, KIND)
add_show(group, KIND)
add_changes(group, KIND)
add_items(
    group,
    KIND,
    "member",
    "members",
    "Let each MEMBER, an account or a group, belong to the group NAME.",
    "sales@example.org jane@example.org",
)
add_items(
    group,
    KIND,
    "address",
    "emails",
    "Give the group NAME each ADDRESS, too.",
    "sales@example.org orders@example.org",
)
add_delete(group, KIND, "Delete the group NAME. Its members stay.")
