"""Ids (RFC 8620 section 1.2) and creation references (RFC 8620 section 5.3)."""

from __future__ import annotations

import re
from base64 import b32encode
from os import urandom

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


def is_id(value: object) -> bool:
    """Whether ``value`` is an Id: text of 1 to 255 characters out of A-Z, a-z, 0-9, "-" and "_"."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def random_id(prefix: str) -> str:
    """A new Id: ``prefix`` (a letter, so that it never looks like a number) and 120 random bits in lower-case base32."""
    # RFC 8620 section 1.2: ids that differ only in case, begin with "-" or a digit, or spell NIL are to be avoided.
    return prefix + b32encode(urandom(15)).decode("ascii").lower()


def is_creation_reference(value: object) -> bool:
    """Whether ``value`` stands for a record created in the same request: "#" and a creation id, which is an Id."""
    return isinstance(value, str) and value[:1] == "#" and is_id(value[1:])


def creation_reference(creation_id: str) -> str:
    """How a client refers to the record that it calls ``creation_id``: "#" and the creation id."""
    return "#" + creation_id


def referenced_creation(reference: str) -> str:
    """The creation id in a creation reference. ValueError when ``reference`` is none."""
    if not is_creation_reference(reference):
        raise ValueError(f"{reference!r} is no creation reference")
    return reference[1:]
