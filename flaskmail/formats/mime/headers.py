"""A block of header fields, read without judging what is in them. RFC 5322 section 2.2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_FIELDS: Final = 10_000
"""Fields that one message can have, its parts together; those after them are not listed."""

MAX_OCTETS: Final = 1024 * 1024
"""Octets of header fields that are read in one message, its parts together; a field that crosses the line is cut."""

# RFC 5322 section 2.2: a name is printable ASCII but the colon; section 4.5: white space may precede the colon.
# The third group is a line that is no field, with the lines folded to it.
_FOLDED = rb"(?:\n[ \t][^\n]*+)*+"
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:([^\n]*+%b)\n?|([^\n]++%b\n?)" % (_FOLDED, _FOLDED))
_STARTS_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:")
_BLANK_LINE = re.compile(rb"\n\r*+\n")
_EMPTY_START = re.compile(rb"\r*+\n")


class Headers:
    """The fields of one header block, in order, as ``(name, value)``.

    name keeps the capitals it has in the message; value is everything between the colon and the line's end, octet for octet,
    folding and leading space included.
    """

    __slots__ = ("_index", "fields")

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self.fields = fields
        self._index: dict[str, list[bytes]] | None = None

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def all(self, name: str) -> list[bytes]:
        """The raw values of every field called ``name``, in any case, in the order of the message."""
        return self._by_name().get(name.lower(), [])

    def last(self, name: str) -> bytes | None:
        """The raw value of the last field called ``name``, in any case; None when there is none. RFC 8621 section 4.1.3."""
        values = self._by_name().get(name.lower())
        return values[-1] if values else None

    def first(self, name: str) -> bytes | None:
        """The raw value of the first field called ``name``, in any case; None when there is none."""
        values = self._by_name().get(name.lower())
        return values[0] if values else None

    def _by_name(self) -> dict[str, list[bytes]]:
        index = self._index
        if index is None:
            index = self._index = {}
            for name, value in self.fields:
                index.setdefault(name.lower(), []).append(value)
        return index


@dataclass(slots=True)
class Budget:
    """What may still be read of a message's header fields; parsing a block takes from it."""

    fields: int = MAX_FIELDS
    octets: int = MAX_OCTETS


def parse(raw: bytes, start: int, end: int, budget: Budget) -> tuple[Headers, int, int]:
    """Reads the header block at ``start`` of an entity that ends at ``end``: the fields, the end of the block, the body's start.

    The block ends at the first empty line, which belongs to neither. A line that is no field is passed over when a field
    follows it directly (an mbox ``From`` line, a fold that lost its indentation) and it is no delimiter; otherwise the body
    begins with it, as for a message that forgot the empty line. Lines end with LF, and any CRs before it are part of the ending.
    """
    if blank := _EMPTY_START.match(raw, start, end):
        return Headers([]), start, blank.end()
    # The line before the start has a line end of its own, so the search need not look back.
    blank = _BLANK_LINE.search(raw, start, end)
    stop, body = (blank.start() + 1, blank.end()) if blank else (end, end)
    limit = min(stop, start + budget.octets)
    block = raw[start:limit]
    # A bare count of line ends bounds the number of fields before anything is built.
    if block.count(b"\n") < budget.fields:
        found = _FIELD.findall(block)
        if not any(junk for _, _, junk in found):
            if b"\r" in block:
                fields = [(name.decode("ascii"), value.rstrip(b"\r")) for name, value, _ in found]
            else:
                fields = [(name.decode("ascii"), value) for name, value, _ in found]
            budget.fields -= len(fields)
            budget.octets -= len(block)
            return Headers(fields), stop, body
    return _carefully(raw, start, limit, stop, body, budget)


def _carefully(raw: bytes, start: int, limit: int, stop: int, body: int, budget: Budget) -> tuple[Headers, int, int]:
    fields: list[tuple[str, bytes]] = []
    for found in _FIELD.finditer(raw, start, limit):
        name, value, junk = found.groups()
        if junk is None:
            if len(fields) >= budget.fields:
                break
            fields.append((name.decode("ascii"), value.rstrip(b"\r")))
        elif found.end() >= limit < stop:
            break
        elif junk.startswith(b"--") or not _STARTS_FIELD.match(raw, found.end(), limit):
            stop = body = found.start()
            break
    budget.fields -= len(fields)
    budget.octets -= limit - start
    return Headers(fields), stop, body
