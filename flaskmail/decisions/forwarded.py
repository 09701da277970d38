"""The Forwarded field of RFC 7239, parsed strictly from left to right.

Strictness is what makes it safe: quotes that a client opens stay open behind what the proxy appends, so the field as a whole
is refused; nothing that a client wrote can be read as the proxy's words.
"""

from __future__ import annotations

import re

Element = dict[str, str]
"""The pairs of one element, names in lower case."""


class BadForwarded(ValueError):
    """A forwarded header that cannot be understood; the request is answered 400."""


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_QUOTED = r'"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"'
# Addresses with ports stand unquoted in much that is sent, and no reading of them is doubtful.
_PAIR = re.compile(rf"({_TOKEN}+)=(?:{_QUOTED}|((?:{_TOKEN}|[:\[\]])+))")
_BLANKS = re.compile(r"[ \t]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_forwarded(text: str) -> list[Element]:
    """The elements with a pair in them, in order. BadForwarded for a syntax error anywhere, and for a parameter twice in an
    element (RFC 7239 section 4)."""
    elements: list[Element] = []
    element: Element = {}
    position, end = 0, len(text)
    while True:
        position = _past_blanks(text, position)
        if position < end and text[position] not in ",;":
            pair = _PAIR.match(text, position)
            if pair is None:
                raise BadForwarded("The Forwarded header is malformed.")
            name, quoted, plain = pair[1].lower(), pair[2], pair[3]
            if name in element:
                raise BadForwarded(f"The Forwarded header has two {name!r} in one element.")
            element[name] = plain if quoted is None else _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
            position = _past_blanks(text, pair.end())
        if position == end or text[position] == ",":
            if element:
                elements.append(element)
                element = {}
            if position == end:
                return elements
        elif text[position] != ";":
            raise BadForwarded("The Forwarded header is malformed.")
        position += 1


def _past_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position
