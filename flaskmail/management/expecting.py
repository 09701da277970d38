"""What may stand at a place of a body or a query: the names and the values that a declared type knows there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec import inspect

_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """names: of members of an object; values: texts of which one is wanted. Each empty where the type says nothing of it."""

    names: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


def wanted_at(kind: Any, value: Any, path: str) -> Wanted:
    """What a value of this type may have at a place. value: what was given, which says of several objects which one is meant;
    path: as msgspec writes it, such as ``$[0].field``."""
    here, given = list(_plain([inspect.type_info(kind)])), value
    for step in _STEP.finditer(path.removeprefix("$")):
        name, index = step.groups()
        if name is not None:
            objects = _meant(here, given)
            tags = [str(one.tag) for one in here if isinstance(one, inspect.StructType) and one.tag_field == name]
            if tags:
                return Wanted(values=tags)
            here = list(_plain(member.type for one in objects for member in one.fields if member.encode_name == name))
            given = given.get(name) if isinstance(given, dict) else None
        else:
            here = list(_plain(_items(here)))
            at = int(index) if index.isdigit() else -1
            given = given[at] if isinstance(given, list) and 0 <= at < len(given) else None
    names = [member.encode_name for one in _meant(here, given) for member in one.fields]
    tagged = [one.tag_field for one in here if isinstance(one, inspect.StructType) and one.tag_field]
    values = [str(one) for kind in here if isinstance(kind, inspect.LiteralType) for one in kind.values]
    return Wanted(list(dict.fromkeys([*tagged, *names])), list(dict.fromkeys(values)))


def _plain(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    """The types themselves, without what is said about them; each of a union."""
    for kind in kinds:
        if isinstance(kind, inspect.Metadata):
            yield from _plain([kind.type])
        elif isinstance(kind, inspect.UnionType):
            yield from _plain(kind.types)
        else:
            yield kind


def _items(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    for kind in kinds:
        if isinstance(kind, inspect.TupleType):
            yield from kind.item_types
        elif isinstance(kind, (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)):
            yield kind.item_type
        elif isinstance(kind, inspect.DictType):
            yield kind.value_type


def _meant(kinds: Iterable[inspect.Type], given: Any) -> list[inspect.StructType]:
    """The objects of which the given one can be."""
    objects = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
    chosen = [
        one for one in objects if one.tag_field and isinstance(given, dict) and given.get(one.tag_field) == one.tag
    ]
    return chosen or objects
