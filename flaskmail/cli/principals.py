"""What the commands for accounts, groups, mailing lists, roles, API keys and principals in general share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from flaskmail.cli.common import Failed, as_json, write_fields, write_json, write_table
from flaskmail.cli.domain import in_ascii
from flaskmail.cli.manager import Operations, operations

PATH = "/principal/{name}"

NOWHERE = "none: it counts nowhere"
"""What is told of a key that has a list of networks, with none in it."""

ABOUT = {
    "individual": ("account", "accounts"),
    "group": ("group", "groups"),
    "list": ("mailing list", "mailing lists"),
    "domain": ("domain", "domains"),
    "role": ("role", "roles"),
    "apiKey": ("API key", "API keys"),
}
"""Type of a principal -> how one and several of them are called."""

COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "NAME": lambda one: one["name"],
    "ID": lambda one: one["id"],
    "DOMAIN": lambda one: one["domain"],
    "STATE": lambda one: "disabled" if one["disabled"] else "enabled",
    "ROLES": lambda one: one["roles"],
    "ALLOWS": lambda one: len(one["enabledPermissions"]),
    "MEMBERS": lambda one: len(one["members"]),
    "ELSEWHERE": lambda one: len(one["externalMembers"]),
    "EXPIRES": lambda one: one["expires"] or "never",
    "LAST USED": lambda one: one["lastUsed"] or "never",
    "DESCRIPTION": lambda one: one["description"],
}
"""Heading of a column -> what stands there of a principal."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of principals. head: the headings of its table."""

    type: str
    head: tuple[str, ...]

    @property
    def noun(self) -> str:
        """How one of them is called."""
        return ABOUT[self.type][0]

    def row(self, one: Mapping[str, Any]) -> list[object]:
        """The line of one of them in its table."""
        return [COLUMNS[heading](one) for heading in self.head]


def find(manager: Operations, name: str, type: str) -> dict[str, Any]:
    """The principal of that name or id. Failed when there is none, or it is of another type."""
    if type == "role":
        # Not needed for the other types.
        from flaskmail.accounts.permissions import ROLES

        if name in ROLES:
            raise Failed(f"the role {name!r} is built in: `flaskmail permission list` shows it, and nobody changes it")
    found: dict[str, Any] = manager.call("GET", PATH, in_ascii(name))
    if found["type"] != type:
        raise Failed(f"{name!r} is no {ABOUT[type][0]} but a principal of type {found['type']}", {"status": 404})
    return found


def change(manager: Operations, name: str, type: str, steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Makes the changes, all or none; the principal afterwards."""
    id: str = find(manager, name, type)["id"]
    manager.call("PATCH", PATH, id, body=list(steps))
    found: dict[str, Any] = manager.call("GET", PATH, id)
    return found


def step(action: str, field: str, value: Any) -> dict[str, Any]:
    """One change. action: set, addItem or removeItem."""
    return {"action": action, "field": field, "value": value}


def shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to tell people: without what is empty."""
    told = {name: value for name, value in found.items() if value not in (None, "", [], False)}
    # An empty list and none at all are far apart here.
    return told | {"allowedNetworks": NOWHERE} if found.get("allowedNetworks") == [] else told


def tell(found: Mapping[str, Any], sentence: str, machine: bool) -> None:
    """What was done: the principal as JSON, or a sentence."""
    if machine:
        write_json(found)
    else:
        click.echo(sentence)


def count(number: int, noun: str) -> str:
    """How many there are."""
    return f"{number} {noun}{'s' * (number != 1)}"


def confirmed(question: str, yes: bool) -> None:
    """Asks at a terminal, and ends the command at a no."""
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


# ---- the same for every type
def add_list(group: click.Group, kind: Kind) -> None:
    """Adds ``list``."""
    plural = ABOUT[kind.type][1]

    @group.command(name="list", short_help=f"List {plural}.")
    @click.argument("text", default="")
    @as_json
    def list_(text: str, machine: bool) -> None:
        """Listed below."""
        with operations() as manager:
            found = manager.every("/principal", types=(kind.type,), filter=text)
            if machine:
                write_json(found)
            else:
                write_table(kind.head, [kind.row(one) for one in found])

    list_.help = f"List {plural}; with TEXT those that have it in a name, an address or the description."


def add_show(group: click.Group, kind: Kind) -> None:
    """Adds ``show``."""

    @group.command(short_help=f"Show the {kind.noun} NAME.")
    @click.argument("name")
    @as_json
    def show(name: str, machine: bool) -> None:
        """Shown below."""
        with operations() as manager:
            found = find(manager, name, kind.type)
            if machine:
                write_json(found)
            else:
                write_fields(shown(found))

    show.help = f"Show the {kind.noun} NAME, a name or an id. What is empty is left out; --json has everything."


def add_changes(group: click.Group, kind: Kind) -> None:
    """Adds ``rename`` and ``describe``."""

    @group.command(short_help=f"Give the {kind.noun} NAME another name.")
    @click.argument("name")
    @click.argument("new")
    @as_json
    def rename(name: str, new: str, machine: bool) -> None:
        """Said below."""
        with operations() as manager:
            found = change(manager, name, kind.type, [step("set", "name", in_ascii(new))])
            tell(found, f"The {kind.noun} is now {found['name']}.", machine)

    rename.help = f"Give the {kind.noun} NAME the name NEW. Its id stays, and with it everything that belongs to it."
    if kind.type == "apiKey":
        rename.help += (
            "\n\nThe name is part of what programs send: it lets nobody in until they send api_ and the base64 of"
            " NEW:SECRET."
        )

    @group.command(short_help=f"Replace what is said about the {kind.noun} NAME.")
    @click.argument("name")
    @click.argument("text")
    @as_json
    def describe(name: str, text: str, machine: bool) -> None:
        """Said below."""
        with operations() as manager:
            found = change(manager, name, kind.type, [step("set", "description", text)])
            tell(found, f"Changed the {kind.noun} {found['name']}.", machine)

    describe.help = f"Replace the description of the {kind.noun} NAME by TEXT."


def add_switches(group: click.Group, kind: Kind, out: str, again: str) -> None:
    """Adds ``disable`` and ``enable``. out, again: their sentences."""

    def switch(name: str, disabled: bool, machine: bool) -> None:
        with operations() as manager:
            found = change(manager, name, kind.type, [step("set", "disabled", disabled)])
            tell(found, f"{'Disabled' if disabled else 'Enabled'} the {kind.noun} {found['name']}.", machine)

    @group.command(help=out)
    @click.argument("name")
    @as_json
    def disable(name: str, machine: bool) -> None:
        switch(name, True, machine)

    @group.command(help=again)
    @click.argument("name")
    @as_json
    def enable(name: str, machine: bool) -> None:
        switch(name, False, machine)


_SEVERAL = {"address": "addresses", "external": "addresses elsewhere"}


def add_items(group: click.Group, kind: Kind, word: str, field: str, told: str, example: str) -> None:
    """Adds ``add-WORD`` and ``remove-WORD`` for a field that is a list. told: a sentence; example: of an item."""

    def items(action: str, name: str, items: tuple[str, ...], machine: bool) -> None:
        with operations() as manager:
            found = change(manager, name, kind.type, [step(action, field, [in_ascii(one) for one in items])])
            left = shown(found).get(field, "none")
            left = ", ".join(left) if isinstance(left, list) else left
            tell(found, f"{kind.noun[:1].upper()}{kind.noun[1:]} {found['name']}: {field} = {left}", machine)

    item = word.upper()
    several = _SEVERAL.get(word, f"{word}s")

    @group.command(name=f"add-{word}", short_help=f"Add {several} to the {kind.noun} NAME.")
    @click.argument("name")
    @click.argument("items_", nargs=-1, required=True, metavar=f"{item}...")
    @as_json
    def add(name: str, items_: tuple[str, ...], machine: bool) -> None:
        items("addItem", name, items_, machine)

    add.help = f"{told}\n\nExample: flaskmail {group.name} add-{word} {example}"

    @group.command(name=f"remove-{word}", short_help=f"Take {several} from the {kind.noun} NAME.")
    @click.argument("name")
    @click.argument("items_", nargs=-1, required=True, metavar=f"{item}...")
    @as_json
    def remove(name: str, items_: tuple[str, ...], machine: bool) -> None:
        items("removeItem", name, items_, machine)

    remove.help = f"Take each {item} from the {field} of the {kind.noun} NAME; what is not there may be named."


def add_permissions(group: click.Group, kind: Kind) -> None:
    """Adds ``add-role``, ``remove-role``, ``allow``, ``forbid`` and ``unsay``."""
    add_items(
        group,
        kind,
        "role",
        "roles",
        f"Give the {kind.noun} NAME what each ROLE may do: user, domain-admin, admin, or a role of your own.",
        {"individual": "jane@example.org domain-admin", "role": "helpdesk user", "apiKey": "monitoring user"}[
            kind.type
        ],
    )

    def permissions(steps: Sequence[tuple[str, str]], name: str, named: tuple[str, ...], machine: bool) -> None:
        with operations() as manager:
            found = change(manager, name, kind.type, [step(action, field, list(named)) for action, field in steps])
            if machine:
                write_json(found)
                return
            for field, told in (("enabledPermissions", "allowed"), ("disabledPermissions", "forbidden")):
                click.echo(f"{told}: {', '.join(found[field]) or '-'}")

    def add(word: str, told: str, *steps: tuple[str, str]) -> None:
        @group.command(name=word, help=told)
        @click.argument("name")
        @click.argument("named", nargs=-1, required=True, metavar="PERMISSION...")
        @as_json
        def command(name: str, named: tuple[str, ...], machine: bool) -> None:
            permissions(steps, name, named, machine)

    on, off = "enabledPermissions", "disabledPermissions"
    add(
        "allow",
        f"Let the {kind.noun} NAME do something, beside what its roles allow. See `flaskmail permission list`.",
        ("removeItem", off),
        ("addItem", on),
    )
    add(
        "forbid",
        f"Keep the {kind.noun} NAME from something, whatever its roles allow.",
        ("removeItem", on),
        ("addItem", off),
    )
    add(
        "unsay",
        f"Neither allow nor forbid the {kind.noun} NAME something: its roles decide.",
        ("removeItem", on),
        ("removeItem", off),
    )


def add_delete(group: click.Group, kind: Kind, told: str) -> None:
    """Adds ``delete``. told: its help."""

    @group.command(help=told, short_help=f"Delete the {kind.noun} NAME.")
    @click.argument("name")
    @as_json
    def delete(name: str, machine: bool) -> None:
        with operations() as manager:
            gone = find(manager, name, kind.type)
            manager.call("DELETE", PATH, gone["id"])
            tell(gone, f"Deleted the {kind.noun} {gone['name']}.", machine)


def _in_ascii(field: str, value: Any) -> Any:
    if field in ("emails", "members", "externalMembers", "memberOf", "lists"):
        return [in_ascii(one) for one in value]
    return in_ascii(value) if field == "name" else value


def make(manager: Operations, body: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a principal of these members, without those that are None or empty; the principal, with ``secret`` where one was
    made."""
    wanted = {name: _in_ascii(name, value) for name, value in body.items() if value not in (None, (), [], "")}
    made = manager.call("POST", "/principal", body=wanted)
    id = made["id"] if isinstance(made, dict) else made
    found: dict[str, Any] = manager.call("GET", PATH, id)
    return found | ({"secret": made["secret"]} if isinstance(made, dict) else {})
