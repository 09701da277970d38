"""Records against their declaration: what a create makes, what an update may change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from flaskmail.errors import SetError
from flaskmail.jmap.storage import Json, Reader, Record
from flaskmail.values.checks import shown

if TYPE_CHECKING:
    from flaskmail.jmap.datatype import DataType, Prop

TOLD = 10
"""How many wrong properties a SetError's description explains."""


def default_value(prop: Prop) -> Json:
    """A fresh value for a property that a create leaves out, or that a patch sets to null; None when there is no default."""
    default = prop.default
    if default is ...:
        return None
    if callable(default):
        return default()
    return copy.deepcopy(default) if isinstance(default, (dict, list)) else default


def invalid_properties(wrong: Mapping[str, str]) -> SetError:
    """The ``invalidProperties`` error (RFC 8620 section 5.3) for names and what is wrong with each ("must be text")."""
    told = [f"{shown(name)} {what}" for name, what in list(wrong.items())[:TOLD]]
    more = len(wrong) - len(told)
    if more > 0:
        told.append(f"{more} more are wrong")
    return SetError("invalidProperties", "; ".join(told) + ".", list(wrong))


def record_to_create(kind: DataType, sent: Record) -> Record:
    """Every stored property of a new record but ``id``, from what a client sent (RFC 8620 section 5.3).

    Properties left out take their default, if they have one; server-set ones without a default are left to the type.
    Raises SetError ``invalidProperties`` that names all that are unknown, server-set, missing or wrong.
    """
    wrong: dict[str, str] = {}
    record: Record = {}
    props = kind.props
    for name, value in sent.items():
        prop = props.get(name)
        if prop is None or prop.internal:
            # RFC 8620 section 5.3: the client must not send the id, which the server makes.
            wrong[name] = "is set by the server" if name == "id" else "is not a property of " + kind.name
        elif prop.server_set or prop.computed:
            wrong[name] = "is set by the server"
        else:
            what = prop.check(value)
            if what is not None:
                wrong[name] = what
            else:
                record[name] = value
    for name, prop in props.items():
        if prop.computed or name in record or name in wrong:
            continue
        if prop.default is not ...:
            record[name] = default_value(prop)
        elif not (prop.server_set or prop.internal):
            wrong[name] = "is required"
    if wrong:
        raise invalid_properties(wrong)
    return record


def check_update(kind: DataType, old: Record, changed: Mapping[str, Json]) -> Record:
    """Those of the top-level values ``changed`` by a patch that differ from ``old``, which must hold what it has of them.

    Sending a server-set, computed or immutable property back as it is is right (RFC 8620 section 5.3).
    Raises SetError ``invalidProperties`` that names all that are wrong.
    """
    wrong: dict[str, str] = {}
    out: Record = {}
    for name, value in changed.items():
        prop = kind.props.get(name)
        if prop is not None and prop.internal:
            wrong[name] = "is not a property of " + kind.name
        elif name in old and same(old[name], value):
            continue
        elif prop is None:
            server_set = name == "id" or kind.accepts(name)
            wrong[name] = "is set by the server" if server_set else "is not a property of " + kind.name
        elif prop.server_set or prop.computed:
            wrong[name] = "is set by the server"
        elif prop.immutable:
            wrong[name] = "cannot be changed"
        else:
            what = prop.check(value)
            if what is not None:
                wrong[name] = what
            else:
                out[name] = value
    if wrong:
        raise invalid_properties(wrong)
    return out


def check_blobs(kind: DataType, reader: Reader, record: Record) -> None:
    """SetError ``invalidProperties`` that names those properties of ``record`` which refer to blobs that the reader's account
    does not have; only stored blobs can be referred to, not parts of messages."""
    wrong: dict[str, str] = {}
    for name, ids_in in _blob_refs(kind):
        for id in ids_in(record[name]) if name in record else ():
            if reader.blob(id) is None:
                wrong[name] = f"refers to the blob {shown(id)}, which is not in this account"
    if wrong:
        raise invalid_properties(wrong)


@cache
def _blob_refs(kind: DataType) -> tuple[tuple[str, Callable[[Json], Sequence[str]]], ...]:
    return tuple((name, prop.blob_ref) for name, prop in kind.props.items() if prop.blob_ref is not None)


def same(one: Json, other: Json) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if one is other:
        return True
    # Whatever is the same is equal for Python as well, which says so much faster.
    return bool(one == other) and _same(one, other)


def _same(one: Json, other: Json) -> bool:
    """The same for two values that are equal for Python."""
    if isinstance(one, dict):
        return all(value is other[key] or _same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool)


def stored_names(kind: DataType) -> tuple[str, ...]:
    """The names of all properties that the store holds besides ``id``."""
    return tuple(name for name, prop in kind.props.items() if not prop.computed)


__all__ = [
    "check_blobs",
    "check_update",
    "default_value",
    "invalid_properties",
    "record_to_create",
    "same",
    "stored_names",
]
