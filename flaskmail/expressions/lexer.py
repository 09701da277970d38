"""Source text -> tokens with positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from flaskmail.expressions.errors import ExpressionError
from flaskmail.expressions.types import MAX_INTEGER, shortened

MAX_LENGTH = 10_000
"""Characters of an expression."""


class Kind(Enum):
    """What a token is."""

    TEXT = "text"
    NUMBER = "number"
    NAME = "name"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """position: index of its first character; end: index after its last one; value: a text or number itself, the name, or
    the operator in its usual spelling."""

    kind: Kind
    position: int
    end: int
    value: str | int | float


_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$]*", re.ASCII)
_NUMBER = re.compile(r"([0-9]+)(\.[0-9]+)?([A-Za-z_.$][A-Za-z0-9_.$]*)?", re.ASCII)
_SIGN = re.compile(r"&&|\|\||==|!=|>=|=>|<=|=<|[-+*/<>=!^&|()\[\],]")
_SPELLINGS = {"&": "&&", "|": "||", "=": "==", "=>": ">=", "=<": "<="}
_QUOTED = re.compile(r"[^\\'\"]+|\\.|['\"]", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def tokens(text: str) -> list[Token]:
    """All tokens of an expression, the last of the kind END. ExpressionError for what cannot be read."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"more than {MAX_LENGTH} characters", MAX_LENGTH, text)
    found: list[Token] = []
    position = 0
    while True:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if position == len(text):
            found.append(Token(Kind.END, position, position, ""))
            return found
        token = _token(text, position)
        found.append(token)
        position = token.end


def _token(text: str, position: int) -> Token:
    character = text[position]
    if character in "'\"":
        return _quoted(text, position)
    if match := _NUMBER.match(text, position):
        return Token(Kind.NUMBER, position, match.end(), _number(match, text))
    if match := _NAME.match(text, position):
        return Token(Kind.NAME, position, match.end(), match[0])
    if match := _SIGN.match(text, position):
        return Token(Kind.SIGN, position, match.end(), _SPELLINGS.get(match[0], match[0]))
    raise ExpressionError(f"the character {shortened(character)} has no meaning here", position, text)


def _number(match: re.Match[str], text: str) -> int | float:
    whole, fraction, unit = match.groups()
    if unit is not None and (fraction is not None or unit not in _UNITS):
        raise ExpressionError(
            f"{shortened(match[0])} is neither a number nor a duration like 500ms, 10s, 5m, 1h or 1d",
            match.start(),
            text,
        )
    # Digits are counted before they are converted: that takes quadratic time.
    if len(whole.lstrip("0")) > 19 or len(fraction or "") > 31:
        raise ExpressionError("a number with too many digits", match.start(), text)
    if fraction is not None:
        return float(match[0])
    number = int(whole) * (_UNITS[unit] if unit else 1)
    if number > MAX_INTEGER:
        raise ExpressionError(f"an integer above {MAX_INTEGER}", match.start(), text)
    return number


def _quoted(text: str, start: int) -> Token:
    quote, position = text[start], start + 1
    parts: list[str] = []
    while match := _QUOTED.match(text, position):
        part, position = match[0], match.end()
        if part == quote:
            return Token(Kind.TEXT, start, position, "".join(parts))
        # Any other backslash stays, so that regular expressions can be written as they are.
        parts.append(_ESCAPES.get(part[1], part) if part[0] == "\\" else part)
    raise ExpressionError(f"a text that is not ended by {quote}", start, text)
