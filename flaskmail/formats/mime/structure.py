"""A message as a tree of parts, each with its place in the octets. RFC 5322, RFC 2045, RFC 2046."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flaskmail.formats.mime import charsets, headers, params
from flaskmail.formats.mime.headers import Budget, Headers

MAX_PARTS: Final = 1000
"""Parts that one message can have, multiparts counted; the last one keeps the rest of its multipart as text, unparsed."""

MAX_DEPTH: Final = 50
"""Multiparts that can lie inside each other; a deeper one is a ``text/plain`` leaf."""

MAX_BOUNDARY: Final = 998
"""Octets of a boundary; RFC 2046 section 5.1.1 allows 70, a line (RFC 5322 section 2.1.1) holds 998."""

MAX_LOOKALIKES: Final = 20_000
"""Lines of one message that begin like a delimiter and end no part, before the search for delimiters stops."""

MAX_BARE_CR: Final = 16 * 1024 * 1024
"""Octets up to which a message may end its lines with bare CRs; a longer one is read as if they were no line ends."""

_TYPE = re.compile(r"[!#$%&'*+.^_`{|}~0-9a-z-]{1,127}/[!#$%&'*+.^_`{|}~0-9a-z-]{1,127}\Z")
_TOKEN = re.compile(r"[^\s;,()]+")
_NOTHING: Final[dict[str, str]] = {}


class Part:
    """One MIME entity.

    headers: its header fields. header_start, header_end: octet offsets of the header block in the message (end exclusive; the
    empty line after it belongs to neither block). body_start, body_end: octet offsets of the body, still transfer-encoded;
    the line break before the next delimiter is no part of it (RFC 2046 section 5.1.1). type: "type/subtype" in lower case; what
    is missing is "text/plain", inside multipart/digest "message/rfc822" (RFC 2045 section 5.2, RFC 2046 section 5.1.5); what is
    malformed is "text/plain".
    params: the Content-Type parameters, lower-case names. charset: as labelled, or None. disposition: lower case, or None.
    name: the file name, decoded, or None. cid: Content-ID without angle brackets, or None. language: language tags, or None.
    location: Content-Location, or None. encoding: the Content-Transfer-Encoding in lower case, "7bit" when there is none. parts:
    the parts of a multipart in order; empty for leaves. ``message/*`` is a leaf. multipart: whether ``parts`` is what this
    part is; a ``multipart/*`` in which no part can be found is a ``text/plain`` leaf, so that it can be read.
    """

    __slots__ = (
        "body_end",
        "body_start",
        "charset",
        "cid",
        "disposition",
        "encoding",
        "header_end",
        "header_start",
        "headers",
        "language",
        "location",
        "name",
        "params",
        "parts",
        "type",
    )

    def __init__(self, fields: Headers, header_start: int, header_end: int, body_start: int, body_end: int) -> None:
        self.headers = fields
        self.header_start, self.header_end = header_start, header_end
        self.body_start, self.body_end = body_start, body_end
        self.type = "text/plain"
        self.params: dict[str, str] = _NOTHING
        self.charset: str | None = None
        self.disposition: str | None = None
        self.name: str | None = None
        self.cid: str | None = None
        self.language: list[str] | None = None
        self.location: str | None = None
        self.encoding = "7bit"
        self.parts: tuple[Part, ...] = ()

    @property
    def multipart(self) -> bool:
        """Whether the part consists of parts (RFC 8621 section 4.1.4: it then has no partId and no blobId)."""
        return self.type.startswith("multipart/")

    @property
    def implied_charset(self) -> str | None:
        """The charset as EmailBodyPart shows it (RFC 8621 section 4.1.4): labelled, or "us-ascii" for text, or None."""
        return self.charset or ("us-ascii" if self.type.startswith("text/") else None)

    def walk(self) -> Iterator[Part]:
        """This part and all parts in it, depth first, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.parts))


class Message:
    """A parsed message. raw: its octets, unchanged; root: the outermost part."""

    __slots__ = ("raw", "root")

    def __init__(self, raw: bytes, root: Part) -> None:
        self.raw = raw
        self.root = root


def parse(raw: bytes) -> Message:
    """The structure of ``raw``, for any octets. Never raises; takes time linear in the length (times MAX_DEPTH at worst)."""
    return Message(raw, _Parser(_line_feeds(raw)).entity(0, len(raw), "text/plain", 0))


def _line_feeds(raw: bytes) -> bytes:
    """``raw`` with as many octets, in which every line ends with a LF.

    Only where the header block ends its lines with bare CRs do bare CRs end lines; elsewhere they are ordinary octets.
    """
    newline = raw.find(b"\n")
    if len(raw) > MAX_BARE_CR or raw.find(b"\r", 0, newline if newline >= 0 else len(raw)) < 0:
        return raw
    if newline < 0:
        return raw.replace(b"\r", b"\n")
    if raw.find(b"\r\r", 0, newline - 1) < 0:
        return raw
    return raw.replace(b"\r\n", b"\0\n").replace(b"\r", b"\n").replace(b"\0\n", b"\r\n")


class _Parser:
    """One run over a message; holds what is left of its bounds."""

    __slots__ = ("budget", "lookalikes", "parts", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.budget = Budget()
        self.parts = MAX_PARTS
        self.lookalikes = MAX_LOOKALIKES

    def entity(self, start: int, end: int, default: str, depth: int) -> Part:
        """The part that fills ``[start, end)``; default: its type if it names none; depth: multiparts around it."""
        fields, stop, body = headers.parse(self.raw, start, end, self.budget)
        part = Part(fields, start, stop, body, end)
        self.parts -= 1
        boundary = _describe(part, default)
        if part.type.startswith("multipart/"):
            found = self.split(body, end, boundary) if boundary and depth < MAX_DEPTH and self.parts > 0 else None
            if found is None:
                part.type = "text/plain"
            else:
                inner = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
                parts = []
                for at, (first, last) in enumerate(found):
                    if self.parts <= 0:
                        break
                    # Whatever no part can be made of stays visible as the text of the last.
                    last_one = self.parts == 1 and at + 1 < len(found)
                    parts.append(self.entity(first, end if last_one else last, inner, depth + 1))
                part.parts = tuple(parts)
        return part

    def split(self, start: int, end: int, boundary: bytes) -> list[tuple[int, int]] | None:
        """Where the parts between the delimiters lie in ``[start, end)``; None when there is no delimiter at all."""
        raw = self.raw
        delimiter = b"--" + boundary
        size = len(delimiter)
        if raw.startswith(delimiter, start, end):
            at = start
        else:
            at = raw.find(b"\n" + delimiter, start, end) + 1
        spans: list[tuple[int, int]] = []
        inside = -1
        delimiter_line = b"\n" + delimiter
        while at > 0 or (at == start and raw.startswith(delimiter, at, end)):
            line_end = raw.find(b"\n", at + size, end)
            if line_end < 0:
                line_end = end
            # RFC 2046 section 5.1.1: "--" closes; transport padding (white space) may follow.
            tail = raw[at + size : line_end].strip(b" \t\r")
            if tail in (b"", b"--"):
                if at > inside >= 0:
                    spans.append((inside, _before_break(raw, inside, at)))
                else:
                    self.lookalikes -= 1
                inside = min(line_end + 1, end)
                if tail:
                    return spans or None
            else:
                self.lookalikes -= 1
            if len(spans) >= self.parts or self.lookalikes < 0:
                break
            at = raw.find(delimiter_line, max(line_end, start), end) + 1
        if inside < 0:
            return None
        # The closing delimiter is missing: the last part goes to the end.
        if inside < end or not spans:
            spans.append((inside, end))
        return spans


def _before_break(raw: bytes, start: int, at: int) -> int:
    """The end of what stands before the delimiter line at ``at``, without the line break that belongs to the delimiter."""
    at -= 1
    return at - 1 if at > start and raw[at - 1] == 13 else at


def _describe(part: Part, default: str) -> bytes:
    """Fills in what the Content-* fields say; answers the boundary, empty when there is none that can be used."""
    fields = part.headers
    part.type = default
    boundary = b""
    # The first field counts, as it does for the programs that show mail.
    value = fields.first("content-type")
    if value is not None:
        kind, parameters = params.parse(value)
        part.params = parameters
        part.type = kind if _TYPE.match(kind) else _media_type(kind)
        part.charset = _word(parameters.get("charset"))
        if part.type.startswith("multipart/"):
            boundary = parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
            if len(boundary) > MAX_BOUNDARY or b"\n" in boundary:
                boundary = b""
    value = fields.first("content-disposition")
    name = None
    if value is not None:
        kind, parameters = params.parse(value)
        part.disposition = _word(kind)
        name = parameters.get("filename")
    if name is None:
        name = part.params.get("name")
    part.name = params.file_name(name) if name else None
    value = fields.first("content-transfer-encoding")
    if value is not None:
        part.encoding = _word(params.without_comments(charsets.sniff(value[:1000])).lower()) or "7bit"
    value = fields.first("content-id")
    if value is not None:
        part.cid = _bracketed(_plain(value)) or None
    value = fields.first("content-language")
    if value is not None:
        part.language = _TOKEN.findall(params.without_comments(_plain(value))) or None
    value = fields.first("content-location")
    if value is not None:
        # RFC 2557 section 4.4.1: a long URI is folded; the white space is no part of it.
        part.location = "".join(params.without_comments(_plain(value)).split()) or None
    return boundary


def _media_type(text: str) -> str:
    """A media type with white space in it, or with parameters after no semicolon; "text/plain" for anything else."""
    pieces = text.split()
    for candidate in (*pieces[:1], "".join(pieces)):
        if _TYPE.match(candidate):
            return candidate
    return "text/plain"


def _plain(value: bytes) -> str:
    return charsets.sniff(value[: params.MAX_VALUE]).replace("\r", "").replace("\n", "").replace("\0", "")


def _word(text: str | None) -> str | None:
    found = _TOKEN.search(text) if text else None
    return found[0].strip("\"'") or None if found else None


def _bracketed(text: str) -> str:
    start, end = text.find("<"), text.rfind(">")
    if 0 <= start < end:
        text = text[start + 1 : end]
    else:
        text = params.without_comments(text)
    return text.strip()
