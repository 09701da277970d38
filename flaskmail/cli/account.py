"""``flaskmail account``: who can sign in and has mail here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from flaskmail.cli.common import Group, as_json, octets, write_fields, write_json, write_table
from flaskmail.cli.domain import a_labels
from flaskmail.cli.manager import Operations, Refused, operations
from flaskmail.cli.principals import (
    PATH,
    Kind,
    add_changes,
    add_items,
    add_permissions,
    add_switches,
    change,
    confirmed,
    find,
    make,
    shown,
    step,
    tell,
)
from flaskmail.cli.values import DEFAULT, Size, password

CREDENTIALS = "/principal/{name}/credentials"

password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from one line of standard input instead of making one."
)

KIND = Kind("individual", ("NAME", "ID", "STATE", "ROLES", "DESCRIPTION"))


@click.group(cls=Group, short_help="Make, show, change and delete accounts.")
def account() -> None:
    """Accounts: who can sign in and has mail here. Everything works at once in a running server.

    NAME is an address or an id. Accounts are the principals of type individual: `flaskmail principal` sets their other fields.
    """


@account.command()
@click.argument("name")
@password_stdin
@click.option("--description", default="", help="A note, or the person's name.")
@click.option("--quota", type=Size(), help="Octets that it may hold, such as 10GB. Default: the setting account.quota.")
@click.option("--address", "addresses", multiple=True, help="A further address; may be repeated.")
@click.option("--role", "roles", multiple=True, help="What it may do; may be repeated. Default: user.")
@as_json
def create(
    name: str,
    password_stdin: bool,
    description: str,
    quota: int | None,
    addresses: tuple[str, ...],
    roles: tuple[str, ...],
    machine: bool,
) -> None:
    """Make the account NAME, an address. Its domain is made too when it is missing.

    Without --password-stdin a password is made and shown once.

    Example: echo 'a long password' | flaskmail account create jane@example.org --password-stdin
    """
    with operations() as manager:
        secret, made = password(password_stdin)
        wanted = {
            "type": "individual",
            "name": name,
            "description": description,
            "quota": quota or None,
            "secrets": [secret],
            "emails": addresses,
            "roles": roles,
        }
        new, domain = _with_domain(manager, wanted)
        if machine:
            write_json(new | {"domainCreated": domain} | ({"password": secret} if made else {}))
            return
        if domain is not None:
            click.echo(f"Made the domain {domain}.")
        click.echo(f"Made the account {new['name']} ({new['id']}).")
        if manager.server is not None:
            click.echo(f"To bring mail in: flaskmail import PATH... --account {new['name']}")
        if made:
            click.echo(f"Its password, which is not shown again: {secret}")


def _with_domain(manager: Operations, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """(the new account, the domain that was made for it)."""
    try:
        return make(manager, wanted), None
    except Refused as error:
        domain = a_labels(str(wanted["name"]).rpartition("@")[2]).lower()
        # Further addresses in domains that are missing stay refused.
        if error.status != 404 or error.problem.get("item") != domain or "member" in error.problem:
            raise
        refused = error
    try:
        manager.call("POST", "/domain", body={"name": domain})
    except Refused as error:
        # Who may make no domains hears that there is none.
        raise (refused if error.status == 403 else error) from None
    try:
        return make(manager, wanted), domain
    except BaseException:
        manager.call("DELETE", "/domain/{name}", domain)
        raise


@account.command(name="list")
@click.argument("text", default="")
@as_json
def list_(text: str, machine: bool) -> None:
    """List all accounts; with TEXT those that have it in a name, an address or the description."""
    with operations() as manager:
        found = manager.every("/principal", types=("individual",), filter=text)
        if machine:
            write_json(found)
        else:
            write_table(KIND.head, [KIND.row(one) for one in found])


@account.command()
@click.argument("name")
@as_json
def show(name: str, machine: bool) -> None:
    """Show the account NAME: its id, addresses, roles, quota and use."""
    with operations() as manager:
        found = find(manager, name, "individual")
        credentials = manager.every(CREDENTIALS, found["id"])
        told = found | {"tokens": sum(one["kind"] == "token" for one in credentials)}
        if machine:
            write_json(told)
            return
        if "usedQuota" in found:
            told |= {"quota": _quota(manager, found), "usedQuota": octets(found["usedQuota"])}
        else:
            told |= {"quota": "no mailbox"}
        write_fields(shown(told) | {"disabled": found["disabled"], "tokens": told["tokens"]})


def _quota(manager: Operations, found: Mapping[str, Any]) -> str:
    if found["quota"]:
        return octets(found["quota"])
    try:
        setting = manager.call("GET", "/settings/keys", keys=("account.quota",)).get("account.quota")
    except Refused:
        return "as the setting account.quota says"
    # The API tells settings as TOML has them: a size may have a unit.
    return f"{octets(int(setting)) if str(setting).isdigit() else setting or octets(None)} (the setting account.quota)"


@account.command(name="set-password", short_help="Give the account NAME another password.")
@click.argument("name")
@password_stdin
@as_json
def set_password(name: str, password_stdin: bool, machine: bool) -> None:
    """Give the account NAME another password. The old one ends at once, and sessions in browsers; tokens stay.

    Without --password-stdin a password is made and shown once.
    """
    with operations() as manager:
        # A wrong name is said before anybody types a password.
        find(manager, name, "individual")
        secret, made = password(password_stdin)
        found = change(manager, name, "individual", [step("set", "secrets", [secret])])
        tell(found | ({"password": secret} if made else {}), f"Changed the password of {found['name']}.", machine)
        if made and not machine:
            click.echo(f"Its password, which is not shown again: {secret}")


@account.command(name="set-quota", short_help="Say how much the account NAME may hold.")
@click.argument("name")
@click.argument("size", type=Size())
@as_json
def set_quota(name: str, size: int, machine: bool) -> None:
    """Let the account NAME hold SIZE octets, such as 10GB; "default" for the setting account.quota."""
    with operations() as manager:
        found = change(manager, name, "individual", [step("set", "quota", None if size == DEFAULT else size)])
        if machine:
            write_json(found)
        else:
            click.echo(f"The quota of {found['name']} is {_quota(manager, found)}.")


add_changes(account, KIND)
add_switches(
    account,
    KIND,
    "Keep the owner of the account NAME out, at once. Nothing is deleted.",
    "Let the owner of the account NAME in again.",
)
add_items(
    account,
    KIND,
    "address",
    "emails",
    "Let mail for each ADDRESS, too, belong to the account NAME.",
    "jane@example.org jane.doe@example.org",
)
add_permissions(account, KIND)


@account.command(short_help="Delete the account NAME with all its mail.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask. Nobody is asked either where standard input is no terminal.")
@as_json
def delete(name: str, yes: bool, machine: bool) -> None:
    """Delete the account NAME with all its mail, at once and for good."""
    with operations() as manager:
        gone = find(manager, name, "individual")
        confirmed(f"Delete {gone['name']} and all its mail for good?", yes)
        manager.call("DELETE", PATH, gone["id"])
        tell(gone, f"Deleted the account {gone['name']} and its mail.", machine)


# ---- what lets in
@account.command(short_help="List what lets in to the account NAME.")
@click.argument("name")
@as_json
def credentials(name: str, machine: bool) -> None:
    """List what lets in to the account NAME beside its password: app passwords, tokens, applications, sessions in browsers."""
    with operations() as manager:
        found = manager.every(CREDENTIALS, find(manager, name, "individual")["id"])
        if machine:
            write_json(found)
            return
        rows = [
            (one["id"], one["kind"], one["name"], one["created"], one["lastUsed"] or "never", one["expires"] or "never")
            for one in found
        ]
        write_table(("ID", "KIND", "NAME", "CREATED", "LAST USED", "EXPIRES"), rows)


@account.command(short_help="End a credential of the account NAME.")
@click.argument("name")
@click.argument("id")
@as_json
def revoke(name: str, id: str, machine: bool) -> None:
    """End the credential ID (see `flaskmail account credentials`) of the account NAME, at once."""
    with operations() as manager:
        found = find(manager, name, "individual")
        manager.call("DELETE", CREDENTIALS + "/{id}", found["id"], id)
        tell({"id": id, "account": found["name"]}, f"Ended {id} of {found['name']}.", machine)


@account.command(name="remove-otp", short_help="Remove the second factor of the account NAME.")
@click.argument("name")
@as_json
def remove_otp(name: str, machine: bool) -> None:
    """Remove the second factor of the account NAME, whose owner has lost it. The password alone lets in then."""
    with operations() as manager:
        found = find(manager, name, "individual")
        manager.call("DELETE", PATH + "/otp", found["id"])
        tell(found, f"{found['name']} signs in with the password alone.", machine)
