"""Changes of the stored settings: from what is asked for to the texts that would be stored. Nothing is stored here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flaskmail.config import lookups
from flaskmail.config.documents import HIDDEN
from flaskmail.config.kinds import quote
from flaskmail.config.listing import declaration_of, json_value, schema
from flaskmail.config.loading import STORED, read_text, split_key
from flaskmail.config.reading import OLD_NAMES
from flaskmail.config.settings import Settings
from flaskmail.errors import Problem


@dataclass(frozen=True, slots=True)
class Insert:
    """Store a value. key: dotted; one behind the key of a list or a table (``key.0000``, ``key.0.if``) is a member of it.
    value: as JSON, or the text that people type. toml_first: whether a text is read as TOML where it can be."""

    key: str
    value: Any
    toml_first: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove what is stored under a key, so that its default holds again."""

    key: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove what is stored under all keys that begin so. The empty text is the beginning of all."""

    prefix: str


@dataclass(frozen=True, slots=True)
class AssertEmpty:
    """Refuse everything when something is stored under a key that begins so."""

    prefix: str


Step = Insert | Delete | Clear | AssertEmpty


@dataclass(slots=True)
class Plan:
    """What would be stored. texts: all of it, afterwards. fixed: keys that cannot be changed here, with what sets them.
    occupied: keys that were to be empty. problems: everything that is wrong by itself."""

    texts: dict[str, str]
    fixed: dict[str, str] = field(default_factory=dict)
    occupied: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def planned(stored: Mapping[str, str], wanted: Settings, steps: Iterable[Step]) -> Plan:
    """The steps, done in their order on what is stored. wanted: the settings with what is stored now; they say what is set
    elsewhere. What the values come to is for :func:`flaskmail.config.loading.overlay` to judge."""
    plan = Plan(dict(stored))
    for step in steps:
        match step:
            case Insert():
                _insert(plan, wanted, step)
            case Delete(key=key):
                _delete(plan, wanted, key)
            case Clear(prefix=prefix):
                for key in [key for key in plan.texts if _begins(key, prefix)]:
                    del plan.texts[key]
            case AssertEmpty(prefix=prefix):
                plan.occupied += [key for key in plan.texts if _begins(key, prefix)]
    return plan


_NAME = re.compile(r"[A-Za-z0-9_-]+")


def each_setting(step: Insert) -> Iterator[Insert]:
    """The step; where its value is a table of settings, one for each of them: a setting is stored under its own key, where it
    is looked for when it is to be changed or removed."""
    key, path = located(step.key)
    table = step.value
    if path or not _holds_settings(key) or not isinstance(table, dict) or not all(map(_NAME.fullmatch, table)):
        yield step
        return
    for name, value in table.items():
        yield from each_setting(Insert(f"{key}.{name}", value, step.toml_first))
    if not table:
        yield step


def _holds_settings(key: str) -> bool:
    """Whether a table under this key is several settings, and not the value of one."""
    first, *rest = key.split(".")
    if first in ("lookup", "plugins") and declaration_of(key) is None:
        return len(rest) < (2 if first == "lookup" else 1)
    return declaration_of(key) is None


def _begins(key: str, prefix: str) -> bool:
    return key.startswith(prefix) or f"{key}." == prefix


def _insert(plan: Plan, wanted: Settings, step: Insert) -> None:
    key, path = located(step.key)
    origin = _set_by(wanted, key)
    if origin is not None:
        plan.fixed[key] = origin
        return
    if step.value is None:
        plan.problems.append(Problem(STORED, step.key, "null", "a value; to remove one, delete its key"))
        return
    value = _put(json_value(plan.texts[key]) if key in plan.texts else None, path, step.value) if path else step.value
    text = text_of(key, value, toml_first=step.toml_first)
    if HIDDEN.strip('"') in text:
        plan.problems.append(Problem(STORED, step.key, HIDDEN, "the value itself: this only stands for a secret"))
        return
    plan.texts[key] = text


def _delete(plan: Plan, wanted: Settings, asked: str) -> None:
    key, path = located(asked)
    origin = _set_by(wanted, key)
    if key in plan.texts:
        if not path:
            del plan.texts[key]
            return
        left = _without(json_value(plan.texts[key]), path)
        if left:
            plan.texts[key] = lookups.write(left)
        else:
            del plan.texts[key]
    elif origin is not None:
        plan.fixed[key] = origin
    elif declaration_of(key) is None and not key.startswith(("lookup.", "plugins.")):
        plan.problems.append(Problem(STORED, asked, "an unknown key", "a known one", nearest(key)))


def nearest(key: str) -> str:
    """The key of a setting that was most likely meant, or ""."""
    return next(iter(difflib.get_close_matches(key, [one.key for one in schema()], 1, 0.6)), "")


def located(key: str) -> tuple[str, list[str]]:
    """The key of the setting that a key is of, and the way to a member of its value. A key that is of none is answered as it
    is."""
    key = OLD_NAMES.get(key, key)
    if declaration_of(key) is None and not key.startswith(("lookup.", "plugins.")):
        parts = key.split(".")
        for end in range(len(parts) - 1, 0, -1):
            if declaration_of(begin := ".".join(parts[:end])) is not None:
                return begin, parts[end:]
    return key, []


def _set_by(wanted: Settings, key: str) -> str | None:
    """What sets a key so that it cannot be stored; None when nothing does."""
    origin = wanted.origin(key)
    return None if origin in ("default", STORED) else origin


def _put(old: Any, path: list[str], value: Any) -> Any:
    """A list or table with a member in its place; members of a list are ordered by their numbers."""
    if not path:
        return value
    name, *rest = path
    if name.isascii() and name.isdigit():
        members = list(old) if isinstance(old, list) else []
        number = int(name)
        if number < len(members):
            members[number] = _put(members[number], rest, value)
        else:
            members.append(_put(None, rest, value))
        return members
    return {
        **(old if isinstance(old, dict) else {}),
        name: _put(old.get(name) if isinstance(old, dict) else None, rest, value),
    }


def _without(old: Any, path: list[str]) -> Any:
    """A list or table without a member; what has become empty is gone too."""
    name, *rest = path
    if isinstance(old, list) and name.isascii() and name.isdigit() and int(name) < len(old):
        number = int(name)
        left = _without(old[number], rest) if rest else None
        return [*old[:number], *([left] if left else []), *old[number + 1 :]]
    if isinstance(old, dict) and name in old:
        left = _without(old[name], rest) if rest else None
        return {one: value for one, value in old.items() if one != name} | ({name: left} if left else {})
    return old


def text_of(key: str, value: Any, *, toml_first: bool = False) -> str:
    """The TOML text of a value as JSON; of a text, what the setting's kind makes of it: itself, or the value that it writes."""
    if not isinstance(value, str):
        return lookups.write(value)
    asis = quote(value)
    try:
        written = lookups.write(read_text(value))
    except ValueError:
        return asis
    if split_key(key)[0] == "plugins" and declaration_of(key) is None:
        return written
    declared = declaration_of(key)
    if declared is None:
        return written if toml_first else asis
    for text in (written, asis) if toml_first else (asis, written):
        try:
            declared.kind.parse(read_text(text), Settings().folder)
        except ValueError:
            continue
        return text
    return asis
