"""What the compiler makes of a node, and what it knows about the source."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flaskmail.expressions.budget import Frame
from flaskmail.expressions.errors import EvaluationError, ExpressionError
from flaskmail.expressions.functions import Function
from flaskmail.expressions.nodes import Literal, Node
from flaskmail.expressions.types import Type, Value, type_of

Run = Callable[[Frame], Value]
"""A compiled node: evaluates it in a frame. Raises EvaluationError."""


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled node. type: the types that its value may have; uses: the variables it reads; constant: its value, when it
    always has the same, else None; pure: the same variables always give the same value."""

    type: Type
    run: Run
    uses: frozenset[str] = frozenset()
    constant: Value | None = None
    pure: bool = True


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant, or ""."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.6)), "")


def constant(value: Value) -> Code:
    """The code of a value."""
    return Code(type_of(value), lambda frame: value, constant=value)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean. variables: name -> type; functions: by name; lookups: table -> key -> value, for ``key_get``;
    config: key -> value, for ``config_get``."""

    variables: Mapping[str, Type]
    functions: Mapping[str, Function]
    lookups: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]


@dataclass(slots=True)
class Source:
    """One expression while it is compiled. text: as it stands; path: where in the setting it stands; scope: what names
    mean; groups: how many captures the ``matches`` so far set, None before the first; folding: the frame in which
    constants are worked out, so that a whole setting has one budget for that."""

    text: str
    path: str
    scope: Scope
    folding: Frame
    groups: int | None = field(default=None)

    def error(self, message: str, position: int, hint: str = "") -> ExpressionError:
        """An error of this expression."""
        return ExpressionError(message, position, self.text, hint=hint, path=self.path)

    def failure(self, message: str, position: int) -> EvaluationError:
        """An error of its evaluation."""
        return EvaluationError(message, position, self.text, path=self.path)

    def refuse_text(self, node: Node) -> None:
        """Refuse a text as it stands as a condition: ``'false'`` would be true."""
        if isinstance(node, Literal) and isinstance(node.value, str):
            raise self.error("a text as a condition, which is true unless it is empty", node.position)

    def folded(self, run: Run, type: Type, *parts: Code, pure: bool = True) -> Code:
        """The code of a node made of parts, worked out now when all of them are constant. ExpressionError when that
        fails: it would fail each time."""
        pure = pure and all(part.pure for part in parts)
        if pure and all(part.constant is not None for part in parts):
            try:
                return constant(run(self.folding))
            except EvaluationError as error:
                raise self.error(error.message, error.position) from None
        return Code(type, run, frozenset().union(*(part.uses for part in parts)), pure=pure)


Compile = Callable[[Node, Source], Code]
"""The compiler, as it is handed to what compiles a call of its own kind."""
