"""``flaskmail account``: who can sign in and has mail here."""

from __future__ import annotations

import sys
from typing import Any

import click

from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.passwords import make_password, prepare
from flaskmail.accounts.principals import Principal
from flaskmail.cli.common import as_json, octets, opened, write_fields, write_json, write_table
from flaskmail.config.kinds import parse_size
from flaskmail.server import Server

password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from one line of standard input instead of making one."
)


@click.group(short_help="Make, show, change and delete accounts.")
def account() -> None:
    """Accounts: who can sign in and has mail here. Everything works at once in a running server."""


DEFAULT = -1
"""Stands for "as the settings say" where a size is typed."""


class Size(click.ParamType[int]):
    """Octets, with a unit if wanted: 500 MB, 10GiB; DEFAULT for "default"."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The octets; a usage error when it is no size."""
        if isinstance(value, int):
            return value
        if value == "default":
            return DEFAULT
        try:
            return parse_size(int(value) if value.isdigit() else value)
        except ValueError:
            self.fail(f"{value!r} is not a size such as 500MB or 10GB", param, ctx)


def _password(from_stdin: bool) -> tuple[str, bool]:
    if not from_stdin:
        return make_password(), True
    if sys.stdin is None:
        raise BadPassword("standard input is closed: there is no password to read")
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        prepare(typed)
        return typed, False
    octets_read = sys.stdin.buffer.readline(4096)
    try:
        text = octets_read.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise BadPassword("the password is not text in UTF-8") from None
    prepare(text)
    return text, False


def _wire(server: Server, principal: Principal) -> dict[str, Any]:
    return {
        "id": principal.id,
        "name": principal.name,
        "description": principal.description,
        "admin": principal.admin,
        "disabled": principal.disabled,
        "quota": server.settings.account.quota if principal.quota is None else principal.quota,
        "created": principal.created,
    }


@account.command()
@click.argument("name")
@password_stdin
@click.option("--description", default="", help="A note, or the person's name.")
@click.option("--quota", type=Size(), help="Octets that it may hold, such as 10GB. Default: the setting account.quota.")
@as_json
def create(name: str, password_stdin: bool, description: str, quota: int | None, machine: bool) -> None:
    """Make the account NAME, an address. Its domain is made too when it is missing.

    Without --password-stdin a password is made and shown once.
    """
    with opened() as server:
        password, made = _password(password_stdin)
        new = server.create_account(name, password, description=description, quota=None if quota == DEFAULT else quota)
        if machine:
            told = _wire(server, new.principal) | {"domainCreated": new.domain}
            write_json(told | ({"password": password} if made else {}))
            return
        if new.domain is not None:
            click.echo(f"Made the domain {new.domain}.")
        click.echo(f"Made the account {new.principal.name} ({new.principal.id}).")
        if not new.principal.admin:
            click.echo(f"To bring mail in: flaskmail import PATH... --account {new.principal.name}")
        if made:
            click.echo(f"Its password, which is not shown again: {password}")


@account.command(name="list")
@as_json
def list_(machine: bool) -> None:
    """List all accounts."""
    with opened() as server:
        found = server.directory.principals.all()
        if machine:
            write_json([_wire(server, principal) for principal in found])
            return
        write_table(
            ("NAME", "ID", "STATE", "DESCRIPTION"),
            [(p.name, p.id, "disabled" if p.disabled else "enabled", p.description) for p in found],
        )


@account.command()
@click.argument("name")
@as_json
def show(name: str, machine: bool) -> None:
    """Show the account NAME: its id, quota and use."""
    with opened() as server:
        principal = server.directory.principals.get(name)
        used = None
        if not principal.admin:
            with server.store.read(principal.id) as reader:
                used = reader.used()
        tokens = server.directory.tokens.all(principal)
        if machine:
            write_json(_wire(server, principal) | {"used": used, "tokens": len(tokens)})
            return
        told = _wire(server, principal)
        told["quota"] = "no mailbox" if principal.admin else octets(told["quota"])
        told["used"] = "no mailbox" if used is None else octets(used)
        write_fields(told | {"tokens": len(tokens)})


@account.command(name="set-password", short_help="Give the account NAME another password.")
@click.argument("name")
@password_stdin
@as_json
def set_password(name: str, password_stdin: bool, machine: bool) -> None:
    """Give the account NAME another password. The old one ends at once; tokens stay.

    Without --password-stdin a password is made and shown once.
    """
    with opened() as server:
        # A wrong name is said before anybody types a password.
        principal = server.directory.principals.get(name)
        password, made = _password(password_stdin)
        server.directory.principals.set_password(principal.name, server.directory.passwords.hash(password))
        if machine:
            write_json(_wire(server, principal) | ({"password": password} if made else {}))
            return
        click.echo(f"Changed the password of {principal.name}.")
        if made:
            click.echo(f"Its password, which is not shown again: {password}")


@account.command(name="set-quota", short_help="Say how much the account NAME may hold.")
@click.argument("name")
@click.argument("size", type=Size())
@as_json
def set_quota(name: str, size: int, machine: bool) -> None:
    """Let the account NAME hold SIZE octets, such as 10GB; "default" for the setting account.quota."""
    with opened() as server:
        principal = server.directory.principals.set_quota(name, None if size == DEFAULT else size)
        told = _wire(server, principal)
        if machine:
            write_json(told)
        else:
            click.echo(f"The quota of {principal.name} is {octets(told['quota'])}.")


@account.command()
@click.argument("name")
@as_json
def disable(name: str, machine: bool) -> None:
    """Keep the owner of the account NAME out, at once. Nothing is deleted."""
    _switch(name, True, machine)


@account.command()
@click.argument("name")
@as_json
def enable(name: str, machine: bool) -> None:
    """Let the owner of the account NAME in again."""
    _switch(name, False, machine)


def _switch(name: str, disabled: bool, machine: bool) -> None:
    with opened() as server:
        principal = server.directory.principals.set_disabled(name, disabled)
        if machine:
            write_json(_wire(server, principal))
        else:
            click.echo(f"{'Disabled' if disabled else 'Enabled'} the account {principal.name}.")


@account.command(short_help="Delete the account NAME with all its mail.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask. Nobody is asked either where standard input is no terminal.")
@as_json
def delete(name: str, yes: bool, machine: bool) -> None:
    """Delete the account NAME with all its mail, at once and for good."""
    with opened() as server:
        if not yes and sys.stdin is not None and sys.stdin.isatty():
            wanted = server.directory.principals.get(name)
            click.confirm(f"Delete {wanted.name} and all its mail for good?", abort=True, err=True)
        principal = server.delete_account(name)
        if machine:
            write_json(_wire(server, principal))
        else:
            click.echo(f"Deleted the account {principal.name} and its mail.")
