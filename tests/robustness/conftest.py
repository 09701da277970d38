"""A whole server with every type there is (mail, and a third party's), whose user has two accounts with real messages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from notes import Label, Note

from flaskmail.accounts.principals import Principal
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.context import AccountAccess, Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Record
from flaskmail.server import Server
from flaskmail.testing import make_server

MESSAGES = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\nMessage-ID: <1@example.org>\r\n"
    b"Date: Mon, 01 Jan 2024 10:00:00 +0000\r\n\r\nShall we have lunch?\r\n",
    b"From: bob@example.net\r\nTo: ann@example.org\r\nSubject: Re: Lunch\r\nMessage-ID: <2@example.org>\r\n"
    b"In-Reply-To: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Yes &amp; soon</p>\r\n"
    b'--b\r\nContent-Type: application/pdf; name="menu.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n',
    b"From: list@example.com\r\nSubject: =?utf-8?q?F=C3=BCr_alle?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: inner\r\n\r\ninner text\r\n--d--\r\n",
)
"""A plain message, a reply with an attachment, and one with a message in it."""


class NotesPlugin:
    """What a third party ships."""

    @hookimpl
    def jmap_datatypes(self) -> list[type[DataType]]:
        return [Note, Label]


@dataclass
class Tenant:
    """A user of a server. accounts: the ids of their accounts, the first one filled."""

    server: Server
    accounts: Sequence[str]
    quota: int | None = None
    ids: dict[str, list[str]] = field(default_factory=dict)
    """What there is or was, by type; "blob": blobs, and parts of messages."""

    def context(self) -> Context:
        """As for a request of this user."""
        accounts = {id: AccountAccess(id, f"{id}@example.org", quota=self.quota) for id in self.accounts}
        return Context(self.server.store, self.server.types, self.server.limits, accounts, "ann@example.org")

    def send(self, calls: Sequence[Sequence[Any]], **more: Any) -> list[list[Any]]:
        """The method responses."""
        body = {"using": list(self.server.engine.capabilities), "methodCalls": calls, **more}
        context = self.context()
        context.blob_finders = self.server.context_for(NOBODY).blob_finders
        answer = self.server.engine.handle(context, json.dumps(body).encode(), "s")
        responses: list[list[Any]] = json.loads(answer)["methodResponses"]
        return responses

    def attempt(self, method: str, /, **arguments: Any) -> tuple[str, Record]:
        """Name and arguments of the one response."""
        [[name, answer, _]] = self.send([[method, {"accountId": self.accounts[0], **arguments}, "c"]])
        return name, answer

    def call(self, method: str, /, **arguments: Any) -> Record:
        """The answer of a method that succeeds."""
        name, answer = self.attempt(method, **arguments)
        assert name == method, answer
        return answer

    def states(self) -> Mapping[str, int]:
        """The state of every type in every account."""
        found = {}
        for account in self.accounts:
            with self.server.store.read(account) as reader:
                found |= {f"{account} {kind}": reader.state(kind) for kind in self.server.types}
        return found


NOBODY = Principal("nobody", "nobody", "", admin=True, disabled=False, quota=None, created="2024-01-01T00:00:00Z")
"""One who has no mail."""

_numbers = itertools.count()


def make_tenant(server: Server, *, accounts: int = 2, filled: bool = True, quota: int | None = None) -> Tenant:
    """A user with new accounts; the first with three messages, a mailbox below another, notes and labels."""
    tenant = Tenant(server, [f"acc{next(_numbers)}" for _ in range(accounts)], quota)
    for id in tenant.accounts:
        server.store.create_account(id)
        context = tenant.context()
        context.account = context.accounts[id]
        with server.store.write(id) as txn:
            for kind in server.types.values():
                kind.account_made(context, txn)
    boxes = tenant.call("Mailbox/get", ids=None, properties=["role"])["list"]
    tenant.ids["Mailbox"] = [box["id"] for box in boxes]
    if filled:
        _fill(tenant)
    return tenant


def _fill(tenant: Tenant) -> None:
    account, ids = tenant.accounts[0], tenant.ids
    blobs = [tenant.server.store.put_blob(account, raw, len(raw)) for raw in MESSAGES]
    emails = {f"e{n}": {"blobId": blob, "mailboxIds": {ids["Mailbox"][0]: True}} for n, blob in enumerate(blobs)}
    made = tenant.call("Email/import", emails=emails)["created"]
    ids["Email"] = [made[key]["id"] for key in sorted(made)]
    ids["Thread"] = list(dict.fromkeys(made[key]["threadId"] for key in sorted(made)))
    loose = b"Subject: loose\r\n\r\nnobody refers to this\r\n"
    ids["blob"] = [*blobs, tenant.server.store.put_blob(account, loose, len(loose)), f"{blobs[1]}-1", f"{blobs[2]}-1"]
    created = tenant.call(
        "Mailbox/set",
        create={"a": {"name": "Work"}, "b": {"name": "Below", "parentId": "#a"}, "c": {"name": "Gone"}},
    )["created"]
    ids["Mailbox"] += [created[key]["id"] for key in "abc"]
    tenant.call("Mailbox/set", destroy=[created["c"]["id"]])
    notes = {
        "a": {"title": "milk"},
        "b": {"title": "tea", "attachment": blobs[0], "categories": {"c": True}},
        "c": {"title": "x"},
    }
    made = tenant.call("Note/set", create=notes)["created"]
    ids["Note"] = [made[key]["id"] for key in sorted(made)]
    tenant.call("Note/set", destroy=[made["c"]["id"]])
    made = tenant.call("Label/set", create={"a": {"name": "red"}})["created"]
    ids["Label"] = [made["a"]["id"]]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One for the tests of a module, over each store."""
    with make_server(plugins=[NotesPlugin()], store=request.param) as made:
        yield made.server


@pytest.fixture(scope="module")
def fresh(server: Server) -> Callable[..., Tenant]:
    """Makes users: see ``make_tenant``."""

    def make(**options: Any) -> Tenant:
        return make_tenant(server, **options)

    return make


@pytest.fixture
def ann(fresh: Callable[..., Tenant]) -> Tenant:
    """A user with two accounts of her own."""
    return fresh()


@pytest.fixture
def eve(fresh: Callable[..., Tenant]) -> Tenant:
    """Another user, with an account full of her own things."""
    return fresh(accounts=1)
