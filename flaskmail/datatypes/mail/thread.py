"""Threads: flat lists of Emails in the order in which they came. RFC 8621 section 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flaskmail.datatypes.mail import counters
from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Prop
from flaskmail.jmap.storage import Finding, Json, Reader, Record, Txn
from flaskmail.values.checks import identifier, list_of


class Thread(DataType):
    """The record is its id alone: ``emailIds`` is read from the index of Email. Threads come, change and go with their Emails
    (:mod:`flaskmail.datatypes.mail.counters`)."""

    name = "Thread"
    capability = MAIL
    methods = ("get", "changes")
    id_prefix = "t"
    props = {"emailIds": Prop(list_of(identifier), server_set=True, computed=True)}

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """``emailIds``, for all threads in one question to the store."""
        # RFC 8621 section 3: sorted by receivedAt, oldest first; that is the record order of Email.
        emails = reader.grouped("Email", "threadId", [record["id"] for record in records])
        for record in records:
            record["emailIds"] = list(emails.get(record["id"], ()))

    def verify(self, reader: Reader) -> list[Finding]:
        """Every Thread has an Email, and every Email its Thread."""
        return counters.verify_threads(reader)

    def mend(self, txn: Txn) -> list[Finding]:
        """Makes missing Threads and removes empty ones."""
        return counters.mend_threads(txn)
