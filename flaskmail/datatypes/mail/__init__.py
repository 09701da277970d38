"""Mail: Mailbox, Thread, Email and SearchSnippet. RFC 8621 sections 2 to 5."""

from __future__ import annotations

from flaskmail.datatypes.mail.capability import CAPABILITY, MAIL
from flaskmail.datatypes.mail.email import Email
from flaskmail.datatypes.mail.importmethod import EMAIL_IMPORT
from flaskmail.datatypes.mail.mailbox import Mailbox
from flaskmail.datatypes.mail.parsing import EMAIL_PARSE
from flaskmail.datatypes.mail.parts import find_part
from flaskmail.datatypes.mail.snippet import SEARCH_SNIPPET_GET
from flaskmail.datatypes.mail.thread import Thread
from flaskmail.jmap.context import BlobFinder
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Capability, Method


def types() -> list[DataType]:
    """A new instance of every data type of mail."""
    return [Mailbox(), Thread(), Email()]


METHODS: tuple[Method, ...] = (EMAIL_IMPORT, EMAIL_PARSE, SEARCH_SNIPPET_GET)
"""The plain methods: what /get, /set and the like of the types do not cover."""

CAPABILITIES: tuple[Capability, ...] = (CAPABILITY,)
"""The capability that the types belong to."""

BLOB_FINDERS: tuple[BlobFinder, ...] = (find_part,)
"""What resolves the blob ids of parts of messages."""

__all__ = ["BLOB_FINDERS", "CAPABILITIES", "MAIL", "METHODS", "types"]
