"""Writes messages: header fields encoded and folded, parts encoded for transport (RFC 5322, 2045-2047, 2231, 6532).

Values in, octets out; nothing is looked up. Every function that writes a header field's value answers text without a
bare CR, LF or NUL, so that no value can begin another field: what cannot be written so raises ``Unwritable``.
Lines are folded at 78 characters where white space allows, and are never longer than 998 octets (RFC 5322 section 2.1.1).
"""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from flaskmail.formats.mime import forms

LINE = 76
"""Octets of a line that folding aims at; RFC 5322 section 2.1.1 recommends 78 at most."""
LONGEST_LINE = 998

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
# RFC 6532 section 3.2: atoms and domains may hold UTF-8. Said by what they may not hold, which compiles in no time.
_ATOM = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]+'
_DOT_ATOM = rf"{_ATOM}(?:\.{_ATOM})*"
_ADDR_SPEC = re.compile(rf'(?:{_DOT_ATOM}|"(?:[^"\\\r\n\x00]|\\[ -~])*")@(?:{_DOT_ATOM}|\[[!-Z^-~]*\])')
_DOMAIN = re.compile(rf"{_DOT_ATOM}|\[[!-Z^-~]*\]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_BRACKETED = re.compile(r"[^\x00-\x20\x7f<>]+")
_WORDS = re.compile(r"([ \t]*)([^ \t]+)")
_LONG_WORD = 900
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_ATTRIBUTE_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")


class Unwritable(ValueError):
    """A value cannot stand in a message; the text says why in one sentence."""


# ---- header field values


def text(value: str) -> str:
    """An unstructured value: ASCII words as they are, other runs as RFC 2047 encoded words, UTF-8. Raises Unwritable for
    control characters."""
    _refuse_control(value)
    words: list[tuple[str, str]] = _WORDS.findall(value)
    if not words:
        return encoded_words(value)
    strange = [
        i
        for i, (gap, word) in enumerate(words)
        if not word.isascii() or "=?" in word or len(word) > _LONG_WORD or (i == 0 and gap)
    ]
    if value != value.rstrip(" \t"):
        strange.append(len(words) - 1)
    if not strange:
        return value
    first, last = strange[0], strange[-1]
    before = "".join(gap + word for gap, word in words[:first])
    after = "".join(gap + word for gap, word in words[last + 1 :])
    start_gap = words[first][0]
    middle = "".join(gap + word for gap, word in words[first : last + 1])[len(start_gap) :]
    if last == len(words) - 1:
        middle += value[len(value.rstrip(" \t")) :]
    if first == 0:
        middle = start_gap + middle
        start_gap = ""
    return before + start_gap + encoded_words(middle) + after


def encoded_words(value: str) -> str:
    """RFC 2047 section 2: encoded words of at most 75 characters, none of which splits a character; the first is shorter, because
    a field's name stands before it in a line of at most 76. Tabs become spaces, because readers drop control characters
    (RFC 8621 section 4.1.2.2)."""
    value = value.replace("\t", " ")
    octets = value.encode()
    quoted = sum(1 if b in _Q_SAFE or b == 32 else 3 for b in octets)
    write, room = (_q_word, 63) if quoted <= (len(octets) + 2) // 3 * 4 else (_b_word, 45)
    out: list[str] = []
    piece, used = bytearray(), 0
    for character in value:
        new = character.encode()
        cost = len(new) if write is _b_word else sum(1 if b in _Q_SAFE or b == 32 else 3 for b in new)
        if used + cost > (room if out else room - 18):
            out.append(write(bytes(piece)))
            piece, used = bytearray(), 0
        piece += new
        used += cost
    if piece:
        out.append(write(bytes(piece)))
    return " ".join(out)


def _q_word(octets: bytes) -> str:
    return "=?utf-8?q?" + "".join(chr(b) if b in _Q_SAFE else "_" if b == 32 else f"={b:02X}" for b in octets) + "?="


def _b_word(octets: bytes) -> str:
    return "=?utf-8?b?" + binascii.b2a_base64(octets, newline=False).decode() + "?="


def phrase(value: str) -> str:
    """A display name (RFC 5322 section 3.2.5): atoms, a quoted string, or encoded words; "" for nothing but spaces."""
    _refuse_control(value)
    value = value.strip(" \t")
    if not value:
        return ""
    if not value.isascii() or any(len(word) > _LONG_WORD for word in value.split(" ")):
        return encoded_words(value)
    if "=?" in value:
        return encoded_words(value)
    if _ATOMS.fullmatch(value):
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def address(item: Mapping[str, Any]) -> str:
    """One EmailAddress (RFC 8621 section 4.1.2.3), ``{"name": str | None, "email": str}``, as a ``mailbox``.

    An ``email`` that is no addr-spec (a half-written draft) is quoted, so that it stays one address."""
    email = item["email"]
    _refuse_control(email)
    if len(email.encode()) > _LONG_WORD:
        raise Unwritable("an email address is longer than 900 octets")
    name = phrase(item.get("name") or "")
    if not _ADDR_SPEC.fullmatch(email):
        local, at, domain = email.rpartition("@")
        # A whole quoted string keeps "," and ">" from ending the address.
        email = f"{_quoted(local)}@{domain}" if at and local and _DOMAIN.fullmatch(domain) else _quoted(email)
        return f"{name} <{email}>" if name else f"<{email}>"
    return f"{name} <{email}>" if name else str(email)


def addresses(items: Iterable[Mapping[str, Any]]) -> str:
    """EmailAddress[] as an address-list."""
    return ", ".join(address(item) for item in items)


def grouped_addresses(groups: Iterable[Mapping[str, Any]]) -> str:
    """EmailAddressGroup[] (RFC 8621 section 4.1.2.4) as an address-list."""
    out = []
    for group in groups:
        members = addresses(group["addresses"])
        if group.get("name") is None:
            out.extend([members] if members else [])
        else:
            out.append(f"{phrase(group['name']) or _quoted('')}: {members};")
    return ", ".join(out)


def message_ids(ids: Iterable[str]) -> str:
    """String[] as a list of msg-ids (RFC 5322 section 3.6.4); the values come without angle brackets."""
    out = []
    for value in ids:
        written = _bracketed(value, "a message id")
        if "(" in value and forms.as_message_ids(written.encode()) != [value]:
            raise Unwritable("a message id may not hold a comment")
        out.append(written)
    return " ".join(out)


def urls(values: Iterable[str]) -> str:
    """String[] as RFC 2369 section 2 lists URLs."""
    return ", ".join(_bracketed(value, "a URL") for value in values)


def _bracketed(value: str, what: str) -> str:
    if not _BRACKETED.fullmatch(value):
        raise Unwritable(f"{what} may not be empty nor hold white space, control characters, '<' or '>'")
    if len(value.encode()) > _LONG_WORD:
        raise Unwritable(f"{what} is longer than 900 octets")
    return f"<{value}>"


def date(value: datetime) -> str:
    """An aware datetime as date-time (RFC 5322 section 3.3)."""
    if value.year < 1900:
        raise Unwritable("a date before 1900 cannot be written")
    return format_datetime(value)


_BAD_RAW = re.compile(r"\x00|\r(?!\n[ \t]+[^ \t\r\n])|(?<!\r)\n")


def raw(value: str) -> str:
    """A value in Raw form (RFC 8621 section 4.1.2.1): as it is, folds included.

    Raises Unwritable for NUL and for any CR or LF that is not part of a fold."""
    if _BAD_RAW.search(value):
        raise Unwritable("a header field's value may not hold NUL, nor CR or LF other than in a fold")
    return value


def parameters(pairs: Iterable[tuple[str, str]]) -> str:
    """``; name=value`` for each: tokens, quoted strings, or RFC 2231 with UTF-8, continued when long."""
    out = []
    for name, value in pairs:
        _refuse_control(value)
        if not _TOKEN.fullmatch(name):
            raise Unwritable("a parameter's name must be a token")
        if value.isascii() and len(value) + len(name) <= 66:
            out.append(f"; {name}={value}" if _TOKEN.fullmatch(value) else f"; {name}={_quoted(value)}")
        else:
            out.append(_long_parameter(name, value.encode()))
    return "".join(out)


def _long_parameter(name: str, octets: bytes) -> str:
    coded = [chr(b) if b in _ATTRIBUTE_SAFE else f"%{b:02X}" for b in octets]
    lines, line = [], "utf-8''"
    for piece in coded:
        if len(line) + len(piece) > 60:
            lines.append(line)
            line = ""
        line += piece
    lines.append(line)
    if len(lines) == 1:
        return f"; {name}*={line}"
    # RFC 2231 section 4.1: continuations, each marked as encoded.
    return "".join(f"; {name}*{i}*={text}" for i, text in enumerate(lines))


def is_token(value: str) -> bool:
    """Whether the value is a token (RFC 2045 section 5.1): what types, subtypes and dispositions are made of."""
    return _TOKEN.fullmatch(value) is not None


def content_id(value: str) -> str:
    """A Content-ID without angle brackets, as the field writes it."""
    return _bracketed(value, "a cid")


def _refuse_control(value: str) -> None:
    if _CONTROL.search(value):
        raise Unwritable("control characters (CR, LF and NUL among them) cannot stand in a header field")


# ---- fields


def field_line(name: str, value: str) -> bytes:
    """``Name: value`` folded, with its CRLF. A value that begins with white space or holds folds is kept as it is, when
    its lines fit. Raises Unwritable when no fold makes a line fit 998 octets."""
    if value[:1] in (" ", "\t") or "\n" in value:
        line = f"{name}:{value}"
        if all(len(part) <= LONGEST_LINE for part in line.encode().split(b"\r\n")):
            return line.encode() + b"\r\n"
        value = value.lstrip(" \t")
    line = f"{name}: {value}"
    if len(line) > LINE:
        line = _fold(line, len(name) + 2)
    octets = line.encode() + b"\r\n"
    if len(octets) > LONGEST_LINE and any(len(part) > LONGEST_LINE for part in octets.split(b"\r\n")):
        raise Unwritable("a word of a header field is longer than 998 octets")
    return octets


def _fold(line: str, head: int) -> str:
    out = [line[:head]]
    used = head
    fresh = True
    for gap, word in _WORDS.findall(line[head:]):
        size = len(gap) + len(word)
        if used + size > LINE and gap and not fresh:
            out.append("\r\n")
            used = 0
        out.append(gap + word)
        # A value may come folded already.
        used = used + size if "\n" not in word else len(word.rpartition("\n")[2])
        fresh = False
    return "".join(out) + line[len(line.rstrip(" \t")) :]


# ---- parts


@dataclass(slots=True)
class Entity:
    """One MIME entity to write. type: without parameters; params: of Content-Type, without ``boundary``; fields: further
    header fields in order, as (name, value from the functions above); content: the octets of a leaf, None for a
    multipart; children: of a multipart; text: the content is text with CRLF line ends, which may be quoted-printable."""

    type: str
    params: Sequence[tuple[str, str]] = ()
    fields: Sequence[tuple[str, str]] = ()
    content: bytes | None = None
    children: Sequence[Entity] = field(default_factory=tuple)
    text: bool = False


_RANKS = ("7bit", "8bit", "binary")


def message(
    fields: Iterable[tuple[str, str]], root: Entity, *, boundary: Callable[[], str] = lambda: secrets.token_hex(16)
) -> bytes:
    """A whole message: ``fields``, then the fields of ``root``, then its body, lines ending in CRLF.

    boundary: makes a delimiter that occurs in no part; the default cannot be guessed by who wrote the parts."""
    head, body, _ = _entity(root, boundary)
    return b"".join([*(field_line(name, value) for name, value in fields), head, *body])


def _entity(entity: Entity, boundary: Callable[[], str]) -> tuple[bytes, list[bytes], int]:
    params = list(entity.params)
    body: list[bytes]
    if entity.content is None:
        mark = "=_" + boundary()
        params.append(("boundary", mark))
        delimiter = b"--" + mark.encode()
        body, rank = [], 0
        for child in entity.children:
            head, content, child_rank = _entity(child, boundary)
            rank = max(rank, child_rank)
            body += [delimiter, b"\r\n", head, *content, b"\r\n"]
        body += [delimiter, b"--\r\n"]
        # RFC 2045 section 6.4: composites are labelled with what their parts need and never encoded.
        encoding = _RANKS[rank]
    else:
        encoding, octets = encode(entity.content, entity.type, text=entity.text)
        rank = _RANKS.index(encoding) if encoding in _RANKS else 0
        body = [octets]
    head = field_line("Content-Type", entity.type + parameters(params))
    for name, value in entity.fields:
        head += field_line(name, value)
    if encoding != "7bit":
        head += field_line("Content-Transfer-Encoding", encoding)
    return head + b"\r\n", body, rank


_LONG_LINE = re.compile(rb"[^\n]{998}")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def encode(content: bytes, type: str, *, text: bool) -> tuple[str, bytes]:
    """The transfer encoding of a leaf and its octets encoded; decoding gives ``content`` back, octet for octet.

    7bit when the content allows it. RFC 2046 section 5.2.1: messages are never encoded, so they are 7bit, 8bit or binary.
    text: quoted-printable when that is readable and shorter than base64.
    """
    clean = b"\x00" not in content and _BARE.search(content) is None and _LONG_LINE.search(content) is None
    ascii_only = content.isascii()
    if clean and ascii_only:
        return "7bit", content
    if type in ("message/rfc822", "message/partial", "message/external-body"):
        return ("8bit" if clean else "7bit" if ascii_only and _only_lf(content) else "binary"), content
    if text:
        strange = len(content) - len(content.translate(None, _STRANGE))
        if strange * 6 <= len(content):
            return "quoted-printable", _quoted_printable(content)
    return "base64", _base64(content)


_STRANGE = bytes([*range(9), *range(14, 32), 61, *range(127, 256)])


def _only_lf(content: bytes) -> bool:
    return b"\x00" not in content and b"\r" not in content and _LONG_LINE.search(content) is None


def _base64(content: bytes) -> bytes:
    coded = binascii.b2a_base64(content, newline=False)
    return b"\r\n".join([coded[i : i + 76] for i in range(0, len(coded), 76)])


def _quoted_printable(content: bytes) -> bytes:
    lines = content.split(b"\r\n")
    # Not as text: a CR or LF that is no line end has to be written as =0D or =0A.
    return b"\r\n".join([binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines])


__all__ = [
    "Entity",
    "Unwritable",
    "address",
    "addresses",
    "content_id",
    "date",
    "encode",
    "encoded_words",
    "field_line",
    "grouped_addresses",
    "is_token",
    "message",
    "message_ids",
    "parameters",
    "phrase",
    "raw",
    "text",
    "urls",
]
