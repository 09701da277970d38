"""Tokens -> syntax tree: recursive descent for what is nested, precedence climbing for operators."""

from __future__ import annotations

from flaskmail.expressions.errors import ExpressionError
from flaskmail.expressions.lexer import Kind, Token, tokens
from flaskmail.expressions.nodes import MAX_DEPTH, Call, Capture, Chain, Index, Items, Literal, Name, Node, Unary
from flaskmail.expressions.types import shortened

LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("^",),
    ("==", "!="),
    (">", ">=", "<", "<="),
    ("+", "-"),
    ("*", "/"),
)
"""Binary operators, the loosest first; each level goes from left to right. ``!`` and ``-`` before a value bind tighter."""

PRECEDENCE = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}
_COMPARISONS = {PRECEDENCE["=="], PRECEDENCE["<"]}


def parse(text: str) -> Node:
    """The tree of an expression; ExpressionError, with the position, when it is not one."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    def whole(self) -> Node:
        if self.ended():
            raise self.wrong("an empty expression")
        node = self.operators(0)
        if not self.ended():
            raise self.unexpected("an operator or the end")
        return node

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def ended(self) -> bool:
        return self.token.kind is Kind.END

    def wrong(self, message: str, position: int | None = None) -> ExpressionError:
        return ExpressionError(message, self.token.position if position is None else position, self.text)

    def unexpected(self, wanted: str) -> ExpressionError:
        token = self.token
        if token.kind is Kind.END:
            return self.wrong(f"the expression ends where {wanted} is missing")
        return self.wrong(f"{shortened(self.text[token.position : token.end])} where {wanted} is wanted")

    def sign(self, *signs: str) -> Token | None:
        """The next token if it is one of these signs; it is taken then."""
        token = self.token
        if token.kind is Kind.SIGN and token.value in signs:
            self.at += 1
            return token
        return None

    def below(self, position: int, *nodes: Node) -> int:
        """The depth of a node above these."""
        depth = 1 + max((node.depth for node in nodes), default=0)
        if depth > MAX_DEPTH:
            raise self.wrong(f"nested deeper than {MAX_DEPTH} levels", position)
        return depth

    def operators(self, level: int) -> Node:
        """Terms joined by operators of this level and tighter ones."""
        first = self.unary()
        while self.token.kind is Kind.SIGN:
            here = PRECEDENCE.get(str(self.token.value), -1)
            if here < level:
                break
            rest: list[tuple[str, int, Node]] = []
            while operator := self.sign(*LEVELS[here]):
                if rest and here in _COMPARISONS:
                    raise self.wrong(
                        "a comparison of a comparison: join two with &&, or use parentheses", operator.position
                    )
                rest.append((str(operator.value), operator.position, self.operators(here + 1)))
            depth = self.below(rest[0][1], first, *(term for _, _, term in rest))
            first = Chain(first.position, first, tuple(rest), depth)
        return first

    def unary(self) -> Node:
        signs = []
        while sign := self.sign("!", "-"):
            signs.append(sign)
        node = self.indexed()
        for sign in reversed(signs):
            node = Unary(sign.position, str(sign.value), node, self.below(sign.position, node))
        return node

    def indexed(self) -> Node:
        node = self.primary()
        while bracket := self.sign("["):
            if isinstance(node, Literal):
                raise self.wrong("an index after something that is not a list", bracket.position)
            index = self.nested()
            self.close("]")
            node = Index(bracket.position, node, index, self.below(bracket.position, node, index))
        return node

    def nested(self) -> Node:
        """An expression inside of brackets."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.wrong(f"nested deeper than {MAX_DEPTH} levels")
        node = self.operators(0)
        self.depth -= 1
        return node

    def close(self, sign: str) -> None:
        if not self.sign(sign):
            raise self.unexpected(f"an operator or {sign!r}")

    def listed(self, end: str) -> tuple[Node, ...]:
        """Expressions between commas, up to the closing sign."""
        if self.sign(end):
            return ()
        found = [self.nested()]
        while self.sign(","):
            found.append(self.nested())
        if not self.sign(end):
            raise self.unexpected(f"',' or {end!r}")
        return tuple(found)

    def primary(self) -> Node:
        token = self.token
        if token.kind in (Kind.TEXT, Kind.NUMBER):
            self.at += 1
            return Literal(token.position, token.value)
        if self.sign("("):
            node = self.nested()
            self.close(")")
            return node
        if self.sign("["):
            items = self.listed("]")
            return Items(token.position, items, self.below(token.position, *items))
        if token.kind is Kind.NAME:
            self.at += 1
            return self.named(token, str(token.value))
        raise self.unexpected("a value")

    def named(self, token: Token, name: str) -> Node:
        if self.sign("("):
            arguments = self.listed(")")
            return Call(token.position, name, arguments, self.below(token.position, *arguments))
        if name.startswith("$"):
            if not (name[1:].isascii() and name[1:].isdigit() and len(name) <= 4):
                raise self.wrong(
                    f"{shortened(name)} is not a capture: $0 is what matched, $1 its first group", token.position
                )
            return Capture(token.position, int(name[1:]))
        if name in ("true", "false"):
            return Literal(token.position, int(name == "true"))
        return Name(token.position, name)
