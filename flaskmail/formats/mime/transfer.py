"""Transfer encodings off (RFC 2045 section 6), and bodies as text (EmailBodyValue, RFC 8621 section 4.1.4)."""

from __future__ import annotations

import binascii
import re
from typing import Final

from flaskmail.formats.mime import charsets
from flaskmail.formats.mime.structure import Part

_IDENTITY: Final = frozenset(("", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none", "us-ascii"))
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(byte for byte in range(256) if byte not in _BASE64)
_NOT_BASE64_OR_PAD: Final = _NOT_BASE64.replace(b"=", b"")
_BASE64_AND_SPACE: Final = _BASE64 + b" \t\r\n"

_SOFT_PADDED = re.compile(rb"=[ \t]++(?=\r?\n|\Z)")
_SOFT_BARE_CR = re.compile(rb"=\r(?!\n)")
_NOT_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)")
_UU_BEGIN = re.compile(rb"(?:\A|\n)begin[ \t]++[0-7]{3,4}[ \t]++[^\n]*+\n")
# Line ends that were converted once too often. The look behind keeps the search linear.
_MORE_CR = re.compile(r"(?<!\r)\r++\n")
_LINE = re.compile(rb"[^\n]++")
_OPENS_TAG: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/!?")


def decode_body(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """``data`` without its transfer encoding, and whether something about it was wrong. Never raises; deterministic.

    ``encoding`` in any case. An encoding that is not known counts as none, with the flag set (RFC 8621 section 4.1.4). What is
    malformed is decoded as far as it goes.
    """
    encoding = encoding.lower()
    if encoding in _IDENTITY:
        return data, False
    if encoding == "base64":
        return _base64(data)
    if encoding in ("quoted-printable", "quoted_printable", "qp"):
        return _quoted_printable(data)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _uuencode(data)
    return data, True


def decoded_size(raw: bytes, part: Part) -> int:
    """The octets of ``part``'s body after decoding: exactly as many as :func:`decode_body` gives for it."""
    if part.encoding in _IDENTITY:
        return part.body_end - part.body_start
    return len(decode_body(raw[part.body_start : part.body_end], part.encoding)[0])


def decode_text(raw: bytes, part: Part, max_bytes: int | None = None) -> tuple[str, bool, bool]:
    """The body of ``part`` as text: the value, isEncodingProblem and isTruncated of EmailBodyValue.

    CRLF becomes LF. ``max_bytes`` bounds the UTF-8 octets of the value as :func:`truncate` does; None and 0 mean no bound.
    """
    data = raw[part.body_start : part.body_end]
    return decode_slice(data, part.encoding, part.charset, part.type, max_bytes)


def decode_slice(
    data: bytes, encoding: str, charset: str | None, type: str, max_bytes: int | None = None
) -> tuple[str, bool, bool]:
    """The same for octets whose part is known only by its properties."""
    data, damaged = decode_body(data, encoding)
    text, malformed = charsets.decode(data, charset)
    if "\r" in text:
        text = text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")
        if "\r\n" in text:
            text = _MORE_CR.sub("\n", text)
    text, cut = truncate(text, max_bytes, html=type == "text/html")
    return text, damaged or malformed, cut


def truncate(text: str, max_bytes: int | None, *, html: bool = False) -> tuple[str, bool]:
    """The beginning of ``text`` that takes at most ``max_bytes`` octets of UTF-8, and whether anything was cut.

    No character is split; in HTML the cut does not fall inside a tag (RFC 8621 section 4.2). None and 0 mean no bound.
    """
    # No character takes more than four octets.
    if not max_bytes or len(text) * 4 <= max_bytes:
        return text, False
    head = text[:max_bytes].encode("utf-8", "replace")
    if len(text) <= max_bytes and len(head) <= max_bytes:
        return text, False
    short = head[:max_bytes].decode("utf-8", "ignore")
    if html:
        opened = short.rfind("<")
        if opened > short.rfind(">") and text[opened + 1 : opened + 2] in _OPENS_TAG:
            short = short[:opened]
    return short, True


def _base64(data: bytes) -> tuple[bytes, bool]:
    problem = bool(data.translate(None, _BASE64_AND_SPACE + b"="))
    end = data.find(b"=")
    if end < 0:
        return _quads(data, problem)
    tail = data[end:]
    if tail.translate(None, _BASE64_AND_SPACE + b"=") or b" " in tail.strip() or tail.count(b"=") * 8 > len(tail) + 16:
        # After the padding comes something else, like the footer of a mailing list.
        return _quads(data[:end], problem)
    # Some encoders pad every line.
    done = [_quads(piece, problem) for piece in data.translate(None, _NOT_BASE64_OR_PAD).split(b"=") if piece]
    return b"".join(octets for octets, _ in done), problem or any(bad for _, bad in done)


def _quads(data: bytes, problem: bool) -> tuple[bytes, bool]:
    clean = data.translate(None, _NOT_BASE64)
    if len(clean) % 4 == 1:
        # One character left over carries less than an octet.
        clean, problem = clean[:-1], True
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4)), problem


def _quoted_printable(data: bytes) -> tuple[bytes, bool]:
    # RFC 2045 section 6.7 (3): white space at the end of an encoded line was added on the way.
    if b"= " in data or b"=\t" in data:
        data = _SOFT_PADDED.sub(b"=", data)
    if b"=\r" in data and _SOFT_BARE_CR.search(data):
        # binascii takes "=CR" to run to the next LF, so soft breaks go first.
        data = data.replace(b"=\r\n", b"").replace(b"=\r", b"")
    return binascii.a2b_qp(data), _NOT_QUOTED_PRINTABLE.search(data) is not None


def _uuencode(data: bytes) -> tuple[bytes, bool]:
    begin = _UU_BEGIN.search(data)
    if begin is None:
        return data, True
    out: list[bytes] = []
    room = len(data)
    problem = False
    for found in _LINE.finditer(data, begin.end()):
        line = found[0].rstrip(b"\r")
        if line in (b"end", b"`", b" ", b""):
            if line == b"end":
                return b"".join(out), problem
            continue
        octets, bad = _uu_line(line)
        problem = problem or bad
        out.append(octets)
        room -= len(octets)
        # A line that is shorter than it says is filled with zeros; no sound file grows by that.
        if room < 0:
            break
    return b"".join(out), True


def _uu_line(line: bytes) -> tuple[bytes, bool]:
    try:
        return binascii.a2b_uu(line), False
    except binascii.Error:
        # Encoders differ in how they fill the last group; what the length octet promises is enough.
        size = (((line[0] - 32) & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:size]), False
        except binascii.Error:
            return b"", True
