"""Makes a message from the Email object that a client sends to Email/set (RFC 8621 section 4.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flaskmail.datatypes.mail.headers import CONVENIENT, HeaderProperty, header_property
from flaskmail.datatypes.mail.searching import without_zero_fraction
from flaskmail.errors import SetError
from flaskmail.formats.mime import build
from flaskmail.formats.mime import params as mime_params
from flaskmail.formats.mime.build import Entity, Unwritable
from flaskmail.jmap.context import BlobContent, Limits
from flaskmail.jmap.records import invalid_properties
from flaskmail.jmap.storage import Json, Record
from flaskmail.values import checks
from flaskmail.values.dates import parse_date
from flaskmail.values.ids import random_id

MAX_DEPTH = 40
"""How deep multiparts may lie in one another."""
MAX_PARTS = 1000

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
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")

_address = checks.object_of({"email": checks.text}, {"name": checks.optional(checks.text)})
_group = checks.object_of({"addresses": checks.list_of(_address)}, {"name": checks.optional(checks.text)})

_FORMS: Mapping[str, tuple[checks.Check, Callable[[Any], str]]] = {
    "Raw": (checks.text, build.raw),
    "Text": (checks.text, build.text),
    "Addresses": (checks.list_of(_address), build.addresses),
    "GroupedAddresses": (checks.list_of(_group), build.grouped_addresses),
    "MessageIds": (checks.list_of(checks.text), build.message_ids),
    "Date": (
        lambda value: checks.date(without_zero_fraction(value)),
        lambda value: build.date(parse_date(without_zero_fraction(value))),
    ),
    "URLs": (checks.list_of(checks.text), build.urls),
}
"""Form -> what values it takes, and how they are written."""

_body_value = checks.object_of(
    {"value": checks.text}, {"isEncodingProblem": checks.one_of(False), "isTruncated": checks.one_of(False)}
)
_body_values = checks.map_of(checks.text, _body_value)

# RFC 8621 section 4.1.4: the EmailBodyPart property that stands for a header field.
_PART_FIELDS: Mapping[str, str] = {
    "type": "content-type",
    "charset": "content-type",
    "disposition": "content-disposition",
    "cid": "content-id",
    "language": "content-language",
    "location": "content-location",
}
_PART_CHECKS: Mapping[str, checks.Check] = {
    "partId": checks.optional(checks.text),
    "blobId": checks.optional(checks.identifier),
    "size": checks.optional(checks.unsigned),
    "name": checks.optional(checks.text),
    "type": checks.optional(checks.text),
    "charset": checks.optional(checks.text),
    "disposition": checks.optional(checks.text),
    "cid": checks.optional(checks.text),
    "language": checks.optional(checks.list_of(checks.text)),
    "location": checks.optional(checks.text),
    "subParts": checks.optional(checks.list_of(checks.object_of(open=True))),
}


def compose(
    sent: Record, find: Callable[[str], BlobContent | None], limits: Limits, now: datetime, domain: str
) -> bytes:
    """The message (RFC 5322) that ``sent``, an Email object of a create, describes; lines end in CRLF.

    find: blob id -> its content, or None. domain: for a Message-ID when neither one is sent nor a sender with a domain.
    Raises SetError: ``invalidProperties`` names every wrong property, by path within parts ("attachments/0/name");
    ``blobNotFound`` with ``notFound`` (RFC 8621 section 4.6); ``tooLarge``.
    """
    maker = _Maker(sent, find, limits)
    fields = maker.fields()
    root = maker.root()
    maker.conclude()
    return _written(fields, root, limits, now, domain, sent)


def _written(
    fields: dict[str, list[tuple[str, str]]],
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


class _Maker:
    """Goes through one Email object and gathers everything that is wrong with it."""

    def __init__(self, sent: Record, find: Callable[[str], BlobContent | None], limits: Limits) -> None:
        self.sent, self.find, self.limits = sent, find, limits
        self.wrong: dict[str, str] = {}
        self.missing: dict[str, None] = {}
        self.found: dict[str, BlobContent | None] = {}
        self.size = 0
        self.parts = 0
        self.top_keys: frozenset[str] = frozenset()
        self.values: Mapping[str, Mapping[str, Json]] = {}

    def conclude(self) -> None:
        """Raises the SetError for what was gathered, if anything was."""
        if self.wrong:
            raise invalid_properties(self.wrong)
        if self.missing:
            # RFC 8621 section 4.6: every blob id that could not be found.
            raise SetError("blobNotFound", "Some parts name blobs that do not exist.", notFound=list(self.missing))
        if self.size > self.limits.maxSizeAttachmentsPerEmail:
            raise _too_large(
                f"The blobs have {self.size} octets together, at most {self.limits.maxSizeAttachmentsPerEmail} are allowed."
            )

    # ---- header fields

    def fields(self) -> dict[str, list[tuple[str, str]]]:
        """The message's own header fields: lower-case name -> [(name, written value)], in the order sent."""
        out: dict[str, list[tuple[str, str]]] = {}
        names: dict[str, str] = {}
        for name, value in self.sent.items():
            if name in METADATA or name in _BODY:
                continue
            if name in _SERVER_SET:
                self.wrong[name] = "is set by the server"
                continue
            if name == "headers":
                # RFC 8621 section 4.6: each header field is an individual property.
                self.wrong[name] = 'cannot be set; set "header:Name" properties'
                continue
            prop = header_property(CONVENIENT.get(name, name))
            if prop is None:
                self.wrong[name] = _no_header_property(name, "Email")
            elif prop.key.startswith("content-"):
                # RFC 8621 section 4.6: only on EmailBodyPart objects.
                self.wrong[name] = "may only be given for a body part"
            elif prop.key in names:
                self._twice(names[prop.key], name)
            else:
                names[prop.key] = name
                written = self._field(name, prop, value)
                if written:
                    out[prop.key] = written
        self.top_keys = frozenset(names)
        return out

    def _twice(self, first: str, second: str) -> None:
        self.wrong[first] = self.wrong[second] = "represents a header field that another property represents too"

    def _field(self, path: str, prop: HeaderProperty, value: Json) -> list[tuple[str, str]]:
        check, write = _FORMS[prop.form]
        if value is None:
            return []
        if prop.all and not isinstance(value, list):
            self.wrong[path] = "must be an array"
            return []
        out = []
        for item in value if prop.all else [value]:
            wrong = check(item)
            if wrong is not None:
                self.wrong[path] = wrong
                return []
            try:
                written = write(item)
                build.field_line(prop.field, written)
            except Unwritable as error:
                self.wrong[path] = f"cannot be written: {error}"
                return []
            if item != []:
                out.append((prop.field, written))
        return out

    # ---- body

    def root(self) -> Entity:
        """The message's body; an empty text when nothing is sent."""
        sent = self.sent
        values = sent.get("bodyValues")
        if values is not None:
            wrong = _body_values(values)
            if wrong is not None:
                self.wrong["bodyValues"] = wrong
            else:
                self.values = values
        structure = sent.get("bodyStructure")
        if structure is None:
            return self._flat()
        others = [name for name in ("textBody", "htmlBody", "attachments") if sent.get(name) is not None]
        for name in others:
            self.wrong[name] = 'cannot be given together with "bodyStructure"'
        if others:
            self.wrong["bodyStructure"] = "cannot be given together with " + checks.listed(others)
        if not isinstance(structure, dict):
            self.wrong["bodyStructure"] = "must be an object"
            return _empty()
        return self._part("bodyStructure", structure, None, is_root=True)

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
        return body or _empty()

    def _single(self, name: str, type: str, alone: bool) -> Entity | None:
        value = self.sent.get(name)
        if value is None:
            return None
        # RFC 8621 section 4.6: exactly one body part of the one type.
        if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
            self.wrong[name] = "must be an array of exactly one body part"
            return None
        before = len(self.wrong)
        part = self._part(f"{name}/0", value[0], type, is_root=alone)
        if part.type != type and len(self.wrong) == before:
            self.wrong[f"{name}/0/type"] = f"must be {type}"
        return part

    def _attachments(self, html: bool) -> tuple[list[Entity], list[Entity]]:
        value = self.sent.get("attachments")
        related: list[Entity] = []
        mixed: list[Entity] = []
        if value is None:
            return related, mixed
        if checks.list_of(checks.object_of(open=True))(value) is not None:
            self.wrong["attachments"] = "must be an array of body parts"
            return related, mixed
        for index, item in enumerate(value):
            inline = item.get("disposition") == "inline" and item.get("cid") is not None
            path = f"attachments/{index}"
            # What is listed as an attachment has to come back as one, whatever its type.
            default = None if inline else "attachment"
            part = self._part(path, item, None, disposition=default)
            (related if html and inline else mixed).append(part)
        return related, mixed

    def _part(
        self,
        path: str,
        sent: Mapping[str, Json],
        type: str | None,
        *,
        disposition: str | None = None,
        is_root: bool = False,
        depth: int = 1,
    ) -> Entity:
        self.parts += 1
        if depth > MAX_DEPTH or self.parts > MAX_PARTS:
            self.wrong[path] = f"goes beyond {MAX_PARTS} parts or a depth of {MAX_DEPTH}"
            return _empty()
        before = len(self.wrong)
        raw_fields = self._part_names(path, sent, is_root)
        if len(self.wrong) > before:
            return _empty()
        kind, params, fields = self._part_fields(path, sent, raw_fields, type, disposition)
        if kind.startswith("multipart/"):
            return self._multipart(path, sent, kind, params, fields, depth)
        if sent.get("subParts"):
            self.wrong[f"{path}/subParts"] = "may only be given for a multipart"
        return self._leaf(path, sent, kind, params, fields)

    def _part_names(self, path: str, sent: Mapping[str, Json], is_root: bool) -> dict[str, list[tuple[str, str]]]:
        """Checks every property of a part and writes its ``header:`` properties: lower-case name -> fields."""
        out: dict[str, list[tuple[str, str]]] = {}
        names = {_PART_FIELDS[n]: f"{path}/{n}" for n in sent if n in _PART_FIELDS and sent[n] is not None}
        if sent.get("name") is not None and sent.get("disposition") is not None:
            names["content-disposition"] = f"{path}/disposition"
        for name, value in sent.items():
            here = f"{path}/{name}"
            check = _PART_CHECKS.get(name)
            if check is not None:
                wrong = check(value)
                if wrong is not None:
                    self.wrong[here] = wrong
                continue
            if name == "headers":
                self.wrong[here] = 'cannot be set; set "header:Name" properties'
                continue
            prop = header_property(name)
            if prop is None:
                self.wrong[here] = _no_header_property(name, "EmailBodyPart")
            elif prop.key == "content-transfer-encoding":
                # RFC 8621 section 4.6: the server chooses the encoding.
                self.wrong[here] = "is chosen by the server"
            elif prop.key in names:
                self._twice(names[prop.key], here)
            elif is_root and prop.key in self.top_keys:
                self.wrong[here] = "represents a header field that the Email has already"
            elif is_root and prop.key in ("date", "message-id", "mime-version"):
                self.wrong[here] = "may only be given on the Email itself"
            else:
                names[prop.key] = here
                out[prop.key] = self._field(here, prop, value)
        return out

    def _part_fields(
        self,
        path: str,
        sent: Mapping[str, Json],
        raw_fields: dict[str, list[tuple[str, str]]],
        type: str | None,
        disposition: str | None,
    ) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]]]:
        """(type, parameters of Content-Type, further fields) of a part."""
        params: list[tuple[str, str]] = []
        given = sent.get("type")
        written = raw_fields.pop("content-type", None)
        if written:
            here = next(f"{path}/{n}" for n in sent if n.lower().startswith("header:content-type"))
            kind, found = mime_params.parse(written[-1][1].encode())
            kind = kind.lower()
            params = [(name, value) for name, value in found.items() if name not in ("boundary", "charset")]
            if found.get("charset") and sent.get("partId") is None:
                params.append(("charset", found["charset"]))
            if not _TYPE.fullmatch(kind):
                self.wrong[here] = "must hold a type like text/plain"
            elif sent.get("name") is not None and "name" in found:
                self._twice(here, f"{path}/name")
            else:
                self._try(here, lambda: build.parameters(params))
        elif given is None:
            fallback = "multipart/mixed" if sent.get("subParts") else "text/plain"
            kind = type or ("application/octet-stream" if sent.get("blobId") else fallback)
        else:
            kind = given.lower()
            if not _TYPE.fullmatch(kind):
                self.wrong[f"{path}/type"] = "must be a type like text/plain, without parameters"
        fields: list[tuple[str, str]] = []
        name = sent.get("name")
        shown = sent.get("disposition") or (None if "content-disposition" in raw_fields else disposition)
        if shown is not None:
            if build.is_token(shown):
                extra = [] if name is None else [("filename", name)]
                self._add(path, "disposition", fields, "Content-Disposition", lambda: shown + build.parameters(extra))
            else:
                self.wrong[f"{path}/disposition"] = 'must be a word like "attachment"'
        elif name is not None:
            params.append(("name", name))
            self._try(f"{path}/name", lambda: build.parameters([("name", name)]))
        if sent.get("cid") is not None:
            self._add(path, "cid", fields, "Content-ID", lambda: build.content_id(sent["cid"]))
        if sent.get("language"):
            self._add(path, "language", fields, "Content-Language", lambda: build.text(", ".join(sent["language"])))
        if sent.get("location") is not None:
            self._add(path, "location", fields, "Content-Location", lambda: build.text(sent["location"]))
        for group in raw_fields.values():
            fields += group
        return kind, params, fields

    def _add(self, path: str, prop: str, fields: list[tuple[str, str]], name: str, write: Callable[[], str]) -> None:
        at = "name" if prop == "disposition" else prop
        value = self._try(f"{path}/{at}", write, name)
        if value is not None:
            fields.append((name, value))

    def _try(self, path: str, write: Callable[[], str], name: str = "Content-Type") -> str | None:
        """What ``write`` answers when a field of that name can hold it; None when it cannot, which is noted."""
        try:
            value = write()
            build.field_line(name, value)
        except Unwritable as error:
            self.wrong[path] = f"cannot be written: {error}"
            return None
        return value

    def _multipart(
        self,
        path: str,
        sent: Mapping[str, Json],
        kind: str,
        params: list[tuple[str, str]],
        fields: Sequence[tuple[str, str]],
        depth: int,
    ) -> Entity:
        for name in ("partId", "blobId", "charset"):
            if sent.get(name) is not None:
                self.wrong[f"{path}/{name}"] = "cannot be given for a multipart"
        children = sent.get("subParts")
        if not children:
            self.wrong[f"{path}/subParts"] = "must hold at least one body part"
            return _empty()
        parts = [
            self._part(f"{path}/subParts/{index}", child, None, depth=depth + 1) for index, child in enumerate(children)
        ]
        return Entity(kind, params, fields, children=parts)

    def _leaf(
        self,
        path: str,
        sent: Mapping[str, Json],
        kind: str,
        params: list[tuple[str, str]],
        fields: Sequence[tuple[str, str]],
    ) -> Entity:
        part_id, blob_id, charset = sent.get("partId"), sent.get("blobId"), sent.get("charset")
        if (part_id is None) == (blob_id is None):
            # RFC 8621 section 4.6: a partId or a blobId, but not both.
            what = "needs a partId or a blobId" if part_id is None else "cannot have both a partId and a blobId"
            self.wrong[path] = what
            return _empty()
        if blob_id is not None:
            return self._from_blob(blob_id, kind, params, fields, charset, path)
        # RFC 8621 section 4.6: charset and size are omitted when a partId is given.
        for name in ("charset", "size"):
            if sent.get(name) is not None:
                self.wrong[f"{path}/{name}"] = "cannot be given together with a partId"
        value = self.values.get(str(part_id))
        if value is None:
            if "bodyValues" not in self.wrong:
                self.wrong[f"{path}/partId"] = 'is not in "bodyValues"'
            return _empty()
        if kind.startswith("message/"):
            self.wrong[f"{path}/type"] = "cannot be a message with a partId; upload it and give its blobId"
        is_text = kind.startswith("text/")
        if is_text:
            params = [*params, ("charset", "utf-8")]
        content = value["value"].replace("\r\n", "\n").replace("\n", "\r\n").encode()
        return Entity(kind, params, fields, content=content, text=True)

    def _from_blob(
        self,
        blob_id: str,
        kind: str,
        params: list[tuple[str, str]],
        fields: Sequence[tuple[str, str]],
        charset: str | None,
        path: str,
    ) -> Entity:
        if charset is not None:
            if not build.is_token(charset):
                self.wrong[f"{path}/charset"] = "must be the name of a character set"
            elif any(name == "charset" for name, _ in params):
                self.wrong[f"{path}/charset"] = "is given in the Content-Type header field already"
            elif kind.startswith("text/"):
                params = [*params, ("charset", charset)]
        if blob_id not in self.found:
            self.found[blob_id] = self.find(blob_id)
        blob = self.found[blob_id]
        if blob is None:
            self.missing[blob_id] = None
            return _empty()
        self.size += blob.size
        # Nothing is read once it is clear that the message will not be made.
        if self.wrong or self.missing or self.size > self.limits.maxSizeAttachmentsPerEmail:
            return _empty()
        content = blob.read()
        if kind.startswith("text/") and not any(name == "charset" for name, _ in params) and _is_utf8(content):
            params = [*params, ("charset", "utf-8")]
        return Entity(kind, params, fields, content=content, text=kind.startswith("text/"))


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _empty() -> Entity:
    return Entity("text/plain", [("charset", "utf-8")], content=b"", text=True)


def _no_header_property(name: str, kind: str) -> str:
    if name.lower().startswith("header:"):
        return "is no right header property, or its field cannot take this form"
    return f"is not a property of {kind}"
