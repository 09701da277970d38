"""``flaskmail oauth-client`` and ``oauth-key``: applications that may ask people for access, and what signs their ID tokens."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.cli.common import Group, as_json, write_fields, write_json, write_table
from flaskmail.cli.manager import operations
from flaskmail.oauth.clients import AUTH_METHODS, CODE, DEVICE, REFRESH
from flaskmail.oauth.keys import ALGORITHMS

PATH = "/oauth/client/{id}"


@click.group(cls=Group, name="oauth-client", short_help="Applications that may ask people for access.")
def oauth_client() -> None:
    """The applications that may ask people for access (OAuth clients)."""


@oauth_client.command()
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
    """Register an application. NAME is what people are shown when it asks for access.

    Example: flaskmail oauth-client create Webmail --id webmail --redirect-uri https://webmail.example.org/back
    """
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


@oauth_client.command(name="list")
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


@oauth_client.command()
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


@oauth_client.command(name="set")
@click.argument("id")
@click.option("--name", help="What people are shown.")
@click.option("--redirect-uri", "uris", multiple=True, help="All of them, in place of the present ones.")
@click.option("--scope", "scopes", multiple=True, help="What it may ask for, in place of what it may now.")
@click.option("--any-scope", is_flag=True, help="It may ask for anything.")
@click.option("--auth-method", type=click.Choice(AUTH_METHODS), help="How it says who it is.")
@click.option("--native/--not-native", default=None, help="Whether it runs on people's own devices.")
@click.option("--id-token-alg", type=click.Choice(ALGORITHMS))
@as_json
def set_(
    id: str,
    name: str | None,
    uris: tuple[str, ...],
    scopes: tuple[str, ...],
    any_scope: bool,
    auth_method: str | None,
    native: bool | None,
    id_token_alg: str | None,
    machine: bool,
) -> None:
    """Change the application ID; what is not named stays. With another --auth-method it gets a secret, or loses it.

    Example: flaskmail oauth-client set webmail --name 'Our webmail'
    """
    if any_scope and scopes:
        raise click.UsageError("--scope and --any-scope do not go together.")
    wanted: dict[str, Any] = {
        "name": name,
        "redirectUris": list(uris) or None,
        "scopes": list(scopes) or None,
        "authMethod": auth_method,
        "native": native,
        "idTokenAlg": id_token_alg,
    }
    body = {member: value for member, value in wanted.items() if value is not None}
    if any_scope:
        body["scopes"] = None
    if not body:
        raise click.UsageError("Say what to change; --help shows what can be.")
    with operations() as manager:
        made = manager.call("PATCH", PATH, id, body=body)
        if machine:
            write_json(made)
        else:
            click.echo(f"Changed the application {id}.")
            if made["secret"]:
                _told(made)


@oauth_client.command(name="renew-secret")
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


@oauth_client.command()
@click.argument("id")
@as_json
def delete(id: str, machine: bool) -> None:
    """Remove the application ID, with everything that people allowed it."""
    with operations() as manager:
        gone = manager.call("GET", PATH, id)
        manager.call("DELETE", PATH, id)
        if machine:
            write_json(gone)
        else:
            click.echo(f"Removed the application {id}.")


@click.group(cls=Group, name="oauth-key", short_help="The keys that sign ID tokens.")
def oauth_key() -> None:
    """The keys that sign ID tokens (OpenID Connect). They are renewed by their age; nothing has to be done for that."""


@oauth_key.command()
@as_json
def renew(machine: bool) -> None:
    """Replace the keys at once, because one of them may have leaked.

    ID tokens that the old keys signed are worth nothing then. Access and refresh tokens go on.

    Example: flaskmail oauth-key renew
    """
    with operations() as manager:
        made = manager.call("POST", "/oauth/key")
        if machine:
            write_json(made)
        else:
            click.echo("Applications find the new keys at /auth/jwks.json.")
            write_table(["algorithm", "kid"], [[key["algorithm"], key["id"]] for key in made["keys"]])


def _told(made: dict[str, Any]) -> None:
    write_fields({"client_id": made["client"]["id"], **({"client_secret": made["secret"]} if made["secret"] else {})})
    if made["secret"]:
        click.echo("The secret is not shown again.")
