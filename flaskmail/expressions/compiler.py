"""Syntax tree -> types checked, constants worked out, closures made."""

from __future__ import annotations

from flaskmail.expressions import operators
from flaskmail.expressions.budget import Frame
from flaskmail.expressions.calls import call
from flaskmail.expressions.codes import Code, Source, constant, nearest
from flaskmail.expressions.errors import ExpressionError, Refusal
from flaskmail.expressions.forms import FORM_COMPILERS
from flaskmail.expressions.functions import Function
from flaskmail.expressions.nodes import Call, Capture, Chain, Index, Items, Literal, Name, Node, Unary
from flaskmail.expressions.types import Type, Value, integer_of, shortened

ABSENT = {
    "dns_query": "it would wait for the network at each request",
    "sql_query": "it would wait for a database at each request",
    "key_set": "it would write at each request",
    "counter_get": "there are no counters",
    "counter_incr": "it would write at each request",
    "is_local_domain": "it would ask the accounts at each request",
    "is_local_address": "it would ask the accounts at each request",
}
"""Functions of Stalwart that do not exist here, and why."""


def code(node: Node, source: Source) -> Code:
    """The code of a node; ExpressionError when a name is unknown, types do not go together, or a constant part fails."""
    match node:
        case Literal():
            return constant(node.value)
        case Name():
            return _variable(node, source)
        case Capture():
            return _capture(node, source)
        case Items():
            return _items(node, source)
        case Index():
            return _index(node, source)
        case Call():
            return _call(node, source)
        case Unary():
            return _unary(node, source)
        case Chain():
            return _chain(node, source)


def condition(node: Node, source: Source) -> Code:
    """The code of a node that is asked whether it is true. A text as it stands is refused: ``'false'`` would be true."""
    source.refuse_text(node)
    return code(node, source)


def _variable(node: Name, source: Source) -> Code:
    name, scope = node.name, source.scope
    if name in scope.variables:
        return Code(scope.variables[name], lambda frame: frame.variables[name], frozenset((name,)))
    if name in scope.functions:
        raise source.error(f"a function without arguments: it is {scope.functions[name].signature}", node.position)
    raise source.error(f"the unknown variable {shortened(name)}", node.position, nearest(name, scope.variables))


def _capture(node: Capture, source: Source) -> Code:
    number = node.number
    if source.groups is None:
        raise source.error(f"${number} without a matches() before it", node.position)
    if number > source.groups:
        raise source.error(f"${number}, but the pattern has {source.groups} groups", node.position)

    def run(frame: Frame) -> Value:
        return frame.captures[number] if number < len(frame.captures) else ""

    # It has no variables of its own, but is as variable as the latest matches().
    return Code(Type.TEXT, run)


def _items(node: Items, source: Source) -> Code:
    parts = [code(item, source) for item in node.items]
    runs = [part.run for part in parts]

    def run(frame: Frame) -> Value:
        return tuple([one(frame) for one in runs])

    return source.folded(run, Type.LIST, *parts)


def _position(index: Value) -> int:
    """The place of a member in a list. Refusal when it can be none."""
    number = integer_of(index)
    if number < 0:
        raise Refusal("an index below zero")
    return number


def _index(node: Index, source: Source) -> Code:
    of, index = code(node.list, source), code(node.index, source)
    if not of.type & Type.LIST:
        raise source.error(f"an index after a value of the type {of.type}", node.position)
    if not index.type & Type.SCALAR:
        raise source.error("a list as an index", node.position)
    listed, indexed = of.run, index.run
    if index.constant is not None:
        try:
            _position(index.constant)
        except Refusal as refusal:
            raise source.error(str(refusal), node.position) from None

    def run(frame: Frame) -> Value:
        values, raw = listed(frame), indexed(frame)
        try:
            number = _position(raw)
            if not isinstance(values, tuple):
                raise Refusal("an index into a value that is not a list")
        except Refusal as refusal:
            raise source.failure(str(refusal), node.position) from None
        return values[number] if number < len(values) else ""

    return source.folded(run, Type.ANY, of, index)


def strangers(node: Node, source: Source) -> list[ExpressionError]:
    """What is wrong with the names in a node that nobody knows, from left to right."""
    found: list[ExpressionError] = []
    parts: tuple[Node, ...] = ()
    try:
        match node:
            case Name():
                _variable(node, source)
            case Call():
                parts = node.arguments
                _function(node, source)
            case Items():
                parts = node.items
            case Index():
                parts = (node.list, node.index)
            case Unary():
                parts = (node.operand,)
            case Chain():
                parts = (node.first, *(term for _, _, term in node.rest))
            case _:
                pass
    except ExpressionError as error:
        found.append(error)
    for part in parts:
        found += strangers(part, source)
    return found


def _function(node: Call, source: Source) -> Function:
    scope = source.scope
    function = scope.functions.get(node.name)
    if function is None:
        if node.name in scope.variables:
            raise source.error(f"a call of {node.name}, which is a variable", node.position)
        if node.name in ABSENT:
            raise source.error(f"the function {node.name}, which is left out: {ABSENT[node.name]}", node.position)
        raise source.error(
            f"the unknown function {shortened(node.name)}", node.position, nearest(node.name, scope.functions)
        )
    return function


def _call(node: Call, source: Source) -> Code:
    function = _function(node, source)
    if len(node.arguments) != len(function.parameters):
        raise source.error(f"{len(node.arguments)} arguments for {function.signature}", node.position)
    if function.call is None:
        return FORM_COMPILERS[function.name](node, source, code)
    return call(function, node, [code(argument, source) for argument in node.arguments], source)


def _unary(node: Unary, source: Source) -> Code:
    if node.operator == "!":
        part = condition(node.operand, source)
        operand = part.run
        return source.folded(lambda frame: int(not operand(frame)), Type.INTEGER, part)
    part = code(node.operand, source)
    if not part.type & Type.SCALAR:
        raise source.error("- before a list", node.position)
    number = part.run

    def run(frame: Frame) -> Value:
        value = number(frame)
        try:
            return operators.negative(value)
        except Refusal as refusal:
            raise source.failure(str(refusal), node.position) from None

    type = Type.NUMBER if part.type & Type.TEXT else part.type & Type.NUMBER
    return source.folded(run, type, part)


def _chain(node: Chain, source: Source) -> Code:
    if node.rest[0][0] in ("&&", "||"):
        return _logical(node, source)
    truth = node.rest[0][0] == "^"
    first = condition(node.first, source) if truth else code(node.first, source)
    type, parts, steps = first.type, [first], []
    for operator, position, term in node.rest:
        part = condition(term, source) if truth else code(term, source)
        found = operators.result(operator, type, part.type)
        if not found:
            raise source.error(f"{operator} between {type} and {part.type}", position)
        if operator == "/" and part.constant is not None and operators.equal(part.constant, 0):
            raise source.error("a division by zero", position)
        type = found
        parts.append(part)
        steps.append((operators.BINARY[operator], part.run, position))
    begin = first.run

    def run(frame: Frame) -> Value:
        value = begin(frame)
        for operation, term, position in steps:
            other = term(frame)
            try:
                value = operation(frame, value, other)
            except Refusal as refusal:
                raise source.failure(str(refusal), position) from None
        return value

    return source.folded(run, type, *parts)


def _logical(node: Chain, source: Source) -> Code:
    """``&&`` and ``||``: 1 or 0; the terms after the one that decides are not evaluated."""
    decides = node.rest[0][0] == "||"
    parts = []
    decided = False
    for term in (node.first, *(term for _, _, term in node.rest)):
        part = condition(term, source)
        if decided:
            continue
        if part.constant is None:
            parts.append(part)
        elif bool(part.constant) is decides:
            decided = True
    if not parts:
        return constant(int(decided is decides))
    terms, otherwise = tuple(part.run for part in parts), int(decided is decides)

    def run(frame: Frame) -> Value:
        for term in terms:
            if bool(term(frame)) is decides:
                return int(decides)
        return otherwise

    return source.folded(run, Type.INTEGER, *parts)
