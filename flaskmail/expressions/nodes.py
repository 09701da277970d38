"""The syntax tree. ``position`` is the index in the source of the first character of what a node is about; an operator's is
kept beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_DEPTH = 50
"""How deep an expression may be nested."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, an integer or a float as it stands."""

    position: int
    value: str | int | float
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    position: int
    name: str
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Capture:
    """``$n``: a group of the latest ``matches``."""

    position: int
    number: int
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Items:
    """``[a, b]``."""

    position: int
    items: tuple[Node, ...]
    depth: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """``list[index]``; position: of the bracket."""

    position: int
    list: Node
    index: Node
    depth: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """``name(arguments)``."""

    position: int
    name: str
    arguments: tuple[Node, ...]
    depth: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """``!x`` or ``-x``."""

    position: int
    operator: str
    operand: Node
    depth: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, from left to right: ``first op term op term …``. rest: (operator, its position, term)."""

    position: int
    first: Node
    rest: tuple[tuple[str, int, Node], ...]
    depth: int = field(compare=False)


Node = Literal | Name | Capture | Items | Index | Call | Unary | Chain
"""A node of the tree."""
