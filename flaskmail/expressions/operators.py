"""What the operators do. Each takes the frame and one or two values, and gives a value or raises Refusal."""

from __future__ import annotations

from collections.abc import Callable

from flaskmail.expressions.budget import Frame
from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.types import (
    Type,
    Value,
    finite,
    number_of,
    numeral,
    saturated,
    text_of,
    weight,
)


def equal(left: Value, right: Value) -> bool:
    """Whether two values are equal: a text equals a number when it spells it, lists compare member by member, a list never
    equals what is none."""
    if isinstance(left, str):
        if isinstance(right, str):
            return left == right
        return not isinstance(right, tuple) and numeral(left) == right
    if isinstance(right, str):
        return not isinstance(left, tuple) and numeral(right) == left
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return left == right


def less(left: Value, right: Value) -> bool:
    """Whether left comes before right: texts by code points, numbers (and texts that spell them, next to a number) by
    size, lists by their first members that differ. Refusal when they cannot be compared."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        for one, other in zip(left, right, strict=False):
            if not equal(one, other):
                return less(one, other)
        return len(left) < len(right)
    if isinstance(left, tuple) or isinstance(right, tuple):
        raise Refusal("a list cannot be compared with what is none")
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return number_of(left) < number_of(right)


def _spend(frame: Frame, left: Value, right: Value) -> None:
    frame.spend(weight(left) + weight(right))


def _add(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    if isinstance(left, tuple):
        return left + right if isinstance(right, tuple) else (*left, right)
    if isinstance(right, tuple):
        return (left, *right)
    if isinstance(left, str) or isinstance(right, str):
        return text_of(left) + text_of(right)
    if isinstance(left, float) or isinstance(right, float):
        return finite(left + right)
    return saturated(left + right)


def _subtract(frame: Frame, left: Value, right: Value) -> Value:
    if isinstance(left, tuple):
        frame.spend(weight(left) + len(left) * weight(right))
        return tuple(one for one in left if not equal(one, right))
    one, other = number_of(left), number_of(right)
    if isinstance(one, float) or isinstance(other, float):
        return finite(one - other)
    return saturated(one - other)


def _multiply(frame: Frame, left: Value, right: Value) -> Value:
    one, other = number_of(left), number_of(right)
    if isinstance(one, float) or isinstance(other, float):
        return finite(one * other)
    return saturated(one * other)


def _divide(frame: Frame, left: Value, right: Value) -> Value:
    one, other = number_of(left), number_of(right)
    if other == 0:
        raise Refusal("a division by zero")
    try:
        return finite(one / other)
    except OverflowError:
        raise Refusal("the result is too large for a float") from None


def _equal(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(equal(left, right))


def _unequal(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(not equal(left, right))


def _less(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(less(left, right))


def _greater(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(less(right, left))


def _at_most(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(not less(right, left))


def _at_least(frame: Frame, left: Value, right: Value) -> Value:
    _spend(frame, left, right)
    return int(not less(left, right))


def _exclusive(frame: Frame, left: Value, right: Value) -> Value:
    return int(bool(left) != bool(right))


BINARY: dict[str, Callable[[Frame, Value, Value], Value]] = {
    "+": _add, "-": _subtract, "*": _multiply, "/": _divide,
    "==": _equal, "!=": _unequal, "<": _less, ">": _greater, "<=": _at_most, ">=": _at_least,
    "^": _exclusive,
}  # fmt: skip
"""The binary operators, but ``&&`` and ``||``, which do not evaluate what they need not."""


def negative(value: Value) -> Value:
    """``-x``."""
    number = number_of(value)
    return -number if isinstance(number, float) else saturated(-number)


_SINGLE = (Type.TEXT, Type.INTEGER, Type.FLOAT, Type.LIST)
_NEVER = Type(0)


def _arithmetic(left: Type, right: Type) -> Type:
    if Type.LIST in left | right:
        return _NEVER
    if Type.FLOAT in left | right:
        return Type.FLOAT
    return Type.NUMBER if Type.TEXT in left | right else Type.INTEGER


def _pair(operator: str, left: Type, right: Type) -> Type:
    """The type of the result for operands of one type each; none when they do not go together."""
    if operator in ("^", "&&", "||"):
        return Type.INTEGER
    if operator == "+":
        if Type.LIST in left | right:
            return Type.LIST
        return Type.TEXT if Type.TEXT in left | right else _arithmetic(left, right)
    if operator == "-" and left is Type.LIST:
        return Type.LIST
    if operator in ("-", "*"):
        return _arithmetic(left, right)
    if operator == "/":
        return Type.FLOAT if _arithmetic(left, right) else _NEVER
    return Type.INTEGER if (left is Type.LIST) == (right is Type.LIST) else _NEVER


def result(operator: str, left: Type, right: Type) -> Type:
    """The types that the result of a binary operator may have; none at all when the operands never go together."""
    found = _NEVER
    for one in _SINGLE:
        for other in _SINGLE:
            if one & left and other & right:
                found |= _pair(operator, one, other)
    return found
