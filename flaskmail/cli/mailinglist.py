"""``flaskmail list``: mailing lists."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json
from flaskmail.cli.manager import operations
from flaskmail.cli.principals import Kind, add_changes, add_delete, add_items, add_list, add_show, count, make, tell

KIND = Kind("list", ("NAME", "ID", "MEMBERS", "ELSEWHERE", "DESCRIPTION"))


@click.group(cls=Group, name="list", short_help="Mailing lists.")
def list_() -> None:
    """Mailing lists: mail for the list goes to everybody on it."""


@list_.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@click.option("--member", "members", multiple=True, help="An account, a group or a list; may be repeated.")
@click.option("--external", "external", multiple=True, help="An address elsewhere; may be repeated.")
@as_json
def create(name: str, description: str, members: tuple[str, ...], external: tuple[str, ...], machine: bool) -> None:
    """Make the mailing list NAME, an address in a domain that is there.

    Example: flaskmail list create news@example.org --member sales@example.org --external bob@example.net
    """
    body = {
        "type": "list",
        "name": name,
        "description": description,
        "members": members,
        "externalMembers": external,
    }
    with operations() as manager:
        made = make(manager, body)
        members_ = count(len(made["members"]) + len(made["externalMembers"]), "member")
        tell(made, f"Made the mailing list {made['name']} with {members_}.", machine)


add_list(list_, KIND)
add_show(list_, KIND)
add_changes(list_, KIND)
add_items(
    list_,
    KIND,
    "member",
    "members",
    "Put each MEMBER, an account, a group or a list of this server, on the list NAME.",
    "news@example.org jane@example.org",
)
add_items(
    list_,
    KIND,
    "external",
    "externalMembers",
    "Put each EXTERNAL, an address elsewhere, on the list NAME.",
    "news@example.org bob@example.net",
)
add_items(
    list_, KIND, "address", "emails", "Give the list NAME each ADDRESS, too.", "news@example.org letter@example.org"
)
add_delete(list_, KIND, "Delete the mailing list NAME. Its members stay.")
