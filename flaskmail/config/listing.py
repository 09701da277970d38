"""The settings as values for programs: flat, by dotted keys, with what is declared of each and where its value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from typing import Any

from flaskmail.config.documents import HIDDEN, hidden, in_force
from flaskmail.config.loading import STORED, read_text
from flaskmail.config.reloading import Need
from flaskmail.config.settings import Declaration, Settings, declarations, open_tables, subsections


@dataclass(frozen=True, slots=True)
class Listed:
    """One setting.

    value: as JSON; text: as TOML; both None when it is not set, or secret. is_set: whether it has a value. default: TOML text,
    None for unset. expected, doc: what is declared, "" for what nobody declares (lookup.*, plugins.<name>). origin: "default",
    the stored settings, or what sets it so that it cannot be stored. takes: what a new value waits for, None when it is in force
    at once. pending: what this value waits for still; then in_force is the TOML text that holds until then. storable: whether it
    can be changed while the server runs."""

    key: str
    value: Any
    text: str | None
    is_set: bool
    default: str | None
    expected: str
    doc: str
    origin: str
    secret: bool
    takes: Need | None
    pending: Need | None
    in_force: str | None
    storable: bool


def listed(wanted: Settings, settings: Settings, pending: Mapping[str, Need]) -> list[Listed]:
    """Every setting, in the order of the documentation. wanted: as the sources say; settings, pending: those in force, and the
    keys in which they differ."""
    held = {str(one["key"]): one["value"] for one in in_force(settings)} if pending else {}
    found = []
    for one in in_force(wanted):
        key, text, origin = str(one["key"]), one["value"], str(one["origin"])
        declared = declaration_of(key)
        secret = declared.secret if declared is not None else text == HIDDEN
        found.append(
            Listed(
                key=key,
                value=None if secret or text is None else json_value(text),
                text=None if secret else text,
                is_set=text is not None,
                default=None if declared is None else declared.kind.write(declared.default) or None,
                expected="" if declared is None else declared.kind.expected,
                doc="" if declared is None else declared.doc,
                origin=origin,
                secret=secret,
                takes=takes(declared),
                pending=pending.get(key),
                in_force=held.get(key) if key in pending else None,
                storable=origin in ("default", STORED) and not (declared is not None and declared.only_file),
            )
        )
    return found


def takes(declared: Declaration | None) -> Need | None:
    """What a new value waits for; None when it is in force at once."""
    if declared is None or declared.live:
        return None
    return "reload" if declared.reloadable else "restart"


def declaration_of(key: str) -> Declaration | None:
    """What is declared of a key, also of one in a table with an id; None for what nobody declares."""
    exact, patterns = _declared()
    found = exact.get(key)
    if found is not None:
        return found
    for pattern, one in patterns:
        if pattern.fullmatch(key):
            return one
    return None


@cache
def _declared() -> tuple[Mapping[str, Declaration], list[tuple[re.Pattern[str], Declaration]]]:
    patterns = [
        (re.compile(re.escape(one.key).replace("<id>", "[A-Za-z0-9_-]{1,32}")), one)
        for one in _in_open_tables(Settings, "")
    ]
    return {one.key: one for one in declarations()}, patterns


def _in_open_tables(section: type[Any], prefix: str) -> Iterator[Declaration]:
    for name, each in open_tables(section):
        yield from declarations(each, f"{prefix}{name}.<id>.")
    for name, below in subsections(section):
        yield from _in_open_tables(below, f"{prefix}{name}.")


def schema() -> Iterator[Declaration]:
    """Every declaration; those in tables with ids have ``<id>`` in their keys."""
    yield from declarations()
    yield from _in_open_tables(Settings, "")


def is_secret(key: str, text: str) -> bool:
    """Whether no answer, log or history may show the TOML text of this key: declared so, or named so within it."""
    declared = declaration_of(key)
    if declared is not None:
        return declared.secret
    name = key.rpartition(".")[2] if key.startswith("lookup.") else ""
    return hidden(name, text) != text


def json_value(text: str) -> Any:
    """The value of a TOML text as JSON has it; the text itself when it is none (of a macro)."""
    try:
        return _plain(read_text(text))
    except ValueError:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, (date, time)) else value


def flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """A JSON value as the old API had it: texts under one key each, ``key.0000`` for the members of a list."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from flat(f"{key}.{name}", one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from flat(f"{key}.{number:04}", one)
    elif value is not None:
        yield key, ("true" if value else "false") if isinstance(value, bool) else str(value)
