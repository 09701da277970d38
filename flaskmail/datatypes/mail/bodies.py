"""A message's body as JMAP shows it: structure, flat lists, text (RFC 8621 section 4.1.4).

Everything is derived from a parsed message at once; each part is decoded at most once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from flaskmail.formats import html
from flaskmail.formats.mime import charsets, structure, transfer
from flaskmail.formats.mime.structure import Message, Part
from flaskmail.jmap.context import Context
from flaskmail.jmap.storage import Reader, Record

SEARCHED = 256 * 1024
"""How many characters of a message's text the search index holds at most."""
NAMES = 64 * 1024
"""How many characters of attachment names the search index holds at most."""
_DECODED = 4 * 1024 * 1024
"""How many octets of a message's text parts are made into text for people, all parts together."""
_PICTURED = 8 * 1024 * 1024
"""How many octets of HTML are looked at for the pictures that it shows."""
_PREVIEWED = 16 * 1024
_FORWARDED = 3
"""How deep attached messages are looked into for the search index."""

# Parts that mail programs process by themselves (RFC 8621 section 4.1.4: hasAttachment may ignore them).
_AUTOMATIC = frozenset(
    (
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-keys",
    )
)
_PLAIN, _HTML = "text/plain", "text/html"
_CID = re.compile(rb"""\bcid:([^\s"'<>)]{1,998})""", re.IGNORECASE)


@dataclass(slots=True)
class Leaf:
    """A part that is no multipart. id: its partId; shown: its EmailBodyPart with the properties that are stored, but for
    ``blobId``, which is known when the message is filed."""

    id: str
    part: Part
    shown: dict[str, Any]


@dataclass(slots=True)
class Body:
    """The body of one message. root: the EmailBodyPart ``bodyStructure``; leaves: every other part in the order of the message;
    text, html, attachments: the flat lists, of the same objects."""

    message: Message
    root: dict[str, Any]
    leaves: list[Leaf]
    text: list[Leaf] = field(default_factory=list)
    html: list[Leaf] = field(default_factory=list)
    attachments: list[Leaf] = field(default_factory=list)
    _decoded: dict[str, bytes] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    _room: int = _DECODED

    def content(self, leaf: Leaf) -> bytes:
        """The octets of a part without their transfer encoding."""
        found = self._decoded.get(leaf.id)
        if found is None:
            part = leaf.part
            found, _ = transfer.decode_body(self.message.raw[part.body_start : part.body_end], part.encoding)
        return found

    def plain(self, leaf: Leaf) -> str:
        """The text of a ``text/*`` part for people: decoded, HTML without its tags; about ``SEARCHED`` characters of it, and less
        of the last ones of many large parts."""
        found = self._texts.get(leaf.id)
        if found is None:
            # Four octets a character at most, and markup around the words of HTML.
            content = self.content(leaf)[: min(SEARCHED * 4, self._room)]
            self._room -= len(content)
            found = charsets.decode(content, leaf.part.charset)[0]
            if leaf.part.type == _HTML:
                found = html.to_text(found)
            if "\r" in found:
                found = found.replace("\r\n", "\n").replace("\r", "\n")
            self._texts[leaf.id] = found = found[:SEARCHED]
        return found

    def has_attachment(self) -> bool:
        """Whether there is something to offer for download (RFC 8621 section 4.1.4): an attachment that is not inline, save
        signatures and images that the HTML shows in its place."""
        waiting = [
            leaf.part
            for leaf in self.attachments
            if leaf.part.disposition != "inline" and leaf.part.type not in _AUTOMATIC
        ]
        if not waiting:
            return False
        if all(_is_media(part.type) and part.cid and part.disposition is None for part in waiting):
            return not self._pictured({part.cid.encode() for part in waiting if part.cid})
        return True

    def _pictured(self, wanted: set[bytes]) -> bool:
        """Whether the HTML names all these Content-IDs, which are used up; octets are near enough to ASCII for that."""
        for leaf in self.html:
            if leaf.part.type == _HTML:
                for found in _CID.finditer(self.content(leaf)[:_PICTURED]):
                    # RFC 2392 section 2: characters of the id may be percent-encoded.
                    wanted.discard(unquote_to_bytes(found[1]) if b"%" in found[1] else found[1])
                    if not wanted:
                        return True
        return False

    def preview_text(self) -> str:
        """The beginning of the text that a preview is made of: of ``textBody``, HTML without its tags."""
        out, length = [], 0
        for leaf in self.text:
            if leaf.part.type in (_PLAIN, _HTML):
                text = self.plain(leaf)
                out.append(text[:_PREVIEWED])
                length += len(out[-1])
                if length >= _PREVIEWED or text.strip():
                    break
        return "\n".join(out)

    def search_text(self, depth: int = 0) -> str:
        """What the index finds in the body (RFC 8621 section 4.4.1): every text part, HTML without its tags, and attached
        messages with their subjects; at most ``SEARCHED`` characters. Of an HTML part with a plain alternative only lines are
        taken that the plain text does not have."""
        texts: list[str] = []
        room = SEARCHED
        seen: set[str] = set()
        first = [leaf for leaf in self.text if leaf.part.type.startswith("text/")]
        first_ids = {leaf.id for leaf in first}
        rest = [leaf for leaf in self.leaves if leaf.id not in first_ids]
        alternatives = {leaf.id for leaf in self.html} if first else set()
        for leaf in (*first, *rest):
            if room <= 0:
                break
            kind = leaf.part.type
            if kind.startswith("text/"):
                text = self.plain(leaf)
                if leaf.id in alternatives and leaf.id not in first_ids:
                    if not seen:
                        seen = {_squeezed(line) for one in texts for line in one.split("\n")}
                    text = "\n".join([line for line in text.split("\n") if _squeezed(line) not in seen])
            elif kind in ("message/rfc822", "message/global") and depth < _FORWARDED:
                text = _forwarded(self.content(leaf), depth)
            else:
                continue
            text = text[:room]
            if text:
                texts.append(text)
                room -= len(text)
        return "\n".join(texts)

    def attachment_names(self) -> str:
        """The file names of all parts, one a line."""
        names = [leaf.part.name for leaf in self.leaves if leaf.part.name]
        return "\n".join(names)[:NAMES]


def _squeezed(line: str) -> str:
    return "".join(line.split())


def _forwarded(content: bytes, depth: int) -> str:
    from flaskmail.formats.mime import forms

    inner = describe(structure.parse(content))
    subject = inner.message.root.headers.last("subject")
    head = forms.as_text(subject) + "\n" if subject is not None else ""
    return head + inner.search_text(depth + 1)


def _is_media(kind: str) -> bool:
    return kind.startswith(("image/", "audio/", "video/"))


def describe(message: Message) -> Body:
    """The body of a parsed message. Part ids are "1", "2", … over the leaves in the order of the message."""
    leaves: list[Leaf] = []
    decoded: dict[str, bytes] = {}
    texts: dict[int, Leaf] = {}
    root = _shown(message, message.root, leaves, decoded, texts)
    body = Body(message, root, leaves, _decoded=decoded)
    _flatten(body, texts)
    return body


def _shown(
    message: Message, part: Part, leaves: list[Leaf], decoded: dict[str, bytes], by_part: dict[int, Leaf]
) -> dict[str, Any]:
    if part.multipart:
        shown = _properties(part, None, 0)
        # RFC 8621 section 4.1.4: a multipart has no content of its own to download.
        shown["subParts"] = [_shown(message, child, leaves, decoded, by_part) for child in part.parts]
        return shown
    part_id = str(len(leaves) + 1)
    size = part.body_end - part.body_start
    if part.encoding not in ("7bit", "8bit", "binary"):
        content, _ = transfer.decode_body(message.raw[part.body_start : part.body_end], part.encoding)
        size = len(content)
        # Only what is read again is kept; attachments may be large.
        if part.type.startswith("text/"):
            decoded[part_id] = content
    leaf = Leaf(part_id, part, _properties(part, part_id, size))
    leaves.append(leaf)
    by_part[id(part)] = leaf
    return leaf.shown


def _properties(part: Part, part_id: str | None, size: int) -> dict[str, Any]:
    return {
        "partId": part_id,
        "blobId": None,
        "size": size,
        "name": part.name,
        "type": part.type,
        "charset": part.implied_charset,
        "disposition": part.disposition,
        "cid": part.cid,
        "language": part.language,
        "location": part.location,
    }


def _flatten(body: Body, by_part: dict[int, Leaf]) -> None:
    """RFC 8621 section 4.1.4: the suggested algorithm for textBody, htmlBody and attachments."""
    root = body.message.root
    if not root.multipart and root.type == _PLAIN and root.disposition != "attachment":
        body.text, body.html = [body.leaves[0]], [body.leaves[0]]
        return
    flattener = _Flattener(body.attachments, by_part)
    flattener.go((root,), "mixed", False, body.html, body.text)


@dataclass(slots=True)
class _Flattener:
    attachments: list[Leaf]
    by_part: dict[int, Leaf]

    def go(
        self,
        parts: Iterable[Part],
        multipart: str,
        in_alternative: bool,
        html_body: list[Leaf] | None,
        text_body: list[Leaf] | None,
    ) -> None:
        text_length = -1 if text_body is None else len(text_body)
        html_length = -1 if html_body is None else len(html_body)
        for index, part in enumerate(parts):
            kind = part.type
            if part.multipart:
                inner = kind.partition("/")[2]
                self.go(part.parts, inner, in_alternative or inner == "alternative", html_body, text_body)
                continue
            leaf = self.by_part[id(part)]
            media = _is_media(kind)
            shown = (
                part.disposition != "attachment"
                and (media or kind in (_PLAIN, _HTML))
                # Only the first part of a multipart/related is shown by itself; a text with a file name that is not
                # the first is an attachment.
                and (index == 0 or (multipart != "related" and (media or not part.name)))
            )
            if not shown:
                self.attachments.append(leaf)
                continue
            if multipart == "alternative":
                if kind == _PLAIN and text_body is not None:
                    text_body.append(leaf)
                elif kind == _HTML and html_body is not None:
                    html_body.append(leaf)
                else:
                    self.attachments.append(leaf)
                continue
            if in_alternative:
                if kind == _PLAIN:
                    html_body = None
                if kind == _HTML:
                    text_body = None
            if text_body is not None:
                text_body.append(leaf)
            if html_body is not None:
                html_body.append(leaf)
            if media and (text_body is None or html_body is None):
                self.attachments.append(leaf)
        if multipart == "alternative" and text_body is not None and html_body is not None:
            # Where there is only one of the two, it stands in for the other.
            if text_length == len(text_body) and html_length != len(html_body):
                text_body.extend(html_body[html_length:])
            if html_length == len(html_body) and text_length != len(text_body):
                html_body.extend(text_body[text_length:])


def body_text(ctx: Context, reader: Reader, record: Record) -> str:
    """The text of an Email's body as the search index has it; ``record`` holds its blobId."""
    return describe(structure.parse(reader.read_blob(record["blobId"]))).search_text()


def named_leaves(message: Message) -> Iterator[tuple[str, Part]]:
    """(partId, part) of every leaf, numbered as ``describe`` does."""
    number = 0
    for part in message.root.walk():
        if not part.multipart:
            number += 1
            yield str(number), part
