"""``flaskmail token`` and ``flaskmail app-password``: what programs sign in with instead of the password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from flaskmail.cli.common import Group, as_json, write_json, write_table
from flaskmail.cli.domain import in_ascii
from flaskmail.cli.manager import Operations, operations
from flaskmail.cli.values import Expiry, written
from flaskmail.cli.working import named_account, noted

if TYPE_CHECKING:
    from flaskmail.accounts.tokens import Token
    from flaskmail.server import Server

OWN = "/account/credentials"
OF = "/principal/{name}/credentials"


@click.group(cls=Group, short_help="Access tokens, for Bearer authentication.")
def token() -> None:
    """Access tokens: for clients that sign in with a token (Bearer) instead of the password.

    On the store at hand ACCOUNT names whose they are. At a URL everybody makes his own, and without ACCOUNT lists and ends them.
    """


@click.group(cls=Group, name="app-password", short_help="Passwords for one program each.")
def app_password() -> None:
    """App passwords: passwords for one program each, which can be ended alone. They reach mail, and nothing of the management.

    On the store at hand ACCOUNT names whose they are. At a URL everybody makes his own, and without ACCOUNT lists and ends them.
    """


def _wire(found: Token) -> dict[str, Any]:
    return {
        "id": found.id,
        "account": found.account,
        "name": found.name,
        "created": found.created,
        "lastUsed": found.used,
        "expires": found.expires_date(),
        "scopes": None if found.scopes is None else sorted(found.scopes),
    }


def _of(one: Mapping[str, Any], account: str) -> dict[str, Any]:
    """A credential as the API tells it, in the same shape."""
    return {
        "id": one["id"],
        "account": account,
        **{name: one[name] for name in ("name", "created", "lastUsed", "expires", "scopes")},
    }


def _account(manager: Operations, account: str | None) -> tuple[str | None, str]:
    """(the id of the account that was named, None for who asks; its name)."""
    if account is None:
        return None, manager.call("GET", "/whoami")["name"]
    found = manager.call("GET", "/principal/{name}", in_ascii(account))
    return found["id"], found["name"]


def _add(group: click.Group, kind: Any, noun: str, secret: str, example: str) -> None:
    @group.command(short_help=f"Make {noun} and show it once.")
    @click.argument("account", required=False)
    @click.option("--name", default="", help="What it is for.")
    @click.option("--expires", type=Expiry(), help="When it ends: 12h, 30d, 2027-01-31. Default: never.")
    @click.option("--scope", "scopes", multiple=True, help="What it reaches; may be repeated. Default: no limit.")
    @as_json
    def create(account: str | None, name: str, expires: int | None, scopes: tuple[str, ...], machine: bool) -> None:
        with operations() as manager:
            if manager.server is None:
                made, text = _made_at_url(manager, account, name, expires, scopes)
            else:
                if account is None:
                    raise click.UsageError("Missing argument 'ACCOUNT': on the store nobody has signed in.")
                made, text = _made_here(manager.server, account, name, expires, scopes)
            if machine:
                write_json(made | {secret: text})
                return
            ends = f", ends {made['expires']}" if made["expires"] is not None else ""
            click.echo(
                f"Made the {noun.partition(' ')[2]} {made['id']} for {made['account']}{ends}. It is not shown again:"
            )
            click.echo(text)

    def _made_here(
        server: Server, account: str, name: str, expires: int | None, scopes: tuple[str, ...]
    ) -> tuple[dict[str, Any], str]:
        owner = named_account(server, account)
        unknown = set(scopes) - _scopes(server)
        if unknown:
            raise click.UsageError(f"there is no scope {min(unknown)!r}; `flaskmail permission list` shows them")
        limit = frozenset(scopes) or None
        with noted(server, "account.credential.create", f"/principal/{owner.name}/credentials", kind=kind, name=name):
            made, text = server.directory.tokens.create(owner, name, expires, kind=kind, scopes=limit)
        return _wire(made), text

    def _made_at_url(
        manager: Operations, account: str | None, name: str, expires: int | None, scopes: tuple[str, ...]
    ) -> tuple[dict[str, Any], str]:
        me = manager.call("GET", "/whoami")["name"]
        if account is not None and in_ascii(account).lower() != me:
            raise click.UsageError(
                f"You are {me}: at a URL everybody makes his own. On the server it can be made for {account}."
            )
        body = {
            "kind": kind,
            "name": name or kind,
            "scopes": list(scopes) or None,
            "expires": written(expires),
        }
        made = manager.call("POST", OWN, body=body)
        [found] = [one for one in manager.every(OWN) if one["id"] == made["id"]]
        return _of(found, me), made["secret"]

    create.help = f"Make {noun} for ACCOUNT and show it once.\n\nExample: flaskmail {group.name} create {example}"

    @group.command(name="list", short_help=f"List {noun.partition(' ')[2]}s.")
    @click.argument("account", required=False)
    @as_json
    def list_(account: str | None, machine: bool) -> None:
        with operations() as manager:
            if manager.server is not None and account is None:
                found = [_wire(one) for one in manager.server.directory.tokens.all() if one.kind == kind]
            else:
                id, name = _account(manager, account)
                every = manager.every(OWN) if id is None else manager.every(OF, id)
                found = [_of(one, name) for one in every if one["kind"] == kind]
            if machine:
                write_json(found)
                return
            rows = [
                (
                    one["id"],
                    one["account"],
                    one["name"],
                    one["created"],
                    one["lastUsed"] or "never",
                    one["expires"] or "never",
                )
                for one in found
            ]
            write_table(("ID", "ACCOUNT", "NAME", "CREATED", "LAST USED", "EXPIRES"), rows)

    list_.help = f"List the {noun.partition(' ')[2]}s of ACCOUNT; without it all on the store, or your own at a URL."

    @group.command(short_help=f"End {noun}.")
    @click.argument("id")
    @click.argument("account", required=False)
    @as_json
    def revoke(id: str, account: str | None, machine: bool) -> None:
        with operations() as manager:
            if manager.server is not None and account is None:
                account = _owner(manager.server, id)
            owner, name = _account(manager, account)
            if owner is None:
                manager.call("DELETE", OWN + "/{id}", id)
            else:
                manager.call("DELETE", OF + "/{id}", owner, id)
            if machine:
                write_json({"id": id, "account": name})
            else:
                click.echo(f"Revoked {id} of {name}.")

    revoke.help = (
        f"End the {noun.partition(' ')[2]} ID (not the secret itself: see `flaskmail {group.name} list`), at once."
        "\n\nACCOUNT: whose it is, at a URL where it is not your own."
    )


def _scopes(server: Server) -> set[str]:
    from flaskmail.accounts.scopes import SCOPES

    return {*SCOPES, *server.engine.capabilities}


def _owner(server: Server, id: str) -> str:
    """The id of the account that the credential lets in to."""
    from flaskmail.accounts.faults import UnknownName

    found = server.directory.tokens.all()
    for one in found:
        if one.id == id:
            return one.account
    raise UnknownName("token", id, ())


_add(token, "token", "a token", "token", "jane@example.org --name 'backup script' --expires 90d")
_add(app_password, "app-password", "an app password", "password", "jane@example.org --name phone")
