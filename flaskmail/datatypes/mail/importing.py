"""From octets to an Email: the record, the text for the search index, and how it is filed.

``prepare_message`` does the heavy work and needs no transaction; ``file_message`` is quick and is called in one, once for a
message or hundreds of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flaskmail.datatypes.mail import counters, threading
from flaskmail.datatypes.mail.bodies import Body, describe
from flaskmail.errors import SetError
from flaskmail.formats import preview
from flaskmail.formats.mime import dates, forms, structure
from flaskmail.formats.mime.headers import Headers
from flaskmail.formats.mime.structure import Message
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import Prepared
from flaskmail.jmap.storage import Json, Reader, Record, Txn
from flaskmail.values.dates import format_utc_date

# RFC 8621 section 4.1.3: what the convenience properties are identical to.
_IDS = (("messageId", "message-id"), ("inReplyTo", "in-reply-to"), ("references", "references"))
_FIELDS_OF_MESSAGES = frozenset(
    (
        "bcc",
        "cc",
        "comments",
        "content-disposition",
        "content-transfer-encoding",
        "content-type",
        "date",
        "delivered-to",
        "from",
        "in-reply-to",
        "keywords",
        "list-id",
        "message-id",
        "mime-version",
        "received",
        "references",
        "reply-to",
        "resent-date",
        "resent-from",
        "resent-message-id",
        "resent-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-mailer",
    )
)
_ADDRESSES = (
    ("sender", "sender"),
    ("from", "from"),
    ("to", "to"),
    ("cc", "cc"),
    ("bcc", "bcc"),
    ("replyTo", "reply-to"),
)


def list_properties(headers: Headers) -> Record:
    """The convenience properties of the header fields (RFC 8621 section 4.1.3)."""
    out: Record = {}
    last = headers.last
    for name, key in _IDS:
        value = last(key)
        out[name] = None if value is None else forms.as_message_ids(value)
    for name, key in _ADDRESSES:
        value = last(key)
        out[name] = None if value is None else forms.as_addresses(value)
    value = last("subject")
    out["subject"] = None if value is None else forms.as_text(value)
    value = last("date")
    out["sentAt"] = None if value is None else forms.as_date(value)
    return out


def body_properties(body: Body) -> Record:
    """bodyStructure, textBody, htmlBody and attachments with the default ``bodyProperties``; no blob ids yet."""
    return {
        "bodyStructure": body.root,
        "textBody": [leaf.shown for leaf in body.text],
        "htmlBody": [leaf.shown for leaf in body.html],
        "attachments": [leaf.shown for leaf in body.attachments],
    }


def message_record(
    raw: bytes,
    received_at: str | datetime | None,
    keywords: Mapping[str, Json] | Iterable[str],
    mailbox_ids: Mapping[str, Json] | Iterable[str],
) -> tuple[Record, dict[str, str]]:
    """Every stored property of an Email made from a message, but for ``id``, ``blobId`` and ``threadId`` which come with filing;
    and its text for the search index by column. Any octets make an Email; nothing is raised.

    received_at: a UTCDate, an aware datetime, or None for the newest Received field, else now. keywords: in any case.
    """
    message = structure.parse(raw)
    return parsed_record(message, received_at, keywords, mailbox_ids)


def parsed_record(
    message: Message,
    received_at: str | datetime | None,
    keywords: Mapping[str, Json] | Iterable[str],
    mailbox_ids: Mapping[str, Json] | Iterable[str],
) -> tuple[Record, dict[str, str]]:
    """The same as ``message_record`` for a message that is parsed already."""
    body = describe(message)
    record = body_record(body, received_at, keywords, mailbox_ids)
    return record, search_columns(record, body)


def body_record(
    body: Body,
    received_at: str | datetime | None,
    keywords: Mapping[str, Json] | Iterable[str],
    mailbox_ids: Mapping[str, Json] | Iterable[str],
) -> Record:
    """The record of ``message_record`` alone."""
    message, root = body.message, body.message.root
    if received_at is None:
        received_at = newest_received(root.headers) or datetime.now(UTC)
    if isinstance(received_at, datetime):
        received_at = format_utc_date(received_at.replace(microsecond=0))
    record: Record = {
        "blobId": None,
        "threadId": None,
        "mailboxIds": dict.fromkeys(mailbox_ids, True),
        "keywords": {name.lower(): True for name in keywords},
        "size": len(message.raw),
        "receivedAt": received_at,
    }
    record |= list_properties(root.headers)
    record["hasAttachment"] = body.has_attachment()
    record["preview"] = preview.preview(body.preview_text())
    record |= body_properties(body)
    record["_parts"] = {
        leaf.id: [leaf.part.body_start, leaf.part.body_end, leaf.part.encoding, leaf.part.charset, leaf.part.type]
        for leaf in body.leaves
    }
    record["_head"] = root.header_end
    return record


def search_columns(record: Record, body: Body) -> dict[str, str]:
    """What the search index holds of a message, by ``SEARCH_COLUMNS``; empty columns are left out."""
    text = {name: _address_text(record[name]) for name in ("from", "to", "cc", "bcc") if record[name]}
    if record["subject"]:
        text["subject"] = record["subject"]
    searched = body.search_text()
    if searched:
        text["body"] = searched
    names = body.attachment_names()
    if names:
        text["attachment"] = names
    return text


def _address_text(addresses: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join([f"{one['name']} {one['email']}" if one["name"] else one["email"] for one in addresses])


def newest_received(headers: Headers) -> datetime | None:
    """When the message was received last, by its topmost Received field (RFC 5321 section 4.4); None when there is none
    that can be read or it lies in the future."""
    value = headers.first("received")
    if value is None:
        return None
    # RFC 5322 section 3.6.7: the date-time follows the last semicolon.
    _, semicolon, stamp = value.rpartition(b";")
    if not semicolon:
        return None
    moment = dates.parse(stamp[:1000].decode("ascii", "replace").replace("\r", "").replace("\n", "").strip())
    if moment is None:
        return None
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment if datetime(1970, 1, 1, tzinfo=UTC) <= moment <= datetime.now(UTC) else None


def is_message(headers: Headers) -> bool:
    """Whether octets with these header fields can be taken for a message: one field at least is a field of messages. RFC 5322
    section 3.6 wants two, but what a person can read is better shown than refused."""
    return any(name.lower() in _FIELDS_OF_MESSAGES for name, _ in headers)


def prepare_message(
    raw: bytes,
    received_at: str | datetime | None = None,
    keywords: Mapping[str, Json] | Iterable[str] = (),
    mailbox_ids: Mapping[str, Json] | Iterable[str] = (),
    *,
    keep: bool = True,
) -> Prepared:
    """A message that is ready for ``file_message``. keep: the octets come along in ``extra``, to be stored when it is filed."""
    record, text = message_record(raw, received_at, keywords, mailbox_ids)
    return Prepared(record, text, raw if keep else None)


def file_message(ctx: Context | None, txn: Txn, prepared: Prepared, blob_id: str | None = None) -> Record:
    """Stores a prepared message as an Email: blob, thread, record, counters; answers the record with ``id``.

    blob_id: of the message, when it is stored already (an upload, or ``txn.put_blob`` by the caller); None to store
    ``prepared.extra``, for which the account's quota (of ``ctx``, if given) must have room. Mailboxes must exist. Raises SetError
    ``overQuota`` or ``invalidProperties`` before anything is written.
    """
    record = prepared.record
    check_mailboxes(txn, record["mailboxIds"])
    if blob_id is None:
        raw: bytes = prepared.extra
        check_quota(ctx, txn, len(raw))
        blob_id = txn.put_blob(raw)
    name_blobs(record, blob_id)
    record["threadId"] = threading.assign(txn, threading.related_ids(record), record["subject"])
    record["id"] = txn.new_id("Email")
    txn.create("Email", record, prepared.text)
    counters.email_created(txn, record)
    return record


def check_mailboxes(reader: Reader, ids: Mapping[str, Json]) -> None:
    """SetError ``invalidProperties`` unless there is at least one mailbox and all exist (RFC 8621 section 4.1.1)."""
    if not ids:
        raise SetError("invalidProperties", "An Email must be in at least one Mailbox.", ["mailboxIds"])
    missing = ids.keys() - reader.existing("Mailbox", ids)
    if missing:
        told = ", ".join(sorted(missing)[:10])
        raise SetError("invalidProperties", f"There is no Mailbox {told}.", ["mailboxIds"])


def check_quota(ctx: Context | None, reader: Reader, more: int) -> None:
    """SetError ``overQuota`` when the account has no room for ``more`` octets."""
    quota = None if ctx is None or ctx.account is None else ctx.account.quota
    if quota is not None and reader.used() + more > quota:
        raise SetError("overQuota", f"The account may hold {quota} octets, and {more} more do not fit.")


def name_blobs(record: Record, blob_id: str) -> None:
    """Puts the blob id of the message and of its parts into a record made by ``message_record``. The lists share the objects
    of ``bodyStructure``, so each part is named once."""
    record["blobId"] = blob_id
    stack = [record["bodyStructure"]]
    while stack:
        part = stack.pop()
        if part["partId"] is None:
            stack.extend(part["subParts"])
        else:
            part["blobId"] = f"{blob_id}-{part['partId']}"
