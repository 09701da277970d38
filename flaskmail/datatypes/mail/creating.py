"""Makes a message from the Email object that a client sends to Email/set (RFC 8621 section 4.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from flaskmail.datatypes.mail.creatingfields import Field, Writing, no_header_property
from flaskmail.datatypes.mail.creatingparts import PartMaker, empty
from flaskmail.datatypes.mail.headers import CONVENIENT, header_property
from flaskmail.errors import SetError
from flaskmail.formats.mime import build
from flaskmail.formats.mime.build import Entity
from flaskmail.jmap.context import BlobContent, Limits
from flaskmail.jmap.records import invalid_properties
from flaskmail.jmap.storage import Json, Record
from flaskmail.values import checks
from flaskmail.values.ids import random_id

METADATA = ("mailboxIds", "keywords", "receivedAt")
"""What of a create is no part of the message."""
_SERVER_SET = ("id", "blobId", "threadId", "size", "hasAttachment", "preview")
_BODY = ("bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues")
_ORDER = (
    "date",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
)
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")

_body_value = checks.object_of(
    {"value": checks.text}, {"isEncodingProblem": checks.one_of(False), "isTruncated": checks.one_of(False)}
)
_body_values = checks.map_of(checks.text, _body_value)


def compose(
    sent: Record, find: Callable[[str], BlobContent | None], limits: Limits, now: datetime, domain: str
) -> bytes:
    """The message (RFC 5322) that ``sent``, an Email object of a create, describes; lines end in CRLF.

    find: blob id -> its content, or None. domain: for a Message-ID when neither one is sent nor a sender with a domain.
    Raises SetError: ``invalidProperties`` names every wrong property, by path within parts ("attachments/0/name");
    ``blobNotFound`` with ``notFound`` (RFC 8621 section 4.6); ``tooLarge``.
    """
    writing = Writing()
    fields, named = _fields(sent, writing)
    parts = PartMaker(writing, _values(sent, writing), named, find, limits.maxSizeAttachmentsPerEmail)
    root = _Body(sent, parts).root()
    _conclude(parts, limits)
    return _written(fields, root, limits, now, domain, sent)


def _fields(sent: Record, writing: Writing) -> tuple[dict[str, list[Field]], frozenset[str]]:
    """The message's own header fields, lower-case name -> fields, in the order sent; and the names of all that are spoken of."""
    out: dict[str, list[Field]] = {}
    names: dict[str, str] = {}
    for name, value in sent.items():
        if name in METADATA or name in _BODY:
            continue
        if name in _SERVER_SET:
            writing.wrong[name] = "is set by the server"
            continue
        if name == "headers":
            # RFC 8621 section 4.6: each header field is an individual property.
            writing.wrong[name] = 'cannot be set; set "header:Name" properties'
            continue
        prop = header_property(CONVENIENT.get(name, name))
        if prop is None:
            writing.wrong[name] = no_header_property(name, "Email")
        elif prop.key.startswith("content-"):
            # RFC 8621 section 4.6: only on EmailBodyPart objects.
            writing.wrong[name] = "may only be given for a body part"
        elif prop.key in names:
            writing.twice(names[prop.key], name)
        else:
            names[prop.key] = name
            written = writing.fields(name, prop, value)
            if written:
                out[prop.key] = written
    return out, frozenset(names)


def _values(sent: Record, writing: Writing) -> Mapping[str, Mapping[str, Json]] | None:
    """``bodyValues``; None when they are wrong, which is noted."""
    values = sent.get("bodyValues")
    if values is None:
        return {}
    wrong = _body_values(values)
    if wrong is not None:
        writing.wrong["bodyValues"] = wrong
        return None
    found: Mapping[str, Mapping[str, Json]] = values
    return found


def _conclude(parts: PartMaker, limits: Limits) -> None:
    """Raises the SetError for what was gathered, if anything was."""
    if parts.wrong:
        raise invalid_properties(parts.wrong)
    if parts.missing:
        # RFC 8621 section 4.6: every blob id that could not be found.
        raise SetError("blobNotFound", "Some parts name blobs that do not exist.", notFound=list(parts.missing))
    if parts.size > limits.maxSizeAttachmentsPerEmail:
        raise _too_large(
            f"The blobs have {parts.size} octets together, at most {limits.maxSizeAttachmentsPerEmail} are allowed."
        )


def _written(
    fields: dict[str, list[Field]],
    root: Entity,
    limits: Limits,
    now: datetime,
    domain: str,
    sent: Record,
) -> bytes:
    # RFC 8621 section 4.6: Message-ID and Date are generated when not included.
    if "date" not in fields:
        fields["date"] = [("Date", build.date(now.replace(microsecond=0)))]
    if "message-id" not in fields:
        fields["message-id"] = [("Message-ID", f"<{random_id('m')}@{_sender_domain(sent) or domain}>")]
    if "mime-version" not in fields:
        fields["mime-version"] = [("MIME-Version", "1.0")]
    ordered = [fields.pop(key) for key in _ORDER if key in fields]
    version = fields.pop("mime-version")
    lines = [line for group in (*ordered, *fields.values(), version) for line in group]
    raw = build.message(lines, root)
    if len(raw) > limits.maxSizeEmail:
        raise _too_large(f"The message would have {len(raw)} octets, at most {limits.maxSizeEmail} are allowed.")
    return raw


def _too_large(sentence: str) -> SetError:
    return SetError("tooLarge", sentence)


def _sender_domain(sent: Record) -> str | None:
    senders = sent.get("from") or sent.get("header:From:asAddresses") or []
    email = senders[0]["email"] if senders else ""
    found = email.rpartition("@")[2]
    return found if _DOMAIN.fullmatch(found) and len(found) <= 255 else None


class _Body:
    """Lays the parts of an Email object out as the tree of a message."""

    def __init__(self, sent: Record, parts: PartMaker) -> None:
        self.sent, self.parts = sent, parts

    def root(self) -> Entity:
        """The message's body; an empty text when nothing is sent."""
        sent = self.sent
        structure = sent.get("bodyStructure")
        if structure is None:
            return self._flat()
        others = [name for name in ("textBody", "htmlBody", "attachments") if sent.get(name) is not None]
        for name in others:
            self.parts.wrong[name] = 'cannot be given together with "bodyStructure"'
        if others:
            self.parts.wrong["bodyStructure"] = "cannot be given together with " + checks.listed(others)
        if not isinstance(structure, dict):
            self.parts.wrong["bodyStructure"] = "must be an object"
            return empty()
        return self.parts.part("bodyStructure", structure, None, is_root=True)

    def _flat(self) -> Entity:
        # A part that nothing stands beside becomes the message itself, and its header fields the message's.
        alone = len([name for name in ("textBody", "htmlBody", "attachments") if self.sent.get(name)]) == 1
        text = self._single("textBody", "text/plain", alone)
        html = self._single("htmlBody", "text/html", alone)
        related, mixed = self._attachments(bool(html))
        if html is not None and related:
            # RFC 2387 section 3.1: the type parameter names the root's type.
            html = Entity("multipart/related", [("type", html.type)], children=[html, *related])
        body = Entity("multipart/alternative", children=[text, html]) if text and html else text or html
        if mixed:
            return Entity("multipart/mixed", children=[*([body] if body else []), *mixed])
        return body or empty()

    def _single(self, name: str, type: str, alone: bool) -> Entity | None:
        value = self.sent.get(name)
        if value is None:
            return None
        # RFC 8621 section 4.6: exactly one body part of the one type.
        if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
            self.parts.wrong[name] = "must be an array of exactly one body part"
            return None
        before = len(self.parts.wrong)
        part = self.parts.part(f"{name}/0", value[0], type, is_root=alone)
        if part.type != type and len(self.parts.wrong) == before:
            self.parts.wrong[f"{name}/0/type"] = f"must be {type}"
        return part

    def _attachments(self, html: bool) -> tuple[list[Entity], list[Entity]]:
        value = self.sent.get("attachments")
        related: list[Entity] = []
        mixed: list[Entity] = []
        if value is None:
            return related, mixed
        if checks.list_of(checks.object_of(open=True))(value) is not None:
            self.parts.wrong["attachments"] = "must be an array of body parts"
            return related, mixed
        for index, item in enumerate(value):
            inline = item.get("disposition") == "inline" and item.get("cid") is not None
            path = f"attachments/{index}"
            # What is listed as an attachment has to come back as one, whatever its type.
            default = None if inline else "attachment"
            part = self.parts.part(path, item, None, disposition=default)
            (related if html and inline else mixed).append(part)
        return related, mixed
