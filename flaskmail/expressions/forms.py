"""The calls that are compiled in a way of their own: ``if_then``, ``matches``, ``key_get``, ``key_exists``, ``config_get``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flaskmail.expressions.budget import Frame
from flaskmail.expressions.codes import Code, Compile, Source, constant, nearest
from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.nodes import Call, Literal
from flaskmail.expressions.regex import Pattern
from flaskmail.expressions.types import Type, Value, octets, shortened, text_of, value_of

Form = Callable[[Call, Source, Compile], Code]
"""Makes code of a call: (call, its source, the compiler for its arguments)."""

DEFAULT_TABLE = "default"
"""The table of ``key_get('', …)``."""


def _if_then(node: Call, source: Source, compile: Compile) -> Code:
    source.refuse_text(node.arguments[0])
    condition = compile(node.arguments[0], source)
    chosen, other = (compile(argument, source) for argument in node.arguments[1:])
    if condition.constant is not None:
        return chosen if condition.constant else other
    asked, then, otherwise = condition.run, chosen.run, other.run

    def run(frame: Frame) -> Value:
        return then(frame) if asked(frame) else otherwise(frame)

    return source.folded(run, chosen.type | other.type, condition, chosen, other)


def _literal(node: Call, index: int, what: str, source: Source) -> str:
    argument = node.arguments[index]
    if not isinstance(argument, Literal) or not isinstance(argument.value, str):
        raise source.error(f"{what} of {node.name} that is not a text as it stands", argument.position)
    return argument.value


def _matches(node: Call, source: Source, compile: Compile) -> Code:
    try:
        pattern = Pattern(_literal(node, 0, "a pattern", source))
    except Refusal as refusal:
        raise source.error(str(refusal), node.arguments[0].position) from None
    subject = compile(node.arguments[1], source)
    source.groups = max(source.groups or 0, pattern.groups)
    read, cost = subject.run, pattern.cost

    def run(frame: Frame) -> Value:
        value = read(frame)
        try:
            for one in value if isinstance(value, tuple) else (value,):
                octets_ = octets(text_of(one))
                frame.spend(1 + cost * (len(octets_) + 1) // 4)
                found = pattern.search(octets_)
                if found is not None:
                    frame.captures = found
                    return 1
        except Refusal as refusal:
            raise source.failure(f"matches: {refusal}", node.position) from None
        frame.captures = ()
        return 0

    # Never worked out at once: it leaves captures behind.
    return Code(Type.INTEGER, run, subject.uses, pure=subject.pure)


def _table(name: str, source: Source) -> Mapping[str, Any]:
    lookups = source.scope.lookups
    found = lookups.get(name or DEFAULT_TABLE)
    if found is None:
        if not name or name == DEFAULT_TABLE:
            return {}
        raise Refusal(f"there is no table [lookup.{name if name.isprintable() else '?'}]")
    return found


def _looked_up(answer: Callable[[Mapping[str, Any], str], Value], type: Type) -> Form:
    def form(node: Call, source: Source, compile: Compile) -> Code:
        parts = [compile(argument, source) for argument in node.arguments]
        for part, argument in zip(parts, node.arguments, strict=True):
            if not part.type & Type.SCALAR:
                raise source.error(f"a list as an argument of {node.name}", argument.position)
        table, key = parts
        if table.constant is not None:
            try:
                _table(text_of(table.constant), source)
            except Refusal as refusal:
                hint = nearest(text_of(table.constant), source.scope.lookups)
                raise source.error(str(refusal), node.arguments[0].position, hint) from None
        table_run, key_run = table.run, key.run

        def run(frame: Frame) -> Value:
            name, wanted = table_run(frame), key_run(frame)
            try:
                frame.spend(1)
                return answer(_table(text_of(name), source), text_of(wanted))
            except (Refusal, ValueError) as refusal:
                raise source.failure(f"{node.name}: {refusal}", node.position) from None

        return source.folded(run, type, *parts)

    return form


def _config_get(node: Call, source: Source, compile: Compile) -> Code:
    key = _literal(node, 0, "a key", source)
    config = source.scope.config
    if key not in config:
        raise source.error(
            f"config_get of {shortened(key)}, which is no setting that can be read",
            node.arguments[0].position,
            nearest(key, config),
        )
    return constant(value_of(config[key]))


FORM_COMPILERS: dict[str, Form] = {
    "if_then": _if_then,
    "matches": _matches,
    "key_get": _looked_up(lambda table, key: value_of(table.get(key, "")), Type.ANY),
    "key_exists": _looked_up(lambda table, key: int(key in table), Type.INTEGER),
    "config_get": _config_get,
}
"""Name -> what makes code of the call."""
