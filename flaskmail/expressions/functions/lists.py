"""Functions of lists."""

from __future__ import annotations

from functools import cmp_to_key

from flaskmail.expressions.functions.declaration import Function, Parameter
from flaskmail.expressions.operators import equal
from flaskmail.expressions.types import Type, Value, weight

_LIST = Parameter("list", Type.LIST)
_ANY = Parameter("value", Type.ANY)


def _members(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else (value,)


def _rank(value: Value) -> int:
    return 2 if isinstance(value, tuple) else int(isinstance(value, str))


def _compare(left: Value, right: Value) -> int:
    """Numbers before texts before lists: an order in which any two values stand."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        for one, other in zip(left, right, strict=False):
            if order := _compare(one, other):
                return order
        return len(left) - len(right)
    if _rank(left) != _rank(right):
        return _rank(left) - _rank(right)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    assert isinstance(left, (int, float))
    assert isinstance(right, (int, float))
    return (left > right) - (left < right)


def _sort(values: tuple[Value, ...], ascending: Value) -> tuple[Value, ...]:
    return tuple(sorted(values, key=cmp_to_key(_compare), reverse=not ascending))


def _sort_cost(values: tuple[Value, ...], ascending: Value) -> int:
    return weight(values) * len(values).bit_length()


def _is_intersect(left: Value, right: Value) -> int:
    others = _members(right)
    return int(any(equal(one, other) for one in _members(left) for other in others))


def _intersect_cost(left: Value, right: Value) -> int:
    one, other = _members(left), _members(right)
    return weight(one) * len(other) + len(one) * weight(other)


LISTS: tuple[Function, ...] = (
    Function(
        "count",
        lambda value: len(value) if isinstance(value, tuple) else int(value != ""),
        (_ANY,),
        Type.INTEGER,
        "Members of a list; of anything else 1, of an empty text 0.",
        (("count(['a', 'b'])", 2), ("count('a')", 1)),
    ),
    Function(
        "sort",
        _sort,
        (_LIST, Parameter("ascending", Type.ANY)),
        Type.LIST,
        "The members in order, ascending if `ascending` is true: numbers before texts, texts by code points.",
        (("sort(['b', 'a', 10, 9], true)", (9, 10, "a", "b")), ("sort([1, 3, 2], false)", (3, 2, 1))),
        cost=_sort_cost,
    ),
    Function(
        "dedup",
        lambda values: tuple(dict.fromkeys(values)),
        (_LIST,),
        Type.LIST,
        "Without members that are there already.",
        (("dedup(['b', 'a', 'b'])", ("b", "a")),),
    ),
    Function(
        "winnow",
        lambda values: tuple(one for one in values if one not in ("", ())),
        (_LIST,),
        Type.LIST,
        "Without members that are empty.",
        (("winnow(['a', '', 'b'])", ("a", "b")),),
    ),
    Function(
        "is_intersect",
        _is_intersect,
        (Parameter("list", Type.ANY), Parameter("other", Type.ANY)),
        Type.INTEGER,
        "Whether two lists have a member in common; anything else is a list of one.",
        (("is_intersect(['a', 'b'], ['b', 'c'])", 1), ("is_intersect(['a'], 'b')", 0)),
        cost=_intersect_cost,
    ),
)
"""Functions of lists."""
