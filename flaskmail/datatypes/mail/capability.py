"""The capability ``urn:ietf:params:jmap:mail``. RFC 8621 section 1.3.1."""

from __future__ import annotations

from flaskmail.datatypes.mail.searching import EMAIL_SORTS
from flaskmail.jmap.context import AccountAccess, Limits
from flaskmail.jmap.method import Capability
from flaskmail.jmap.storage import Record

MAIL = "urn:ietf:params:jmap:mail"
"""The URN that makes Mailbox, Thread, Email and SearchSnippet known."""

IMPLIED = (
    "urn:ietf:params:jmap:submission",
    "urn:ietf:params:jmap:vacationresponse",
    "urn:ietf:params:jmap:quota",
)
"""What a request that uses ``MAIL`` opts into as well, unless ``jmap.strict-using`` is true (docs/decisions.md)."""


def _account(access: AccountAccess, limits: Limits) -> Record:
    return {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": limits.maxMailboxDepth,
        "maxSizeMailboxName": limits.maxSizeMailboxName,
        "maxSizeAttachmentsPerEmail": limits.maxSizeAttachmentsPerEmail,
        "emailQuerySortOptions": list(EMAIL_SORTS),
        "mayCreateTopLevelMailbox": not access.is_read_only,
    }


CAPABILITY = Capability(MAIL, lambda limits: {}, _account, IMPLIED)
"""An empty object in the session, the limits of mail in each account."""
