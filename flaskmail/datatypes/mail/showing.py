"""The properties of an Email that are not stored: header fields, body values, and body parts with the properties asked
for (RFC 8621 sections 4.1 and 4.2). The same for a stored Email and for one that Email/parse has just read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flaskmail.datatypes.mail.headers import header_list, header_property
from flaskmail.datatypes.mail.properties import BODY_PROPERTIES
from flaskmail.formats.mime import headers as mime_headers
from flaskmail.formats.mime import structure, transfer
from flaskmail.formats.mime.structure import Part
from flaskmail.jmap.storage import Json, Record
from flaskmail.values import checks

Read = Callable[[int, int | None], bytes]
"""Octets of the message from one offset to another (None: the end)."""

_AT_ONCE = 256 * 1024
"""Octets of a message that are read although not all of them may be needed."""
MAX_BODY_PROPERTIES = 100
"""How many names ``bodyProperties`` may have: each is answered for every part."""

_PARTS = ("bodyStructure", "textBody", "htmlBody", "attachments")
_FETCHED: Mapping[str, str] = {"fetchTextBodyValues": "textBody", "fetchHTMLBodyValues": "htmlBody"}


def body_properties(value: Json) -> str | None:
    """A check: String[] of properties of EmailBodyPart."""
    wrong = checks.list_of(checks.text)(value)
    if wrong is not None:
        return wrong
    if len(value) > MAX_BODY_PROPERTIES:
        return f"may have at most {MAX_BODY_PROPERTIES} names"
    unknown = [name for name in value if not (name in BODY_PROPERTIES or _is_made(name) or name == "subParts")]
    return f"has unknown names: {checks.listed(unknown)}" if unknown else None


ARGUMENTS: Mapping[str, checks.Check] = {
    "bodyProperties": body_properties,
    "fetchTextBodyValues": checks.boolean,
    "fetchHTMLBodyValues": checks.boolean,
    "fetchAllBodyValues": checks.boolean,
    "maxBodyValueBytes": checks.unsigned,
}
"""Further arguments of Email/get and Email/parse (RFC 8621 sections 4.2 and 4.9)."""


def _is_made(name: str) -> bool:
    return name == "headers" or header_property(name) is not None


def needs(names: Sequence[str], arguments: Mapping[str, Json]) -> list[str]:
    """Stored properties that ``show`` reads to make ``names``."""
    wanted: list[str] = []
    if any(_is_made(name) for name in names):
        wanted += ["blobId", "_head"]
    if "bodyValues" in names:
        if arguments.get("fetchAllBodyValues"):
            wanted += ["blobId", "_parts"]
        elif any(arguments.get(argument) for argument in _FETCHED):
            wanted += ["blobId", "_parts", *_FETCHED.values()]
    if any(_is_made(name) for name in arguments.get("bodyProperties") or ()):
        wanted += ["blobId", "bodyStructure"]
    return wanted


def show(record: Record, read: Read, names: Sequence[str], arguments: Mapping[str, Json]) -> None:
    """Adds to a record with its stored properties those of ``names`` that are made, and gives its body parts the properties that
    ``bodyProperties`` names."""
    made = [name for name in names if _is_made(name)]
    if made:
        fields = header_fields(read(0, record["_head"]))
        for name in made:
            prop = header_property(name)
            record[name] = header_list(fields) if prop is None else prop.of(fields)
    if "bodyValues" in names:
        record["bodyValues"] = _values(record, read, arguments)
    wanted = arguments.get("bodyProperties")
    if wanted is not None:
        _select(record, read, [name for name in names if name in _PARTS], wanted)


def weight(record: Record, names: Sequence[str], arguments: Mapping[str, Json]) -> int:
    """About how many octets of JSON ``show`` has added to the record."""
    made = sum(1 for name in names if _is_made(name))
    total = made * int(record.get("_head", 0))
    total += sum(len(part["value"]) for part in (record.get("bodyValues") or {}).values())
    wanted = arguments.get("bodyProperties")
    if wanted is not None:
        total += 32 * len(wanted) * sum(_parts(record[name]) for name in names if name in _PARTS)
    return total


def _parts(shown: Json) -> int:
    waiting, count = [shown], 0
    while waiting:
        one = waiting.pop()
        below = one if isinstance(one, list) else (one or {}).get("subParts") or ()
        count += len(below)
        waiting.extend(below)
    return count


def header_fields(head: bytes) -> mime_headers.Headers:
    """The header fields of a message whose first octets, the ``_head`` of its record, are ``head``."""
    return structure.parse(head).root.headers


def _values(record: Record, read: Read, arguments: Mapping[str, Json]) -> Record:
    if arguments.get("fetchAllBodyValues"):
        wanted: Iterable[str] = record["_parts"]
    else:
        lists = [prop for argument, prop in _FETCHED.items() if arguments.get(argument)]
        wanted = dict.fromkeys(part["partId"] for prop in lists for part in record[prop])
    slices = {id: record["_parts"][id] for id in wanted}
    # RFC 8621 section 4.1.4: only text/* parts have a body value.
    slices = {id: slice for id, slice in slices.items() if slice[4].startswith("text/")}
    if not slices:
        return {}
    first, last = min(s[0] for s in slices.values()), max(s[1] for s in slices.values())
    part = read
    if last - first <= _AT_ONCE:
        octets = read(first, last)

        def part(start: int, end: int | None) -> bytes:
            return octets[start - first : None if end is None else end - first]

    limit = arguments.get("maxBodyValueBytes") or None
    return {id: _value(part, slice, limit) for id, slice in slices.items()}


def _value(read: Read, slice: Sequence[Any], limit: int | None) -> Record:
    start, end, encoding, charset, type = slice
    value, problem, cut = "", True, False
    # No character of a charset takes more than a few octets, however they are encoded for transfer.
    enough = _AT_ONCE + 16 * (limit or 0)
    if limit and end - start > enough:
        octets = read(start, start + enough)
        octets = octets[: octets.rfind(b"\n") + 1]
        value, problem, cut = transfer.decode_slice(octets, encoding, charset, type, limit)
    # What was wrong may have been that the octets end too early.
    if problem or not cut:
        value, problem, cut = transfer.decode_slice(read(start, end), encoding, charset, type, limit)
    return {"value": value, "isEncodingProblem": problem, "isTruncated": cut}


def _select(record: Record, read: Read, lists: Sequence[str], wanted: Sequence[str]) -> None:
    parts: dict[str, Part] = {}
    made = [name for name in wanted if _is_made(name)]
    if made:
        _pair(record["bodyStructure"], structure.parse(read(0, None)).root, "", parts)
    for name in lists:
        value = record[name]
        record[name] = (
            _selected(value, "", wanted, made, parts)
            if name == "bodyStructure"
            else [_selected(part, None, wanted, made, parts) for part in value]
        )


def _pair(shown: Mapping[str, Any], part: Part, path: str, parts: dict[str, Part]) -> None:
    """Notes the parsed part of each body part: leaves by partId, multiparts by their path (".0.1")."""
    if shown["partId"] is not None:
        parts[shown["partId"]] = part
        return
    parts[path] = part
    for index, (child, inner) in enumerate(zip(shown["subParts"], part.parts, strict=True)):
        _pair(child, inner, f"{path}.{index}", parts)


def _selected(
    shown: Mapping[str, Any], path: str | None, wanted: Sequence[str], made: Sequence[str], parts: Mapping[str, Part]
) -> Record:
    out: Record = {name: shown[name] for name in wanted if name in shown and name != "subParts"}
    for name in made:
        fields = parts[shown["partId"] or path or ""].headers
        prop = header_property(name)
        out[name] = header_list(fields) if prop is None else prop.of(fields)
    # RFC 8621 section 4.1.4: without its subParts a bodyStructure has no structure.
    if "subParts" not in shown:
        if "subParts" in wanted:
            out["subParts"] = None
    else:
        out["subParts"] = [
            _selected(child, f"{path}.{index}", wanted, made, parts) for index, child in enumerate(shown["subParts"])
        ]
    return out
