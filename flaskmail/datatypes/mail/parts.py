"""Blobs that are parts of messages: ``<blobId>-<partId>``, decoded when they are asked for (RFC 8621 section 4.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from flaskmail.datatypes.mail.bodies import named_leaves
from flaskmail.datatypes.mail.importing import is_message
from flaskmail.formats.mime import structure, transfer
from flaskmail.formats.mime.structure import Part
from flaskmail.jmap.context import BlobContent
from flaskmail.jmap.storage import Reader

MAX_NESTING = 8
"""How many messages within messages a blob id may lead through."""


def find_part(reader: Reader, blob_id: str) -> BlobContent | None:
    """The decoded content of a part; None when the id is not of this kind, or the account has no such message or part.

    The message may itself be a part (``<blobId>-2-1``): whatever Email/parse would take for a message."""
    if blob_id.count("-") > MAX_NESTING:
        return None
    parent, dash, part_id = blob_id.rpartition("-")
    # A number is written in one way only, so that a part has one id.
    if not dash or not part_id.isascii() or not part_id.isdigit() or part_id[0] == "0" or len(part_id) > 6:
        return None
    found = _parent(reader, parent)
    if found is None:
        return None
    read, derived = found
    message = structure.parse(read())
    if derived and not is_message(message.root.headers):
        return None
    for name, part in named_leaves(message):
        if name == part_id:
            return _content(blob_id, message.raw[part.body_start : part.body_end], part)
    return None


def _content(blob_id: str, octets: bytes, part: Part) -> BlobContent:
    content, _ = transfer.decode_body(octets, part.encoding)
    return BlobContent(blob_id, len(content), lambda: content, type=part.type)


def _parent(reader: Reader, blob_id: str) -> tuple[Callable[[], bytes], bool] | None:
    """How to read the message, and whether it is derived itself."""
    if reader.blob(blob_id) is not None:
        return lambda: reader.read_blob(blob_id), False
    found = find_part(reader, blob_id)
    return None if found is None else (found.read, True)
