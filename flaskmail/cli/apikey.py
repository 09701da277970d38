"""``flaskmail api-key``: keys with which programs manage the server."""

from __future__ import annotations

import click

from flaskmail.cli.common import Group, as_json, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.principals import (
    Kind,
    add_changes,
    add_delete,
    add_items,
    add_list,
    add_permissions,
    add_show,
    add_switches,
    change,
    make,
    step,
    tell,
)
from flaskmail.cli.values import Expiry, written

KIND = Kind("apiKey", ("NAME", "ID", "DOMAIN", "STATE", "ROLES", "EXPIRES", "LAST USED"))


@click.group(cls=Group, name="api-key", short_help="Keys with which programs manage the server.")
def api_key() -> None:
    """API keys: with one in FLASKMAIL_KEY a program manages the server through its API, as far as the key's roles and permissions
    go. A key has no mail."""


@api_key.command()
@click.argument("name")
@click.option("--description", default="", help="A note.")
@click.option("--role", "roles", multiple=True, help="What it may do, such as domain-admin; may be repeated.")
@click.option("--permission", "permissions", multiple=True, help="What else it may do; may be repeated.")
@click.option("--domain", help="The only domain in which it counts. Default: as far as its permissions reach.")
@click.option("--expires", type=Expiry(), help="When it ends: 12h, 30d, 2027-01-31. Default: never.")
@click.option("--network", "networks", multiple=True, help="From where alone it counts; may be repeated.")
@as_json
def create(
    name: str,
    description: str,
    roles: tuple[str, ...],
    permissions: tuple[str, ...],
    domain: str | None,
    expires: int | None,
    networks: tuple[str, ...],
    machine: bool,
) -> None:
    """Make the API key NAME and show its secret once.

    Example: flaskmail api-key create monitoring --permission metrics-view --network 192.0.2.0/24 --expires 365d
    """
    body = {
        "type": "apiKey",
        "name": name,
        "description": description,
        "roles": roles,
        "enabledPermissions": permissions,
        "domain": domain,
        "expires": written(expires),
        "allowedNetworks": networks,
    }
    with operations() as manager:
        made = make(manager, body)
        if machine:
            write_json(made)
            return
        ends = f", ends {made['expires']}" if made["expires"] else ""
        click.echo(f"Made the API key {made['name']} ({made['id']}){ends}. It is not shown again:")
        click.echo(made["secret"])


@api_key.command(name="set-expiry", short_help="Say when the API key NAME ends.")
@click.argument("name")
@click.argument("when", metavar="WHEN")
@as_json
def set_expiry(name: str, when: str, machine: bool) -> None:
    """Let the API key NAME end at WHEN: 12h, 30d, 2027-01-31, or never."""
    ends = None if when == "never" else Expiry().convert(when, None, None)
    with operations() as manager:
        found = change(manager, name, "apiKey", [step("set", "expires", written(ends))])
        tell(found, f"The API key {found['name']} ends: {found['expires'] or 'never'}.", machine)


add_list(api_key, KIND)
add_show(api_key, KIND)
add_changes(api_key, KIND)
add_switches(api_key, KIND, "Let the API key NAME count no more, at once.", "Let the API key NAME count again.")
add_permissions(api_key, KIND)
add_items(
    api_key,
    KIND,
    "network",
    "allowedNetworks",
    "Let the API key NAME count from each NETWORK; from the first one on it counts from nowhere else.",
    "monitoring 192.0.2.0/24",
)
add_delete(api_key, KIND, "Delete the API key NAME; it ends at once.")
