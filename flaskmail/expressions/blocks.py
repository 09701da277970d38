"""Settings that are expressions: a single one, or a list of ``{if, then}`` and one ``{else}``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flaskmail.expressions import compiler
from flaskmail.expressions.budget import Frame
from flaskmail.expressions.codes import Code, Scope, Source, constant, nearest
from flaskmail.expressions.compiled import Compiled
from flaskmail.expressions.errors import BlockError, EvaluationError, ExpressionError, ExpressionErrors
from flaskmail.expressions.functions import BUILTIN, Function
from flaskmail.expressions.parser import parse
from flaskmail.expressions.types import Type, Value, shortened, value_of

MAX_BRANCHES = 200
"""Members of an if-block."""


def compile_expression(
    text: str,
    *,
    variables: Mapping[str, Type],
    functions: Iterable[Function] = (),
    lookups: Mapping[str, Mapping[str, Any]] | None = None,
    config_get: Mapping[str, Any] | None = None,
    expected: Type = Type.ANY,
) -> Compiled:
    """Compile one expression.

    variables: name -> type of those it may use. functions: more than the built-in ones; ValueError when one has the name of
    a built-in. lookups: table -> key -> value, for ``key_get``; config_get: key -> value, for ``config_get``; both are read
    now, so a change needs a new compilation. expected: the types that the caller has use for.
    ExpressionError when it is wrong, always fails, or can never have a type that is expected.
    """
    scope = _scope(variables, functions, lookups, config_get)
    source = Source(text, "", scope, Frame({}))
    return _compiled(text, _expected(compiler.code(parse(text), source), expected, source), scope)


def compile_setting(
    raw: object,
    *,
    variables: Mapping[str, Type],
    functions: Iterable[Function] = (),
    lookups: Mapping[str, Mapping[str, Any]] | None = None,
    config_get: Mapping[str, Any] | None = None,
    expected: Type = Type.ANY,
) -> Compiled:
    """Compile what a setting holds: a text (an expression), a number or boolean (a value), or an if-block: a list of tables
    ``{if, then}`` and at last ``{else}``, as mappings or tuples of pairs. The first condition that is true decides; ``then``
    may use the captures of its ``if``.

    The other arguments are those of :func:`compile_expression`. ExpressionErrors with everything that is wrong.
    """
    scope = _scope(variables, functions, lookups, config_get)
    if isinstance(raw, (list, tuple)):
        return _Block(raw, scope, expected).compiled()
    source = Source("", "", scope, Frame({}))
    try:
        return _compiled(str(raw), _value(raw, source, expected), scope)
    except ExpressionError as error:
        raise ExpressionErrors(_with_strangers(error, raw, source)) from None


def _scope(
    variables: Mapping[str, Type],
    functions: Iterable[Function],
    lookups: Mapping[str, Mapping[str, Any]] | None,
    config: Mapping[str, Any] | None,
) -> Scope:
    known = {function.name: function for function in BUILTIN}
    for function in functions:
        if function.name in known:
            raise ValueError(f"there is already a function {function.name}")
        known[function.name] = function
    return Scope(variables, known, lookups or {}, config or {})


def _compiled(text: str, code: Code, scope: Scope) -> Compiled:
    try:
        return Compiled(text, code, scope.variables)
    except EvaluationError as error:
        raise ExpressionError(error.message, error.position, error.text, path=error.path) from None


def _expected(code: Code, expected: Type, source: Source) -> Code:
    if not code.type & expected:
        raise source.error(f"a value of the type {code.type} where {expected} is wanted", 0)
    return code


def _value(raw: object, source: Source, expected: Type) -> Code:
    """The code of a text, which is an expression, or of a number."""
    if isinstance(raw, str):
        source.text = raw
        return _expected(compiler.code(parse(raw), source), expected, source)
    source.text = str(raw)
    if not isinstance(raw, (int, float)):
        raise source.error(f"{shortened(source.text)} where an expression is wanted", 0)
    try:
        return _expected(constant(value_of(raw)), expected, source)
    except ValueError as error:
        raise source.error(str(error), 0) from None


def _with_strangers(error: ExpressionError, raw: object, source: Source) -> list[ExpressionError]:
    """The error, and beside it every name that nobody knows: whoever mends one wants to know of all."""
    try:
        names = compiler.strangers(parse(raw), source) if isinstance(raw, str) else []
    except ExpressionError:
        return [error]
    errors = {one.position: one for one in [*names, error]}
    return [errors[position] for position in sorted(errors)]


class _Block:
    """An if-block while it is compiled."""

    def __init__(self, raw: Sequence[object], scope: Scope, expected: Type) -> None:
        self.raw, self.scope, self.expected = raw, scope, expected
        self.errors: list[ExpressionError] = []
        self.branches: list[tuple[Code, Code]] = []
        self.otherwise: Code | None = None
        self.has_else = False
        self.folding = Frame({})
        self.outcomes: list[tuple[str, Value]] = []

    def wrong(self, message: str, path: str = "", hint: str = "") -> None:
        self.errors.append(BlockError(message, path=path, hint=hint))

    def compiled(self) -> Compiled:
        if len(self.raw) > MAX_BRANCHES:
            self.wrong(f"more than {MAX_BRANCHES} members")
        else:
            for number, member in enumerate(self.raw):
                self.member(number, member)
            if not self.raw:
                self.wrong("an empty list: it needs {if, then} and {else}")
            elif not self.has_else:
                self.wrong("Missing 'else': no member says what holds when no condition is true")
        if self.errors or self.otherwise is None:
            raise ExpressionErrors(self.errors)
        try:
            compiled = _compiled(str(list(self.raw)), self.code(self.otherwise), self.scope)
            compiled.outcomes = tuple(self.outcomes)
            return compiled
        except ExpressionError as error:
            raise ExpressionErrors([error]) from None

    def member(self, number: int, member: object) -> None:
        path, count = f"[{number}]", number + 1
        if isinstance(member, tuple):
            member = dict(member)
        if not isinstance(member, Mapping):
            self.wrong(f"{shortened(str(member))} where a table {{if, then}} or {{else}} is wanted", path)
            return
        for name in member:
            if name not in ("if", "then", "else"):
                hint = nearest(str(name), ("if", "then", "else"))
                self.wrong(f"Invalid property {shortened(str(name))} found in 'if' block", path, hint)
        source = Source("", path, self.scope, self.folding)
        if "else" in member:
            self.otherwise_member(member, number, source)
            return
        if self.has_else:
            self.wrong("'else' must be the last member: this one is never reached", path)
        if "if" not in member:
            if "then" in member:
                self.wrong("Found 'then' without 'if'", path)
            return
        condition = self.compile(member["if"], f"{path}.if", source, Type.ANY, condition=True)
        if "then" not in member:
            self.wrong(f"Missing 'then' in 'if' condition {count}", path)
            return
        # The same source: the captures of the condition hold in what follows from it.
        then = self.compile(member["then"], f"{path}.then", source, self.expected)
        if condition is not None and then is not None:
            self.branches.append((condition, then))

    def otherwise_member(self, member: Mapping[str, object], number: int, source: Source) -> None:
        path = source.path
        if "if" in member:
            self.wrong("Found 'if' in 'else' block", path)
        if "then" in member:
            self.wrong("Found 'then' in 'else' block", path)
        if self.has_else:
            self.wrong("Multiple 'else' found", path)
        elif number == 0:
            self.wrong("Found 'else' before 'if'", path)
        self.has_else = True
        self.otherwise = self.compile(member["else"], f"{path}.else", source, self.expected)

    def compile(
        self, raw: object, path: str, source: Source, expected: Type, *, condition: bool = False
    ) -> Code | None:
        source = dataclasses.replace(source, path=path) if not condition else source
        source.path = path
        try:
            if condition and isinstance(raw, str):
                source.text = raw
                return compiler.condition(parse(raw), source)
            code = _value(raw, source, expected)
            if code.constant is not None and not condition:
                self.outcomes.append((path, code.constant))
            return code
        except ExpressionError as error:
            for one in _with_strangers(error, raw, source):
                one.path = path
                self.errors.append(one)
            return None

    def code(self, otherwise: Code) -> Code:
        """The code of the whole block; branches that can never be taken are left away."""
        branches: list[tuple[Code, Code]] = []
        for condition, then in self.branches:
            if condition.constant is None:
                branches.append((condition, then))
            elif condition.constant:
                otherwise = then
                break
        parts = [part for branch in branches for part in branch] + [otherwise]
        if not branches:
            return otherwise
        runs, last = tuple((condition.run, then.run) for condition, then in branches), otherwise.run

        def run(frame: Frame) -> Value:
            for asked, then in runs:
                frame.captures = ()
                if asked(frame):
                    return then(frame)
            frame.captures = ()
            return last(frame)

        type = otherwise.type
        for _, then in branches:
            type |= then.type
        uses = frozenset[str]().union(*(part.uses for part in parts))
        return Code(type, run, uses, pure=all(part.pure for part in parts))
