"""How a setting is declared: once, as a field of a frozen section; what a section holds, and how one is made of values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from flaskmail.config.kinds import Kind

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def _remembered(function: F) -> F:
    """What is declared does not change; it is asked for again and again."""
    return cast(F, lru_cache(maxsize=1024)(function))


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is declared of one setting.

    key: dotted, as in the file. kind: how it is read and written. default: the typed value, None for unset.
    doc: sentences for the administrator. example: TOML text of a likely value, where the default does not show one.
    live: a stored value is in force everywhere within a second; reloadable: a SIGHUP brings a new value into force, else it takes
    a restart. secret: no answer shows the value. only_file: it cannot be stored, because whoever sets it could run code, or write
    files.
    """

    key: str
    kind: Kind[Any]
    default: Any
    doc: str
    example: str
    reloadable: bool
    secret: bool
    live: bool
    only_file: bool

    @property
    def section(self) -> str:
        """The dotted name of the table that holds it."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


def setting(
    kind: Kind[T],
    default: T,
    doc: str,
    *,
    example: str = "",
    reloadable: bool = True,
    secret: bool = False,
    live: bool = True,
    only_file: bool = False,
) -> T:
    """Declare a field of a section. The arguments are those of :class:`Declaration`; what is not reloadable is not live."""
    declared = {
        "kind": kind,
        "doc": doc,
        "example": example,
        "reloadable": reloadable,
        "secret": secret,
        "live": live and reloadable,
        "only_file": only_file,
    }
    field: T = dataclasses.field(default=default, metadata=declared, repr=not secret)
    return field


def tables_of(section: type[T]) -> Mapping[str, T]:
    """Declare a field of a section that holds any number of tables of one kind, by ids that the administrator chooses."""
    return cast("Mapping[str, T]", dataclasses.field(default_factory=dict, hash=False, metadata={"each": section}))


@_remembered
def declared_in(section: type[Any], prefix: str) -> tuple[Declaration, ...]:
    """The settings directly in a section, in the order of their declaration. prefix: of their keys, with the dot."""
    return tuple(
        Declaration(key=f"{prefix}{wire_name(field.name)}", default=field.default, **field.metadata)
        for field in dataclasses.fields(section)
        if "kind" in field.metadata
    )


@_remembered
def subsections(section: type[Any]) -> tuple[tuple[str, type[Any]], ...]:
    """The names and classes of the tables directly in a section."""
    return tuple(
        (wire_name(field.name), type(field.default))
        for field in dataclasses.fields(section)
        if not field.metadata and dataclasses.is_dataclass(field.default)
    )


@_remembered
def open_tables(section: type[Any]) -> tuple[tuple[str, type[Any]], ...]:
    """The names of what holds tables by ids of the administrator's choice, and the class of each of those tables."""
    return tuple(
        (wire_name(field.name), field.metadata["each"])
        for field in dataclasses.fields(section)
        if "each" in field.metadata
    )


def wire_name(field_name: str) -> str:
    """The name in the file: words are joined by ``-``."""
    return field_name.replace("_", "-")


def build(values: Mapping[str, Any], section: type[T], prefix: str = "") -> T:
    """A section with the given typed values (dotted key -> value); what is missing has its default."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, section)):
        key = f"{prefix}{wire_name(field.name)}"
        if "kind" in field.metadata:
            if key in values:
                found[field.name] = values[key]
        elif "each" in field.metadata:
            ids = dict.fromkeys(name[len(key) + 1 :].partition(".")[0] for name in values if name.startswith(f"{key}."))
            found[field.name] = {one: build(values, field.metadata["each"], f"{key}.{one}.") for one in ids}
        elif dataclasses.is_dataclass(field.default):
            found[field.name] = build(values, type(field.default), f"{key}.")
    return section(**found)
