"""The types of values, and how one becomes another.

A value is a text (``str``), an integer of 64 bits (``int``), a float that is finite (``float``) or a list (``tuple``, so that
nobody can change a cached one). There are no booleans: 1 is true, 0 is false.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from enum import Flag
from typing import Any

from flaskmail.expressions.errors import Refusal

Value = str | int | float | tuple["Value", ...]
"""A value of an expression."""

MAX_INTEGER, MIN_INTEGER = 2**63 - 1, -(2**63)


class Type(Flag):
    """The type of a value, or several that it may have."""

    TEXT = 1
    INTEGER = 2
    FLOAT = 4
    LIST = 8
    NUMBER = INTEGER | FLOAT
    SCALAR = TEXT | NUMBER
    ANY = SCALAR | LIST

    def __str__(self) -> str:
        names = {"number": Type.NUMBER} if Type.NUMBER in self else {"integer": Type.INTEGER, "float": Type.FLOAT}
        names = {"text": Type.TEXT, **names, "list": Type.LIST}
        return "any" if self == Type.ANY else " or ".join(name for name, one in names.items() if one & self)


_BY_CLASS = {str: Type.TEXT, int: Type.INTEGER, float: Type.FLOAT, tuple: Type.LIST}


def type_of(value: Value) -> Type:
    """The one type of a value."""
    return _BY_CLASS[type(value)]


def value_of(raw: Any) -> Value:
    """A value made of what Python has: booleans become 1 and 0, lists become tuples, integers saturate. ValueError, with
    a phrase, for what cannot be one."""
    if isinstance(raw, str):
        return str(raw)
    if isinstance(raw, int):
        return saturated(int(raw))
    if isinstance(raw, float):
        if not math.isfinite(raw):
            raise ValueError("a float that is not finite")
        return float(raw)
    if isinstance(raw, Iterable) and not isinstance(raw, (bytes, bytearray, dict, set, frozenset)):
        return tuple(value_of(one) for one in raw)
    raise ValueError(f"a value of the type {type(raw).__name__}")


def saturated(number: int) -> int:
    """The nearest integer of 64 bits."""
    return min(max(number, MIN_INTEGER), MAX_INTEGER)


def finite(number: float) -> float:
    """The number itself; Refusal when it is infinite or none."""
    if not math.isfinite(number):
        raise Refusal("the result is too large for a float")
    return number


# The length is bounded before anything is converted.
_NUMERAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


def numeral(text: str) -> int | float | None:
    """The number that a text spells: digits, perhaps a minus and a fraction, nothing else; None when it spells none, or
    an integer beyond 64 bits."""
    match = _NUMERAL.fullmatch(text)
    if match is None:
        return None
    if match[1]:
        return float(text)
    number = int(text)
    return number if MIN_INTEGER <= number <= MAX_INTEGER else None


def number_of(value: Value) -> int | float:
    """The number that a scalar is or spells; Refusal for others."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        raise Refusal("a list where a number is wanted")
    number = numeral(value)
    if number is None:
        raise Refusal(f"the text {shortened(value)} is not a number")
    return number


def integer_of(value: Value) -> int:
    """The integer that a scalar is or spells; a float that is whole is one too. Refusal for others."""
    number = number_of(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise Refusal(f"{text_of(number)} is not a whole number")
        return saturated(int(number))
    return number


def text_of(value: Value) -> str:
    """The text of a scalar: numbers in decimal digits without exponent, whole floats without a fraction. Refusal for
    lists."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        raise Refusal("a list where a text is wanted")
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def weight(value: Value) -> int:
    """How much work a value makes: its characters and members, at least 1."""
    if isinstance(value, str):
        return len(value) + 1
    if isinstance(value, tuple):
        return sum(map(weight, value), 1)
    return 1


def shortened(text: str) -> str:
    """A text for a message: in quotes, escaped, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def octets(text: str) -> bytes:
    """UTF-8, also of what is no proper Unicode."""
    return text.encode("utf-8", "surrogatepass")
