"""``flaskmail oauth``: the applications that may ask people for access."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.cli.common import as_json, write_fields, write_json, write_table
from flaskmail.cli.manager import operations
from flaskmail.oauth.clients import AUTH_METHODS, CODE, DEVICE, REFRESH
from flaskmail.oauth.keys import ALGORITHMS

PATH = "/oauth/client/{id}"


@click.group(short_help="Register, list and remove OAuth clients.")
def oauth() -> None:
    """The applications that may ask people for access (OAuth clients)."""


@oauth.command()
@click.argument("name")
@click.option("--id", help="The client_id. Default: a random one.")
@click.option(
    "--redirect-uri", "uris", multiple=True, help="Where people are sent back to; may be given several times."
)
@click.option("--device", is_flag=True, help="It may run on devices without a keyboard, which show a code.")
@click.option(
    "--native", is_flag=True, help="It runs on people's own devices: http://127.0.0.1 and com.example.app: are allowed."
)
@click.option(
    "--auth-method",
    type=click.Choice(AUTH_METHODS),
    default="none",
    show_default=True,
    help="How it says who it is: none for one that cannot keep a secret.",
)
@click.option(
    "--scope", "scopes", multiple=True, help="What it may ask for; may be given several times. Default: anything."
)
@click.option("--id-token-alg", type=click.Choice(ALGORITHMS), default="RS256", show_default=True)
@as_json
def create(
    name: str,
    id: str | None,
    uris: tuple[str, ...],
    device: bool,
    native: bool,
    auth_method: str,
    scopes: tuple[str, ...],
    id_token_alg: str,
    machine: bool,
) -> None:
    """Register an application, as NAME is what people are shown."""
    grants = [*([CODE] if uris else []), *([DEVICE] if device or not uris else []), REFRESH]
    wanted: dict[str, Any] = {
        "name": name,
        "redirectUris": list(uris),
        "grantTypes": grants,
        "authMethod": auth_method,
        "native": native,
        "scopes": list(scopes) or None,
        "idTokenAlg": id_token_alg,
    }
    with operations() as manager:
        made = manager.call("POST", "/oauth/client", body=wanted | ({} if id is None else {"id": id}))
        if machine:
            write_json(made)
        else:
            click.echo(f"Registered {name}.")
            _told(made)


@oauth.command(name="list")
@as_json
def list_(machine: bool) -> None:
    """List the applications."""
    with operations() as manager:
        found = manager.every("/oauth/client")
        if machine:
            write_json(found)
        else:
            rows = [
                (one["id"], one["name"], one["authMethod"], "itself" if one["dynamic"] else "-", one["used"] or "never")
                for one in found
            ]
            write_table(("CLIENT ID", "NAME", "AUTH METHOD", "REGISTERED BY", "USED"), rows)


@oauth.command()
@click.argument("id")
@as_json
def show(id: str, machine: bool) -> None:
    """Show the application ID."""
    with operations() as manager:
        found = manager.call("GET", PATH, id)
        if machine:
            write_json(found)
        else:
            write_fields({name: " ".join(one) if isinstance(one, list) else one for name, one in found.items()})


@oauth.command(name="renew-secret")
@click.argument("id")
@as_json
def renew_secret(id: str, machine: bool) -> None:
    """Give the application ID another secret; the old one ends at once."""
    with operations() as manager:
        made = manager.call("PATCH", PATH, id, body={"renewSecret": True})
        if machine:
            write_json(made)
        else:
            _told(made)


@oauth.command()
@click.argument("id")
def delete(id: str) -> None:
    """Remove the application ID, with everything that people allowed it."""
    with operations() as manager:
        manager.call("DELETE", PATH, id)
        click.echo(f"Removed the application {id}.")


def _told(made: dict[str, Any]) -> None:
    write_fields({"client_id": made["client"]["id"], **({"client_secret": made["secret"]} if made["secret"] else {})})
    if made["secret"]:
        click.echo("The secret is not shown again.")
