"""Checks a data type's declaration when its class is made, and names every problem at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flaskmail.jmap.datatype import DataType

# RFC 8620 sections 5.1, 5.3 and 5.5: the arguments that the standard methods have for every type.
_GET = frozenset({"accountId", "ids", "properties"})
_SET = frozenset({"accountId", "ifInState", "create", "update", "destroy"})
_QUERY = frozenset(
    {"accountId", "filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal"}
    | {"sinceQueryState", "maxChanges", "upToId"}
)
_COMPARATOR = frozenset({"property", "isAscending", "collation"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_declaration(cls: type[DataType]) -> None:
    """TypeError that lists everything wrong with the declaration of ``cls``, one problem a line; see DataType."""
    problems = [*_names(cls), *_properties(cls), *_order(cls), *_methods(cls), *_queries(cls)]
    if problems:
        raise TypeError(
            "\n".join([f"The data type {cls.__name__} is declared wrongly:", *(f"- {p}" for p in problems)])
        )


# Declarations come from other people: nothing in them has a type until it was looked at.


def _names(cls: Any) -> Iterable[str]:
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        yield f"name is {name!r}, not letters and digits that begin with a letter"
    capability = getattr(cls, "capability", None)
    if not isinstance(capability, str) or not capability:
        yield f"capability is {capability!r}, not a URI"
    if not isinstance(cls.id_prefix, str) or re.fullmatch("[a-z]", cls.id_prefix) is None:
        yield f"id_prefix is {cls.id_prefix!r}, not one lower-case letter"
    for column in cls.search:
        if not isinstance(column, str) or _COLUMN.fullmatch(column) is None:
            yield f"search column {column!r} is not a plain name"
    yield from (f"search column {column!r} stands twice" for column, n in Counter(cls.search).items() if n > 1)


def _properties(cls: Any) -> Iterable[str]:
    from flaskmail.jmap.datatype import Prop

    if not isinstance(cls.props, Mapping):
        yield f"props is {type(cls.props).__name__}, not a mapping of names to Prop"
        return
    for name, prop in cls.props.items():
        if not isinstance(name, str) or not name or name[0] == "#":
            yield f"property name {name!r} is not text, is empty, or begins with '#'"
        elif name == "id":
            yield "property 'id' is every type's own and must not be declared"
        elif not isinstance(prop, Prop):
            yield f"property {name!r} is {type(prop).__name__}, not a Prop"
        else:
            yield from (f"property {name!r} {what}" for what in _property(prop))


def _property(prop: Any) -> Iterable[str]:
    if not callable(prop.check):
        yield "has a check that cannot be called"
        return
    if prop.computed:
        stored = {
            "internal": prop.internal,
            "indexed": prop.indexed,
            "members": prop.members,
            "counter": prop.counter,
            "segment": prop.segment,
            "blob_ref": prop.blob_ref,
        }
        for what, given in stored.items():
            if given:
                yield f"is computed, hence not stored, and cannot have {what}"
        return
    if prop.members and prop.indexed:
        yield "has members, which are indexed one by one, and cannot be indexed as a whole"
    if prop.counter and prop.immutable:
        yield "is a counter and cannot be immutable"
    if prop.xref is not None and (prop.server_set or prop.internal):
        yield "has an xref, which only what clients set can have"
    given = prop.default is not ... and not callable(prop.default)
    if prop.members and given and not isinstance(prop.default, dict):
        yield f"has members and a default that is no object: {prop.default!r}"
    elif given and not (prop.server_set or prop.internal):
        wrong = prop.check(prop.default)
        if wrong is not None:
            yield f"has a default that its own check refuses: {prop.default!r} {wrong}"


def _order(cls: Any) -> Iterable[str]:
    props: Mapping[str, Any] = cls.props if isinstance(cls.props, Mapping) else {}
    for what, name in (("order", cls.order), ("group", cls.group)):
        if name is None:
            continue
        prop = props.get(name)
        if prop is None:
            yield f"{what} names {name!r}, which is no property"
            continue
        if prop.computed:
            yield f"{what} names {name!r}, which is computed and not stored"
        if not prop.immutable:
            yield f"{what} names {name!r}, which is not immutable"
        if what == "group" and not prop.indexed:
            yield f"group names {name!r}, which is not indexed"


def _methods(cls: Any) -> Iterable[str]:
    from flaskmail.jmap.datatype import METHODS

    declared = tuple(cls.methods)
    for name in declared:
        if name not in METHODS:
            yield f"method {name!r} is none of {', '.join(METHODS)}"
    yield from (f"method {name!r} stands twice" for name, n in Counter(declared).items() if n > 1)
    needs = {"changes": "get", "set": "get", "copy": "set", "query": "get", "queryChanges": "query"}
    for name, other in needs.items():
        if name in declared and other not in declared:
            yield f"method {name!r} needs {other!r} too"
    yield from _arguments("get_arguments", cls.get_arguments, _GET, "get" in declared)
    yield from _arguments("set_arguments", cls.set_arguments, _SET, "set" in declared)
    yield from _arguments("query_arguments", cls.query_arguments, _QUERY, "query" in declared)


def _arguments(what: str, given: Mapping[str, Any], taken: frozenset[str], used: bool) -> Iterable[str]:
    if given and not used:
        yield f"{what} are declared, but not the method"
    for name, check in given.items():
        if name in taken or not name or name[0] == "#":
            yield f"{what}: {name!r} is taken by the standard method or is no name"
        if not callable(check):
            yield f"{what}: {name!r} has a check that cannot be called"


def _queries(cls: Any) -> Iterable[str]:
    from flaskmail.jmap.datatype import Filter, SortTerm

    if "query" not in cls.methods:
        if cls.filters:
            yield "filters are declared, but not the method 'query'"
        if cls.sorts:
            yield "sorts are declared, but not the method 'query'"
    for name, condition in cls.filters.items():
        # RFC 8620 section 5.5: an object with "operator" is a FilterOperator.
        if name in ("operator", "conditions"):
            yield f"filter {name!r} cannot be told from a FilterOperator"
        if not isinstance(condition, Filter):
            yield f"filter {name!r} is {type(condition).__name__}, not a Filter"
    for name, term in cls.sorts.items():
        if not isinstance(term, SortTerm):
            yield f"sort {name!r} is {type(term).__name__}, not a SortTerm"
            continue
        for argument in term.arguments:
            if argument in _COMPARATOR:
                yield f"sort {name!r} has an argument {argument!r}, which every Comparator has"
