"""Calls of declared functions: arguments checked and converted, work paid for, results checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flaskmail.expressions.budget import Frame
from flaskmail.expressions.codes import Code, Source
from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.functions import BUILTIN, Function
from flaskmail.expressions.nodes import Call
from flaskmail.expressions.types import Type, Value, integer_of, number_of, text_of, type_of, value_of, weight

_OURS = {id(function) for function in BUILTIN}


def _same(value: Value) -> Value:
    return value


def _listed(value: Value) -> Value:
    if not isinstance(value, tuple):
        raise Refusal("something else where a list is wanted")
    return value


def _scalar(value: Value) -> Value:
    if isinstance(value, tuple):
        raise Refusal("a list where a single value is wanted")
    return value


def _converter(type: Type) -> tuple[Type, Callable[[Value], Value]]:
    """The types that a parameter accepts, and what makes one of its own type of them."""
    if type in (Type.TEXT, Type.INTEGER):
        return Type.SCALAR, text_of if type is Type.TEXT else integer_of
    if type & Type.SCALAR and not type & ~Type.NUMBER:
        return Type.SCALAR, number_of
    if type is Type.LIST:
        return Type.LIST, _listed
    return (type, _same) if type & Type.LIST else (Type.SCALAR, _scalar)


def call(function: Function, node: Call, arguments: Sequence[Code], source: Source) -> Code:
    """The code of a call. Its arguments are as many as the function takes."""
    converters = []
    for index, (parameter, argument) in enumerate(zip(function.parameters, arguments, strict=True)):
        accepted, convert = _converter(parameter.type)
        if function.maps and index == 0:
            accepted |= Type.LIST
        if not argument.type & accepted:
            raise source.error(
                f"{argument.type} for {parameter.name!r} of {function.signature}, which takes {accepted}",
                node.arguments[index].position,
            )
        if parameter.check is not None and argument.constant is not None:
            try:
                parameter.check(convert(argument.constant))
            except (Refusal, ValueError) as error:
                raise source.error(f"{function.name}: {error}", node.arguments[index].position) from None
        converters.append(convert)
    runs = tuple(argument.run for argument in arguments)
    work: Callable[..., Any] = function.call or _same
    ours, cost, returns, position = id(function) in _OURS, function.cost, function.returns, node.position
    text_first = converters[0] if converters else _same

    def applied(frame: Frame, values: list[Value]) -> Value:
        frame.spend(1 + sum(map(weight, values)) + (cost(*values) if cost else 0))
        if ours:
            found: Value = work(*values)
        else:
            found = value_of(work(*values))
            if not type_of(found) & returns:
                raise Refusal(f"a result of the type {type_of(found)}, which is declared {returns}")
        frame.spend(weight(found))
        return found

    def run(frame: Frame) -> Value:
        raw = [one(frame) for one in runs]
        try:
            if function.maps and isinstance(raw[0], tuple):
                others = [convert(value) for convert, value in zip(converters[1:], raw[1:], strict=True)]
                return tuple([applied(frame, [text_first(one), *others]) for one in raw[0]])
            return applied(frame, [convert(value) for convert, value in zip(converters, raw, strict=True)])
        except (Refusal, ValueError) as error:
            raise source.failure(f"{function.name}: {error}", position) from None
        except (Exception, SystemExit) as error:
            # A third party's function; whoever asked must not see a traceback.
            raise source.failure(f"{function.name} failed with {type(error).__name__}", position) from error

    type_ = returns
    if function.maps and arguments[0].type & Type.LIST:
        type_ = Type.LIST | (returns if arguments[0].type & Type.SCALAR else Type(0))
    return source.folded(run, type_, *arguments, pure=function.pure)
