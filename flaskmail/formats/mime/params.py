"""The values of Content-Type and Content-Disposition: a word and its parameters. RFC 2045 section 5.1, RFC 2231."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from flaskmail.formats.mime import charsets, words

MAX_PARAMETERS: Final = 1000
"""Parameters of one field that are read; the rest are ignored."""

MAX_VALUE: Final = 64 * 1024
"""Octets of one field that are read; the rest are ignored."""

_PARAMETER = re.compile(r'[;\s]*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"?|([^;]*+))', re.S)
# Other backslashes are those of Windows paths, which are not quoted pairs in practice.
_QUOTED_PAIR = re.compile(r'\\(["\\])')
# RFC 2231 section 3 and 4: name, "*" and the number of the piece, "*" when the piece is percent-encoded.
_EXTENDED = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?\Z")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UNFOLD = {0: None, 10: None, 13: None}


def parse(value: bytes) -> tuple[str, dict[str, str]]:
    """The leading word in lower case without comments, and the parameters, lower-case names to decoded values.

    ``value`` is the raw field value, folding and all. Of a parameter given twice the first counts; the RFC 2231 form
    (``filename*``, ``filename*0``) wins over the plain one (RFC 6266 section 4.3). Never raises.
    """
    text = charsets.sniff(value[:MAX_VALUE]).translate(_UNFOLD)
    head, semicolon, rest = text.partition(";")
    if "(" in head:
        head, semicolon, rest = without_comments(text).partition(";")
    return head.strip().lower(), _parameters(rest) if semicolon else {}


def file_name(value: str) -> str | None:
    """A file name parameter for people: encoded words decoded wherever they stand, control characters dropped.

    None when nothing is left.
    """
    name = words.nfc(_CONTROLS.sub("", words.decode(value, anywhere=True))).strip()
    return name or None


def without_comments(text: str) -> str:
    """``text`` without RFC 5322 comments (nested ones too), each replaced by a space; quoted strings stay.

    A comment that does not end runs to the end of the text.
    """
    out: list[str] = []
    depth = start = 0
    quoted = skip = False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif quoted:
            quoted = char != '"'
        elif char == '"' and not depth:
            quoted = True
        elif char == "(":
            if not depth:
                out.append(text[start:at])
            depth += 1
        elif char == ")" and depth:
            depth -= 1
            start = at + 1
    if not depth:
        out.append(text[start:])
    return " ".join(out) if len(out) > 1 else "".join(out)


def _parameters(rest: str) -> dict[str, str]:
    params: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    at = 0
    for _ in range(MAX_PARAMETERS):
        found = _PARAMETER.match(rest, at)
        if found is None:
            at = rest.find(";", at) + 1
            if not at or at >= len(rest):
                break
            continue
        at = found.end()
        name, quoted, token = found.groups()
        name = name.lower()
        if quoted is None:
            value = _token(token)
        else:
            value = _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted
            # What stands between the closing quote and the next semicolon is a comment, or noise.
            end = rest.find(";", at)
            at = len(rest) if end < 0 else end
        if "*" in name and (extended := _EXTENDED.match(name)):
            base, number, encoded = extended.groups()
            pieces.setdefault(base, {}).setdefault(int(number or 0), (value, encoded is not None))
        else:
            params.setdefault(name, value)
        if at >= len(rest):
            break
    for base, numbered in pieces.items():
        if 0 in numbered:
            params[base] = _joined(numbered)
    return params


def _token(token: str) -> str:
    value = token.strip()
    if value.endswith(")") and (at := value.rfind("(")) > 0:
        value = value[:at].rstrip()
    return value


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    value, encoded = numbered[0]
    charset: str | None = None
    if encoded:
        # RFC 2231 section 4: charset'language'value, in the first piece only.
        fields = value.split("'", 2)
        if len(fields) == 3:
            charset, value = fields[0] or None, fields[2]
    octets: list[bytes] = []
    number = 0
    while True:
        octets.append(unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace"))
        number += 1
        if number not in numbered:
            break
        value, encoded = numbered[number]
    data = b"".join(octets)
    return charsets.decode(data, charset)[0] if charset else charsets.sniff(data)
