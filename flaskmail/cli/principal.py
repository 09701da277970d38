"""``flaskmail principal``: principals of any type, field by field, as the management API has them."""

from __future__ import annotations

import sys
from typing import Any

import click

from flaskmail.cli.common import Group, as_json, write_fields, write_json, write_table
from flaskmail.cli.domain import a_labels, in_ascii
from flaskmail.cli.manager import Operations, operations
from flaskmail.cli.principals import ABOUT, PATH, confirmed, make, shown, step, tell
from flaskmail.cli.values import Expiry, Size, secret_line, written

LISTS = (
    "emails",
    "urls",
    "memberOf",
    "lists",
    "members",
    "externalMembers",
    "roles",
    "enabledPermissions",
    "disabledPermissions",
    "allowedNetworks",
)
TEXTS = ("name", "description", "quota", "disabled", "expires", "secrets")
"""The fields that can be changed: those that are lists, and those with one value."""

any_type = click.Choice(tuple(ABOUT))


@click.group(cls=Group, short_help="Principals of any type, field by field.")
def principal() -> None:
    """Principals: accounts (individual), groups, mailing lists (list), domains, roles and API keys (apiKey), field by field, as
    the management API has them. `flaskmail account`, `group`, `list`, `domain`, `role` and `api-key` are handier.

    \b
    Fields with one value:  name description quota disabled expires secrets
    Fields with a list:     emails urls memberOf lists members externalMembers roles
                            enabledPermissions disabledPermissions allowedNetworks
    """


@principal.command(name="list")
@click.argument("text", default="")
@click.option("--type", "types", type=any_type, multiple=True, help="Only those; may be repeated.")
@click.option("--count", is_flag=True, help="Only say how many there are.")
@as_json
def list_(text: str, types: tuple[str, ...], count: bool, machine: bool) -> None:
    """List principals; with TEXT those that have it in a name, an address or the description."""
    with operations() as manager:
        if count:
            total = manager.call("GET", "/principal", filter=text, types=types, count=True)["total"]
            tell({"total": total}, str(total), machine)
            return
        found = manager.every("/principal", filter=text, types=types)
        if machine:
            write_json(found)
        else:
            rows = [(one["type"], one["name"], one["id"], one["domain"], one["description"]) for one in found]
            write_table(("TYPE", "NAME", "ID", "DOMAIN", "DESCRIPTION"), rows)


@principal.command()
@click.argument("name")
@as_json
def show(name: str, machine: bool) -> None:
    """Show the principal NAME, a name or an id. What is empty is left out; --json has everything."""
    with operations() as manager:
        found = manager.call("GET", PATH, in_ascii(name))
        if machine:
            write_json(found)
        else:
            write_fields(shown(found))


@principal.command()
@click.argument("type", type=any_type, metavar="TYPE")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE...]")
@as_json
def create(type: str, name: str, fields: tuple[str, ...], machine: bool) -> None:
    """Make a principal of TYPE: individual, group, list, domain, role or apiKey.

    A field that is a list may be given several times; secrets=- reads the password from standard input.

    Example: flaskmail principal create list news@example.org members=jane@example.org members=john@example.org
    """
    body: dict[str, Any] = {"type": type, "name": a_labels(name) if type == "domain" else name}
    for text in fields:
        field, found, value = text.partition("=")
        if not found:
            raise click.UsageError(f"{text!r} is no field with a value, such as description=Sales")
        if field in LISTS:
            body.setdefault(field, []).append(value)
        else:
            body[field] = _value(field, value)
    with operations() as manager:
        made = make(manager, body)
        tell(made, f"Made the principal {made['name']} ({made['id']}).", machine)
        if "secret" in made and not machine:
            click.echo(f"Its secret, which is not shown again: {made['secret']}")


@principal.command(name="set")
@click.argument("name")
@click.argument("field", type=click.Choice((*TEXTS, *LISTS)), metavar="FIELD")
@click.argument("values", nargs=-1, metavar="VALUE...")
@as_json
def set_(name: str, field: str, values: tuple[str, ...], machine: bool) -> None:
    """Set FIELD of the principal NAME: of a list all its items, none when there is no VALUE.

    \b
    quota      octets, with a unit if wanted, or "default"
    disabled   true or false
    expires    12h, 30d, 2027-01-31, or never
    secrets    "-": the password is read from one line of standard input

    Example: flaskmail principal set jane@example.org emails jane.doe@example.org j@example.org
    """
    value: Any = [in_ascii(one) for one in values]
    if field not in LISTS:
        if len(values) != 1:
            raise click.UsageError(f"{field} has one value")
        value = _value(field, values[0])
    elif field == "allowedNetworks" and not values:
        # An empty list would be a key that counts nowhere; null is the API's word for everywhere.
        value = None
    _change(name, "set", field, value, machine)


@principal.command()
@click.argument("name")
@click.argument("field", type=click.Choice(LISTS), metavar="FIELD")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@as_json
def add(name: str, field: str, items: tuple[str, ...], machine: bool) -> None:
    """Add each ITEM to FIELD of the principal NAME.

    Example: flaskmail principal add sales@example.org members jane@example.org"""
    _change(name, "addItem", field, [in_ascii(one) for one in items], machine)


@principal.command()
@click.argument("name")
@click.argument("field", type=click.Choice(LISTS), metavar="FIELD")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@as_json
def remove(name: str, field: str, items: tuple[str, ...], machine: bool) -> None:
    """Take each ITEM from FIELD of the principal NAME."""
    _change(name, "removeItem", field, [in_ascii(one) for one in items], machine)


@principal.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask. Nobody is asked either where standard input is no terminal.")
@as_json
def delete(name: str, yes: bool, machine: bool) -> None:
    """Delete the principal NAME, an account with all its mail, at once and for good."""
    with operations() as manager:
        gone = manager.call("GET", PATH, in_ascii(name))
        confirmed(f"Delete {_whole(gone)} for good?", yes)
        manager.call("DELETE", PATH, gone["id"])
        tell(gone, f"Deleted {_whole(gone)}.", machine)


@principal.command(name="delete-all", short_help="Delete all principals of a type.")
@click.argument("type", type=any_type, metavar="TYPE")
@click.option("--filter", "text", default="", help="Only those with it in a name, an address or the description.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal it has to be there.")
@as_json
def delete_all(type: str, text: str, yes: bool, machine: bool) -> None:
    """Delete all principals of TYPE (individual, group, list, domain, role or apiKey) for good; accounts with all their mail, but
    for the account admin.

    Example: flaskmail principal delete-all list --filter newsletter"""
    with operations() as manager:
        if not yes:
            if sys.stdin is None or not sys.stdin.isatty():
                raise click.UsageError("nobody can be asked here: say --yes to delete them for good")
            total = manager.call("GET", "/principal", filter=text, types=(type,), count=True)["total"]
            click.confirm(f"Delete {total} {ABOUT[type][1]} for good?", abort=True, err=True)
        count = manager.call("DELETE", "/principal", type=type, filter=text, confirm=True)
        tell({"deleted": count}, f"Deleted {count}.", machine)


# ----
def _change(name: str, action: str, field: str, value: Any, machine: bool) -> None:
    with operations() as manager:
        id = _id(manager, name)
        manager.call("PATCH", PATH, id, body=[step(action, field, value)])
        found = manager.call("GET", PATH, id)
        tell(found, f"Changed {_words(found)}.", machine)


def _id(manager: Operations, name: str) -> str:
    # After a change of its name it is still found.
    id: str = manager.call("GET", PATH, in_ascii(name))["id"]
    return id


def _words(found: dict[str, Any]) -> str:
    return f"the {ABOUT[found['type']][0]} {found['name']}"


def _whole(found: dict[str, Any]) -> str:
    return _words(found) + (" and all its mail" if "usedQuota" in found else "")


def _value(field: str, text: str) -> Any:
    if field == "quota":
        return Size().convert(text, None, None)
    if field == "disabled":
        if text not in ("true", "false"):
            raise click.UsageError(f"disabled is true or false, not {text!r}")
        return text == "true"
    if field == "expires":
        return None if text == "never" else written(Expiry().convert(text, None, None))
    if field == "secrets":
        if text != "-":
            raise click.UsageError(
                'a password must not stand on the command line: write "-" and give it on standard input'
            )
        return [secret_line("Password", "password")]
    return in_ascii(text) if field == "name" else text
