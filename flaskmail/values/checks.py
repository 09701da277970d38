"""Checks of JSON values: the data types of RFC 8620 section 1 and how they combine.

A ``Check`` takes a decoded JSON value and answers None when it is right, else what is wrong with it as a short sentence
without subject ("must be text"), to be put behind the name of the property or argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flaskmail.values.dates import is_date, is_utc_date
from flaskmail.values.ids import is_id

Check = Callable[[Any], str | None]
"""JSON value -> None, or what is wrong with it."""

MAX_INT = 2**53 - 1
"""The greatest Int and UnsignedInt. RFC 8620 section 1.3."""

TAKEN_APART = 100
"""How many names a sentence lists at most."""


def anything(value: Any) -> str | None:
    """Any JSON value is right."""
    return None


def text(value: Any) -> str | None:
    """String."""
    return None if isinstance(value, str) else "must be text"


def boolean(value: Any) -> str | None:
    """Boolean."""
    return None if value is True or value is False else "must be true or false"


def integer(value: Any) -> str | None:
    """Int: a whole number from -2^53+1 to 2^53-1. RFC 8620 section 1.3."""
    if type(value) is int and -MAX_INT <= value <= MAX_INT:
        return None
    return "must be a whole number from -2^53+1 to 2^53-1"


def unsigned(value: Any) -> str | None:
    """UnsignedInt: a whole number from 0 to 2^53-1. RFC 8620 section 1.3."""
    return None if type(value) is int and 0 <= value <= MAX_INT else "must be a whole number from 0 to 2^53-1"


def number(value: Any) -> str | None:
    """Number: any number, whole or not."""
    return None if type(value) in (int, float) else "must be a number"


def identifier(value: Any) -> str | None:
    """Id. RFC 8620 section 1.2."""
    return None if is_id(value) else "must be an id (1 to 255 of A-Z, a-z, 0-9, - and _)"


def date(value: Any) -> str | None:
    """Date. RFC 8620 section 1.4."""
    return None if is_date(value) else "must be a date like 2014-10-30T14:12:00+08:00"


def utc_date(value: Any) -> str | None:
    """UTCDate. RFC 8620 section 1.4."""
    return None if is_utc_date(value) else "must be a UTC date like 2014-10-30T06:12:00Z"


def true(value: Any) -> str | None:
    """The value true and nothing else: what the maps that stand for sets hold."""
    return None if value is True else "must be true"


def optional(check: Check) -> Check:
    """null, or what ``check`` takes."""

    def check_optional(value: Any) -> str | None:
        if value is None:
            return None
        wrong = check(value)
        return None if wrong is None else f"{wrong}, or null"

    return check_optional


def list_of(check: Check) -> Check:
    """An array whose items ``check`` takes."""

    def check_list(value: Any) -> str | None:
        if not isinstance(value, list):
            return "must be an array"
        for index, item in enumerate(value):
            wrong = check(item)
            if wrong is not None:
                return f"has an item {index} that {wrong}"
        return None

    return check_list


def map_of(key_check: Check, value_check: Check) -> Check:
    """An object whose keys ``key_check`` takes and whose values ``value_check`` takes."""

    def check_map(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        for key, item in value.items():
            wrong = key_check(key)
            if wrong is not None:
                return f"has a key {shown(key)} that {wrong}"
            wrong = value_check(item)
            if wrong is not None:
                return f"has under {shown(key)} a value that {wrong}"
        return None

    return check_map


id_set: Check = map_of(identifier, true)
"""Id[Boolean] in which every value is true: a set of ids."""


def one_of(*values: str | int | bool | None) -> Check:
    """One of ``values``; true is not 1."""
    sentence = "must be one of " + ", ".join(shown(v) for v in values)

    def check_one(value: Any) -> str | None:
        return None if any(type(value) is type(right) and value == right for right in values) else sentence

    return check_one


def object_of(
    required: Mapping[str, Check] | None = None,
    optional_members: Mapping[str, Check] | None = None,
    *,
    open: bool = False,
) -> Check:
    """An object with every member of ``required``, any of ``optional_members``, and others only when ``open``."""
    needed = dict(required or {})
    known = {**needed, **(optional_members or {})}

    def check_object(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        for name in needed:
            if name not in value:
                return f"must have a member {shown(name)}"
        for name, item in value.items():
            check = known.get(name)
            if check is None:
                if open:
                    continue
                return f"has an unknown member {shown(name)}"
            wrong = check(item)
            if wrong is not None:
                return f"has a member {shown(name)} that {wrong}"
        return None

    return check_object


def shown(value: Any) -> str:
    """A value as a sentence quotes it: as JSON would write it, text cut after 64 characters, containers only named."""
    if isinstance(value, str):
        safe = value[:64].encode("unicode_escape").decode("ascii").replace('"', '\\"')
        return f'"{safe}…"' if len(value) > 64 else f'"{safe}"'
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    return repr(value)


def listed(names: list[str]) -> str:
    """Names for a sentence, quoted and with commas; after ``TAKEN_APART`` names only how many more."""
    told = ", ".join(shown(name) for name in names[:TAKEN_APART])
    more = len(names) - TAKEN_APART
    return f"{told} and {more} more" if more > 0 else told
