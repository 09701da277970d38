"""Creation references in the properties of records: "#k" for what is created in the same request (RFC 8620 section 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.records import invalid_properties
from flaskmail.jmap.storage import Json, Record
from flaskmail.values.checks import shown
from flaskmail.values.pointer import PatchError, escape, patch_tokens

Lookup = Callable[[str], str | None]
"""Creation id -> id, or None when nothing was created under it."""


def xref_names(kind: DataType) -> Mapping[str, str]:
    """The properties that may hold creation references, each with the type that they refer to."""
    return {name: prop.xref for name, prop in kind.props.items() if prop.xref is not None}


def references_in(value: Json) -> Iterable[str]:
    """The creation ids that a value refers to: as itself, as keys of a map, or as items of a list."""
    texts: Iterable[Json] = value if isinstance(value, (dict, list)) else (value,)
    return (text[1:] for text in texts if isinstance(text, str) and text[:1] == "#")


def substituted(names: Mapping[str, str], sent: Record, lookup: Lookup) -> Record:
    """A create's properties with every creation reference replaced; ``sent`` itself when there is none.

    Raises SetError ``invalidProperties`` that names the properties with a reference to nothing.
    """
    out: Record | None = None
    wrong: dict[str, str] = {}
    for name in names:
        value = sent.get(name)
        if value is None or not any(True for _ in references_in(value)):
            continue
        out = dict(sent) if out is None else out
        out[name] = _replaced(name, value, lookup, wrong)
    if wrong:
        raise invalid_properties(wrong)
    return sent if out is None else out


def substituted_patch(names: Mapping[str, str], patch: Record, lookup: Lookup) -> Record:
    """The same for a PatchObject, whose pointers may end in a reference too ("mailboxIds/#k")."""
    out: Record = {}
    wrong: dict[str, str] = {}
    changed = False
    for pointer, value in patch.items():
        name, slash, rest = pointer.partition("/")
        if name in names:
            if slash and rest[:1] == "#":
                reference = patch_tokens(pointer)[1]
                found = "/".join((name, escape(_found(name, reference, lookup, wrong)), *rest.split("/")[1:]))
                if found != pointer and (found in out or found in patch):
                    raise PatchError(f"The patch pointer {shown(pointer)} is there twice.")
                pointer, changed = found, True
            elif any(True for _ in references_in(value)):
                value = _replaced(name, value, lookup, wrong)
                changed = True
        out[pointer] = value
    if wrong:
        raise invalid_properties(wrong)
    return out if changed else patch


def _replaced(name: str, value: Json, lookup: Lookup, wrong: dict[str, str]) -> Json:
    if isinstance(value, dict):
        return {_found(name, key, lookup, wrong): item for key, item in value.items()}
    if isinstance(value, list):
        return [_found(name, item, lookup, wrong) for item in value]
    return _found(name, value, lookup, wrong)


def _found(name: str, value: Json, lookup: Lookup, wrong: dict[str, str]) -> Json:
    if not isinstance(value, str) or value[:1] != "#":
        return value
    id = lookup(value[1:])
    if id is None:
        wrong[name] = f"refers to {shown(value)}, which was not created"
        return value
    return id
