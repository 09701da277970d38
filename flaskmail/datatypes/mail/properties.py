"""What the properties of an Email are, which of them are stored where, and what values they take (RFC 8621 section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flaskmail.datatypes.mail.searching import INDEXED, keyword
from flaskmail.jmap.datatype import Prop
from flaskmail.values import checks
from flaskmail.values.dates import format_utc_date

MAX_KEYWORDS = 250
"""Keywords that one Email may have; more are ``tooManyKeywords`` (RFC 8621 section 4.6)."""

DEFAULT_PROPERTIES = (
    "id",
    "blobId",
    "threadId",
    "mailboxIds",
    "keywords",
    "size",
    "receivedAt",
    "messageId",
    "inReplyTo",
    "references",
    "sender",
    "from",
    "to",
    "cc",
    "bcc",
    "replyTo",
    "subject",
    "sentAt",
    "hasAttachment",
    "preview",
    "bodyValues",
    "textBody",
    "htmlBody",
    "attachments",
)
"""What Email/get answers when ``properties`` is null (RFC 8621 section 4.2)."""

PARSE_PROPERTIES = DEFAULT_PROPERTIES[7:]
"""The same for Email/parse (RFC 8621 section 4.9)."""

BODY_PROPERTIES = (
    "partId",
    "blobId",
    "size",
    "name",
    "type",
    "charset",
    "disposition",
    "cid",
    "language",
    "location",
)
"""The default of ``bodyProperties`` (RFC 8621 section 4.2), and what is stored of each part."""


keywords = checks.map_of(keyword, checks.true)
"""String[Boolean]: a set of keywords."""


def mailbox_ids(value: Any) -> str | None:
    """Id[Boolean] with at least one id (RFC 8621 section 4.1.1)."""
    return checks.id_set(value) or (None if value else "must hold at least one Mailbox")


def folded_keywords(value: Mapping[str, Any]) -> dict[str, bool]:
    """A set of keywords in lower case, as servers must answer them (RFC 8621 section 4.1.1)."""
    return {name.lower(): True for name in value}


def _now() -> str:
    return format_utc_date(datetime.now(UTC).replace(microsecond=0))


def _blob(value: str) -> Sequence[str]:
    return (value,)


def _given(check: checks.Check, **more: Any) -> Prop:
    return Prop(check, default=None, immutable=True, **more)


_addresses = checks.optional(
    checks.list_of(checks.object_of({"email": checks.text}, {"name": checks.optional(checks.text)}))
)
_ids = checks.optional(checks.list_of(checks.text))
_parts = checks.optional(checks.list_of(checks.object_of(open=True)))

EMAIL_PROPS: Mapping[str, Prop] = {
    # Small and hot: what lists and flag changes read and write.
    "blobId": Prop(checks.identifier, immutable=True, server_set=True, blob_ref=_blob),
    "threadId": Prop(checks.identifier, immutable=True, server_set=True, indexed=INDEXED["threadId"]),
    "mailboxIds": Prop(mailbox_ids, members=True, xref="Mailbox"),
    "keywords": Prop(keywords, default=dict, members=True),
    "size": Prop(checks.unsigned, immutable=True, server_set=True, indexed=INDEXED["size"]),
    "receivedAt": Prop(checks.utc_date, default=_now, immutable=True, indexed=INDEXED["receivedAt"]),
    # What a list of messages shows.
    "messageId": _given(_ids, segment="list"),
    "inReplyTo": _given(_ids, segment="list"),
    "references": _given(_ids, segment="list"),
    "sender": _given(_addresses, segment="list"),
    "from": _given(_addresses, segment="list", indexed=INDEXED["from"]),
    "to": _given(_addresses, segment="list", indexed=INDEXED["to"]),
    "cc": _given(_addresses, segment="list"),
    "bcc": _given(_addresses, segment="list"),
    "replyTo": _given(_addresses, segment="list"),
    "subject": _given(checks.optional(checks.text), segment="list", indexed=INDEXED["subject"]),
    "sentAt": _given(checks.optional(checks.date), segment="list", indexed=INDEXED["sentAt"]),
    "hasAttachment": Prop(
        checks.boolean, immutable=True, server_set=True, segment="list", indexed=INDEXED["hasAttachment"]
    ),
    "preview": Prop(checks.text, immutable=True, server_set=True, segment="list"),
    # The structure of the body, and where in the message its parts lie.
    "bodyStructure": _given(checks.optional(checks.object_of(open=True)), segment="body"),
    "textBody": _given(_parts, segment="body"),
    "htmlBody": _given(_parts, segment="body"),
    "attachments": _given(_parts, segment="body"),
    "_parts": Prop(checks.anything, default=dict, internal=True, segment="body"),
    "_head": Prop(checks.anything, default=0, internal=True, segment="body"),
    # Read from the message when they are asked for.
    "headers": Prop(checks.anything, default=None, immutable=True, computed=True),
    "bodyValues": Prop(checks.anything, default=None, immutable=True, computed=True),
}
"""Every property of an Email. Internal: ``_parts``, ``{partId: [start, end, encoding, charset, type]}`` with octet offsets in the
blob; ``_head``, the octets of the message's header fields."""

METADATA_PROPERTIES = ("id", "threadId", "mailboxIds", "keywords", "receivedAt")
"""What Email/parse answers as null (RFC 8621 section 4.9)."""
