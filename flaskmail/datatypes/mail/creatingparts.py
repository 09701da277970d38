"""Body parts of a message that a client sends (EmailBodyPart, RFC 8621 sections 4.1.4 and 4.6) become MIME entities."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from flaskmail.datatypes.mail.creatingfields import Field, Writing, no_header_property
from flaskmail.datatypes.mail.headers import header_property
from flaskmail.formats.mime import build
from flaskmail.formats.mime import params as mime_params
from flaskmail.formats.mime.build import Entity
from flaskmail.jmap.context import BlobContent
from flaskmail.jmap.storage import Json
from flaskmail.values import checks

MAX_DEPTH = 40
"""How deep multiparts may lie in one another."""
MAX_PARTS = 1000

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")

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


class PartMaker:
    """Makes the parts of one message, and gathers everything that is wrong with them.

    values: ``bodyValues``, None when they are wrong themselves; top: header fields that the message has already, in lower case.
    find: blob id -> its content, or None; at_most: octets of all blobs together, beyond which none is read any more.
    missing: the blob ids of which there is no content; size: octets of the others, each as often as it is used.
    """

    def __init__(
        self,
        writing: Writing,
        values: Mapping[str, Mapping[str, Json]] | None,
        top: frozenset[str],
        find: Callable[[str], BlobContent | None],
        at_most: int,
    ) -> None:
        self.writing, self.wrong = writing, writing.wrong
        self.missing: dict[str, None] = {}
        self.size = 0
        self._values, self._top, self._find, self._at_most = values, top, find, at_most
        self._found: dict[str, BlobContent | None] = {}
        self._parts = 0

    def part(
        self,
        path: str,
        sent: Mapping[str, Json],
        type: str | None,
        *,
        disposition: str | None = None,
        is_root: bool = False,
        depth: int = 1,
    ) -> Entity:
        """The part that ``sent`` describes, with all below it. path: where it stands; type, disposition: of a part that says
        nothing of them; is_root: its header fields become those of the message."""
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_PARTS:
            self.wrong[path] = f"goes beyond {MAX_PARTS} parts or a depth of {MAX_DEPTH}"
            return empty()
        before = len(self.wrong)
        raw_fields = self._part_names(path, sent, is_root)
        if len(self.wrong) > before:
            return empty()
        kind, params, fields = self._part_fields(path, sent, raw_fields, type, disposition)
        if kind.startswith("multipart/"):
            return self._multipart(path, sent, kind, params, fields, depth)
        if sent.get("subParts"):
            self.wrong[f"{path}/subParts"] = "may only be given for a multipart"
        return self._leaf(path, sent, kind, params, fields)

    def _part_names(self, path: str, sent: Mapping[str, Json], is_root: bool) -> dict[str, list[Field]]:
        """Checks every property of a part and writes its ``header:`` properties: lower-case name -> fields."""
        out: dict[str, list[Field]] = {}
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
                self.wrong[here] = no_header_property(name, "EmailBodyPart")
            elif prop.key == "content-transfer-encoding":
                # RFC 8621 section 4.6: the server chooses the encoding.
                self.wrong[here] = "is chosen by the server"
            elif prop.key in names:
                self.writing.twice(names[prop.key], here)
            elif is_root and prop.key in self._top:
                self.wrong[here] = "represents a header field that the Email has already"
            elif is_root and prop.key in ("date", "message-id", "mime-version"):
                self.wrong[here] = "may only be given on the Email itself"
            else:
                names[prop.key] = here
                out[prop.key] = self.writing.fields(here, prop, value)
        return out

    def _part_fields(
        self,
        path: str,
        sent: Mapping[str, Json],
        raw_fields: dict[str, list[Field]],
        type: str | None,
        disposition: str | None,
    ) -> tuple[str, list[Field], list[Field]]:
        """(type, parameters of Content-Type, further fields) of a part."""
        params: list[Field] = []
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
                self.writing.twice(here, f"{path}/name")
            else:
                self.writing.attempt(here, lambda: build.parameters(params))
        elif given is None:
            fallback = "multipart/mixed" if sent.get("subParts") else "text/plain"
            kind = type or ("application/octet-stream" if sent.get("blobId") else fallback)
        else:
            kind = given.lower()
            if not _TYPE.fullmatch(kind):
                self.wrong[f"{path}/type"] = "must be a type like text/plain, without parameters"
        fields: list[Field] = []
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
            self.writing.attempt(f"{path}/name", lambda: build.parameters([("name", name)]))
        if sent.get("cid") is not None:
            self._add(path, "cid", fields, "Content-ID", lambda: build.content_id(sent["cid"]))
        if sent.get("language"):
            self._add(path, "language", fields, "Content-Language", lambda: build.text(", ".join(sent["language"])))
        if sent.get("location") is not None:
            self._add(path, "location", fields, "Content-Location", lambda: build.text(sent["location"]))
        for group in raw_fields.values():
            fields += group
        return kind, params, fields

    def _add(self, path: str, prop: str, fields: list[Field], name: str, write: Callable[[], str]) -> None:
        at = "name" if prop == "disposition" else prop
        value = self.writing.attempt(f"{path}/{at}", write, name)
        if value is not None:
            fields.append((name, value))

    def _multipart(
        self,
        path: str,
        sent: Mapping[str, Json],
        kind: str,
        params: list[Field],
        fields: Sequence[Field],
        depth: int,
    ) -> Entity:
        for name in ("partId", "blobId", "charset"):
            if sent.get(name) is not None:
                self.wrong[f"{path}/{name}"] = "cannot be given for a multipart"
        children = sent.get("subParts")
        if not children:
            self.wrong[f"{path}/subParts"] = "must hold at least one body part"
            return empty()
        parts = [
            self.part(f"{path}/subParts/{index}", child, None, depth=depth + 1) for index, child in enumerate(children)
        ]
        return Entity(kind, params, fields, children=parts)

    def _leaf(
        self,
        path: str,
        sent: Mapping[str, Json],
        kind: str,
        params: list[Field],
        fields: Sequence[Field],
    ) -> Entity:
        part_id, blob_id, charset = sent.get("partId"), sent.get("blobId"), sent.get("charset")
        if (part_id is None) == (blob_id is None):
            # RFC 8621 section 4.6: a partId or a blobId, but not both.
            what = "needs a partId or a blobId" if part_id is None else "cannot have both a partId and a blobId"
            self.wrong[path] = what
            return empty()
        if blob_id is not None:
            return self._from_blob(blob_id, kind, params, fields, charset, path)
        # RFC 8621 section 4.6: charset and size are omitted when a partId is given.
        for name in ("charset", "size"):
            if sent.get(name) is not None:
                self.wrong[f"{path}/{name}"] = "cannot be given together with a partId"
        value = (self._values or {}).get(str(part_id))
        if value is None:
            if self._values is not None:
                self.wrong[f"{path}/partId"] = 'is not in "bodyValues"'
            return empty()
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
        params: list[Field],
        fields: Sequence[Field],
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
        if blob_id not in self._found:
            self._found[blob_id] = self._find(blob_id)
        blob = self._found[blob_id]
        if blob is None:
            self.missing[blob_id] = None
            return empty()
        self.size += blob.size
        # Nothing is read once it is clear that the message will not be made.
        if self.wrong or self.missing or self.size > self._at_most:
            return empty()
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


def empty() -> Entity:
    """A part without content, and what stands for one that cannot be made."""
    return Entity("text/plain", [("charset", "utf-8")], content=b"", text=True)
