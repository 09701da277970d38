"""A compiled expression or if-block: evaluation, and the cache of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from flaskmail.expressions.budget import BUDGET, Frame
from flaskmail.expressions.codes import Code
from flaskmail.expressions.errors import EvaluationError
from flaskmail.expressions.types import Type, Value, type_of, value_of, weight

CACHED = 512
"""Results that are remembered at least; twice as many at most."""
MAX_CACHED_WEIGHT = 2048
"""A result is remembered if neither its variables nor itself weigh more, in characters and members."""


class Compiled:
    """A setting that is ready to be evaluated, by any number of threads.

    text: the source (of an if-block: what stands in the file); type: the types that its value may have; uses: the
    variables that it reads; constant: its value when it needs none of them and is always the same, else None; outcomes: of an
    if-block, the members that always give the same value, each as (path, value).
    """

    __slots__ = ("_key", "_old", "_run", "_types", "_young", "constant", "outcomes", "pure", "text", "type", "uses")

    def __init__(self, text: str, code: Code, variables: Mapping[str, Type]) -> None:
        self.text, self.type, self.uses, self.pure = text, code.type, code.uses, code.pure
        self._run = code.run
        self._types = {name: variables[name] for name in sorted(code.uses)}
        self._key = _key(self._types)
        # Two generations: when the young one is full it becomes the old one, and what is still asked for comes back.
        self._young: dict[Any, Value] = {}
        self._old: dict[Any, Value] = {}
        self.constant: Value | None = None
        self.outcomes: tuple[tuple[str, Value], ...] = ()
        if not code.uses and code.pure:
            self.constant = self._young[()] = code.run(Frame({}))

    def evaluate(self, variables: Mapping[str, Any]) -> Value:
        """The value with these variables; more of them may be given than are used.

        EvaluationError when one is missing or of another type, an operation fails, or the budget is used up."""
        try:
            return self._young[self._key(variables)]
        except (KeyError, TypeError):
            return self._evaluate(variables)

    def _evaluate(self, variables: Mapping[str, Any]) -> Value:
        values = {name: self._value(name, type, variables) for name, type in self._types.items()}
        if not self.pure:
            return self._run(Frame(values))
        key = self._key(values)
        found = self._old.get(key)
        if found is None:
            found = self._run(Frame(values))
            if weight(tuple(values.values())) > MAX_CACHED_WEIGHT or weight(found) > MAX_CACHED_WEIGHT:
                return found
        if len(self._young) >= CACHED:
            self._old, self._young = self._young, {}
        self._young[key] = found
        return found

    def _value(self, name: str, type: Type, variables: Mapping[str, Any]) -> Value:
        try:
            value = value_of(variables[name])
        except KeyError:
            raise EvaluationError(f"the variable {name} has no value", 0, self.text) from None
        except ValueError as error:
            raise EvaluationError(f"the variable {name} is {error}", 0, self.text) from None
        if not type_of(value) & type:
            raise EvaluationError(f"the variable {name} is {type_of(value)}, not {type}", 0, self.text)
        return value

    def work(self, variables: Mapping[str, Any]) -> int:
        """What an evaluation with these variables spends of the budget; errors as of ``evaluate``."""
        frame = Frame({name: self._value(name, type, variables) for name, type in self._types.items()})
        self._run(frame)
        return BUDGET - frame.left


def _key(types: Mapping[str, Type]) -> Callable[[Mapping[str, Any]], Any]:
    """What makes a hashable key of the variables that are used."""
    names = tuple(types)
    if not names:
        return lambda variables: ()
    listed = [bool(type & Type.LIST) for type in types.values()]
    if not any(listed):
        return itemgetter(*names)
    pairs = tuple(zip(names, listed, strict=True))

    def key(variables: Mapping[str, Any]) -> Any:
        return tuple(
            [
                tuple(variables[name]) if is_list and isinstance(variables[name], list) else variables[name]
                for name, is_list in pairs
            ]
        )

    return key
