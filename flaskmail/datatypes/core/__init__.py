"""What every JMAP server has: Core/echo, Blob/copy and the core capability. RFC 8620 sections 2, 4 and 6.3."""

from __future__ import annotations

from flaskmail.datatypes.core.blobcopy import BLOB_COPY
from flaskmail.datatypes.core.capability import CAPABILITY, CORE
from flaskmail.datatypes.core.echo import ECHO
from flaskmail.jmap.context import BlobFinder
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Capability, Method


def types() -> list[DataType]:
    """No records: an empty list."""
    return []


METHODS: tuple[Method, ...] = (ECHO, BLOB_COPY)
"""The plain methods."""

CAPABILITIES: tuple[Capability, ...] = (CAPABILITY,)
"""The capability that every session has."""

BLOB_FINDERS: tuple[BlobFinder, ...] = ()
"""No blobs are derived."""

__all__ = ["BLOB_FINDERS", "CAPABILITIES", "CORE", "METHODS", "types"]
