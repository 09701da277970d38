"""Collations: how people's text is ordered and compared (RFC 4790, RFC 5051).

A collation is given as a key function: two texts stand in the order of their keys, and are the same text to the collation
when their keys are equal. Pure functions of the text; no locale is consulted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

Key = Callable[[str], Any]
"""From a text to something comparable with what the same function answers for another text."""

DEFAULT = "i;unicode-casemap"
"""The collation of a Comparator that names none. RFC 8620 section 5.5: it must be Unicode-aware."""

_ASCII_UPPER = {ord(c): ord(c) - 32 for c in "abcdefghijklmnopqrstuvwxyz"}


def ascii_casemap(text: str) -> str:
    """The key of i;ascii-casemap (RFC 4790 section 9.2): a-z become A-Z, then octet order.

    Python orders text by code point, which is the order of its UTF-8 octets.
    """
    return text.translate(_ASCII_UPPER)


def ascii_numeric(text: str) -> tuple[int, int, str]:
    """The key of i;ascii-numeric (RFC 4790 section 9.1): the number that the leading ASCII digits spell.

    Text that does not begin with a digit is positive infinity: last, and all alike. Numbers are never converted, so
    that a million digits cost no more than reading them.
    """
    digits = len(text) - len(text.lstrip("0123456789"))
    if digits == 0:
        return (1, 0, "")
    number = text[:digits].lstrip("0")
    return (0, len(number), number)


@lru_cache(maxsize=8192)
def _unicode_mapped(character: str) -> str:
    # RFC 5051 section 2: titlecase by the simple mapping of UnicodeData.txt. str.title() knows the full mappings as well,
    # which are recognised by their length: those characters have no simple one.
    titled = character.title()
    # RFC 5051 section 2: then decompose by any decomposition property, recursively; NFKD of one character is that.
    return unicodedata.normalize("NFKD", titled if len(titled) == 1 else character)


def unicode_casemap(text: str) -> str:
    """The key of i;unicode-casemap (RFC 5051): titlecased and decomposed code points, then octet order.

    Also what "contains" means for people's text: the folded value is a substring of the folded text.
    """
    if text.isascii():
        return text.upper()
    return "".join(map(_unicode_mapped, text))


COLLATIONS: Mapping[str, Key] = MappingProxyType(
    {"i;ascii-casemap": ascii_casemap, "i;ascii-numeric": ascii_numeric, "i;unicode-casemap": unicode_casemap}
)
"""Every collation offered, by its registered name: the session's ``collationAlgorithms`` (RFC 8620 section 2)."""


def key(name: str) -> Key:
    """The key function of a registered collation. KeyError when ``name`` is none of COLLATIONS."""
    return COLLATIONS[name]
