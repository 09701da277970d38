"""A mail account in memory with real mailboxes and threads, and Emails that are nothing but their metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from flaskmail.datatypes.mail import counters, threading
from flaskmail.datatypes.mail.mailbox import Mailbox
from flaskmail.datatypes.mail.searching import (
    EMAIL_FILTERS,
    EMAIL_SORTS,
    INDEXED,
    QUERY_CHECKS,
    SEARCH_COLUMNS,
    header_matches,
)
from flaskmail.datatypes.mail.thread import Thread
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.datatype import DataType, Prop
from flaskmail.jmap.methods import standard_methods
from flaskmail.jmap.storage import Json, Reader, Record, Store, Txn
from flaskmail.store.memory import MemoryStore
from flaskmail.store.sqlite import SqliteStore
from flaskmail.values.checks import anything

ACCOUNT = "a1"


def _prop(name: str, **more: Any) -> Prop:
    return Prop(anything, default=None, immutable=True, indexed=INDEXED.get(name, False), **more)


class SmallEmail(DataType):
    """What the rules of Mailbox and Thread see of an Email."""

    name = "Email"
    capability = "urn:ietf:params:jmap:mail"
    id_prefix = "e"
    order = "receivedAt"
    group = "threadId"
    search = SEARCH_COLUMNS
    filters = EMAIL_FILTERS
    sorts = EMAIL_SORTS
    query_arguments = QUERY_CHECKS
    methods = ("get", "changes", "set", "query", "queryChanges")
    props = {
        "threadId": _prop("threadId"),
        "mailboxIds": Prop(anything, members=True, xref="Mailbox"),
        "keywords": Prop(anything, default=dict, members=True),
        "receivedAt": Prop(anything, default="2024-01-01T00:00:00Z", immutable=True, indexed=INDEXED["receivedAt"]),
        "blobId": _prop("blobId"),
        "size": Prop(anything, default=0, immutable=True, indexed=INDEXED["size"]),
        "hasAttachment": _prop("hasAttachment"),
        "sentAt": _prop("sentAt"),
        "from": _prop("from"),
        "to": _prop("to"),
        "subject": _prop("subject"),
        "messageId": _prop("messageId"),
        "inReplyTo": _prop("inReplyTo"),
        "references": _prop("references"),
        "fields": _prop("fields"),
    }

    def collapses(self, arguments: Mapping[str, Json]) -> bool:
        return bool(arguments.get("collapseThreads"))

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        if old is None and new["threadId"] is None:
            new["threadId"] = threading.assign(txn, threading.related_ids(new), new["subject"])

    def created(self, ctx: Context, txn: Txn, record: Record) -> None:
        counters.email_created(txn, record)

    def updated(self, ctx: Context, txn: Txn, old: Record, new: Record) -> None:
        counters.email_updated(txn, old, new)

    def destroyed(self, ctx: Context, txn: Txn, old: Record) -> None:
        counters.email_destroyed(txn, old)

    def scan(self, reader: Reader, id: str, name: str, args: Sequence[Any]) -> bool:
        return header_matches(reader.get("Email", [id], ["fields"])[0]["fields"] or (), tuple(args))


class World:
    """The account ``ACCOUNT`` with the mailboxes of a new account; ``call`` speaks JMAP."""

    def __init__(
        self,
        limits: Limits | None = None,
        read_only: bool = False,
        path: Path | None = None,
        email: DataType | None = None,
    ) -> None:
        """path: a folder for a store in SQLite; None for one in memory. email: another Email than the small one."""
        self.types: dict[str, DataType] = {kind.name: kind for kind in (Mailbox(), Thread(), email or SmallEmail())}
        kinds = list(self.types.values())
        self.store: Store = MemoryStore(kinds) if path is None else SqliteStore(path, kinds)
        self.store.create_account(ACCOUNT)
        access = AccountAccess(ACCOUNT, "ann@example.com", is_read_only=read_only)
        self.ctx = Context(self.store, self.types, limits or Limits(), {ACCOUNT: access}, "ann@example.com", access)
        with self.store.write(ACCOUNT) as txn:
            for kind in self.types.values():
                kind.account_made(self.ctx, txn)
        self.methods = {m.name: m for kind in self.types.values() for m in standard_methods(kind)}

    def call(self, name: str, **arguments: Json) -> Record:
        answer = self.methods[name].call(self.ctx, {"accountId": ACCOUNT, **arguments})
        # Ready JSON becomes what a client would read.
        told = msgspec.json.decode(msgspec.json.encode(answer))
        assert isinstance(told, dict)
        return told

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        with self.store.read(ACCOUNT) as reader:
            yield reader

    def role(self, role: str) -> str:
        (id,) = self.call("Mailbox/query", filter={"role": role})["ids"]
        return str(id)

    def mailbox(self, name: str, parent: str | None = None, **more: Json) -> str:
        answer = self.call("Mailbox/set", create={"k": {"name": name, "parentId": parent, **more}})
        assert answer["notCreated"] is None, answer
        return str(answer["created"]["k"]["id"])

    def email(self, *mailboxes: str, thread: str | None = None, keywords: Sequence[str] = (), **more: Json) -> str:
        sent = {"mailboxIds": dict.fromkeys(mailboxes, True), "keywords": dict.fromkeys(keywords, True), **more}
        if thread is not None:
            sent["threadId"] = thread
        answer = self.call("Email/set", create={"k": sent})
        assert answer["notCreated"] is None, answer
        return str(answer["created"]["k"]["id"])

    def counts(self, mailbox: str) -> tuple[int, int, int, int]:
        with self.reader() as reader:
            (record,) = reader.get("Mailbox", [mailbox], counters.COUNTERS)
        total, unread, threads, unread_threads = (record[name] for name in counters.COUNTERS)
        return total, unread, threads, unread_threads

    def sound(self) -> bool:
        with self.reader() as reader:
            findings = [finding for kind in self.types.values() for finding in kind.verify(reader)]
        assert findings == []
        return True
