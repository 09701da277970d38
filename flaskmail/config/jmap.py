"""The settings of JMAP: the limits of RFC 8620 and RFC 8621, and those beside them."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting


@dataclass(frozen=True, slots=True)
class ProtocolRequest:
    """Limits of one API request."""

    max_size: int = setting(
        kinds.size(1000, 1_000_000_000), 10_000_000, "maxSizeRequest: octets of the body of an API request."
    )
    max_calls: int = setting(kinds.integer(1, 1000), 64, "maxCallsInRequest: method calls in one request.")
    max_concurrent: int = setting(
        kinds.integer(1, 1000), 16, "maxConcurrentRequests: API requests of one user at once."
    )


@dataclass(frozen=True, slots=True)
class ProtocolGet:
    """Limits of /get."""

    max_objects: int = setting(kinds.integer(1, 100_000), 500, "maxObjectsInGet: objects that one /get may ask for.")


@dataclass(frozen=True, slots=True)
class ProtocolSet:
    """Limits of /set."""

    max_objects: int = setting(
        kinds.integer(1, 100_000),
        500,
        "maxObjectsInSet: objects that one /set may create, update and destroy, together.",
    )


@dataclass(frozen=True, slots=True)
class ProtocolUpload:
    """Limits of uploads."""

    max_size: int = setting(kinds.size(1000), 50_000_000, "maxSizeUpload: octets of one uploaded file.")
    max_concurrent: int = setting(kinds.integer(1, 1000), 4, "maxConcurrentUpload: uploads of one user at once.")


@dataclass(frozen=True, slots=True)
class ProtocolQuery:
    """Limits of /query."""

    max_results: int = setting(kinds.integer(1, 1_000_000), 5000, "Ids that one /query answers at most.")


@dataclass(frozen=True, slots=True)
class ProtocolChanges:
    """Limits of /changes."""

    max_results: int = setting(
        kinds.integer(1, 1_000_000), 5000, "Ids that one /changes answers at most; the client asks on for the rest."
    )
    max_history: int = setting(
        kinds.integer(1000, 1_000_000_000),
        250_000,
        "The newest changes of an account, for which it remembers what was destroyed. A client whose state is older may have to "
        "read everything again (cannotCalculateChanges).",
    )


@dataclass(frozen=True, slots=True)
class ProtocolSearchSnippet:
    """Limits of SearchSnippet/get."""

    max_results: int = setting(kinds.integer(1, 100_000), 500, "Messages that one SearchSnippet/get may name.")


@dataclass(frozen=True, slots=True)
class Protocol:
    """Limits of RFC 8620, advertised in the session object where it has a place for them."""

    request: ProtocolRequest = ProtocolRequest()
    get: ProtocolGet = ProtocolGet()
    set: ProtocolSet = ProtocolSet()
    upload: ProtocolUpload = ProtocolUpload()
    query: ProtocolQuery = ProtocolQuery()
    changes: ProtocolChanges = ProtocolChanges()
    search_snippet: ProtocolSearchSnippet = ProtocolSearchSnippet()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Limits of mailboxes."""

    max_depth: int = setting(kinds.integer(1, 100), 10, "maxMailboxDepth: how deep mailboxes may be nested.")
    max_name_length: int = setting(
        kinds.integer(100, 10_000), 255, "maxSizeMailboxName: octets of the name of a mailbox."
    )


@dataclass(frozen=True, slots=True)
class EmailParse:
    """Limits of Email/parse."""

    max_items: int = setting(kinds.integer(1, 1000), 10, "Blobs that one Email/parse may name.")


@dataclass(frozen=True, slots=True)
class Email:
    """Limits of messages."""

    max_size: int = setting(kinds.size(1000), 75_000_000, "Octets of a whole message.")
    max_attachment_size: int = setting(
        kinds.size(1000),
        50_000_000,
        "maxSizeAttachmentsPerEmail: octets of all attachments of a message that a client builds, before encoding.",
    )
    parse: EmailParse = EmailParse()


@dataclass(frozen=True, slots=True)
class Jmap:
    """The JMAP protocol."""

    strict_using: bool = setting(
        kinds.BOOLEAN,
        False,
        "Refuse methods of the submission, vacation response and quota capabilities to a client that names only "
        "urn:ietf:params:jmap:mail in its request. Many clients forget to name them.",
    )
    protocol: Protocol = Protocol()
    mailbox: Mailbox = Mailbox()
    email: Email = Email()
