"""How a function is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flaskmail.expressions.types import Type, Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """name: for the documentation; type: what is accepted. A number is accepted for a text and becomes its digits, a text
    that spells a number is accepted for a number. check: raises ``Refusal`` (or ValueError) for a value with which the function
    always fails, so that a constant is refused before any request; the function itself still has to refuse all others."""

    name: str
    type: Type = Type.TEXT
    check: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    call: takes a value for each parameter and gives one of the type ``returns``; it raises ``Refusal`` (or ValueError)
    with a phrase when it cannot. None for the few that the compiler itself knows. doc: sentences in Markdown.
    examples: (expression, its value). maps: given a list for its first parameter it gives the list of its results. pure: the
    same arguments always give the same value, without side effects; the results of others are never cached. cost: (values) ->
    what it spends beyond the size of its arguments, when that is not enough.
    """

    name: str
    call: Callable[..., Any] | None
    parameters: tuple[Parameter, ...]
    returns: Type
    doc: str
    examples: tuple[tuple[str, Value], ...]
    maps: bool = False
    pure: bool = True
    cost: Callable[..., int] | None = None

    @property
    def signature(self) -> str:
        """``name(parameter, …)``."""
        return f"{self.name}({', '.join(parameter.name for parameter in self.parameters)})"
