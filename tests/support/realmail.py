"""Two mail accounts of one person in a whole server, spoken to in JMAP; blobs go in and out directly."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from typing import Any

from flaskmail.datatypes.mail import BLOB_FINDERS, MAIL
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.storage import Record
from flaskmail.server import Server

_numbers = itertools.count()


class Mail:
    """id: the account that is spoken to; other: one more of the same person."""

    def __init__(self, server: Server, limits: Limits | None = None, quota: int | None = None) -> None:
        self.server, self.limits = server, limits or Limits()
        self.id, self.other = (f"mail{next(_numbers)}" for _ in range(2))
        self.accounts = {id: AccountAccess(id, id, quota=quota) for id in (self.id, self.other)}
        for id in self.accounts:
            server.store.create_account(id)
            with server.store.write(id) as txn:
                for kind in server.types.values():
                    kind.account_made(self.context(id), txn)

    def context(self, account: str | None = None) -> Context:
        """What a request of this person knows."""
        access = None if account is None else self.accounts[account]
        server = self.server
        return Context(
            server.store,
            server.types,
            self.limits,
            self.accounts,
            "ann@example.com",
            access,
            blob_finders=BLOB_FINDERS,
        )

    def request(self, *calls: tuple[str, Record]) -> list[list[Any]]:
        wire = [[name, {"accountId": self.id, **arguments}, str(n)] for n, (name, arguments) in enumerate(calls)]
        body = json.dumps({"using": ["urn:ietf:params:jmap:core", MAIL], "methodCalls": wire}).encode()
        responses: list[list[Any]] = json.loads(self.server.engine.handle(self.context(), body, "s"))["methodResponses"]
        return responses

    def attempt(self, method: str, /, **arguments: Any) -> tuple[str, Record]:
        [[name, answer, _]] = self.request((method, arguments))
        return name, answer

    def call(self, method: str, /, **arguments: Any) -> Record:
        name, answer = self.attempt(method, **arguments)
        assert name == method, answer
        return answer

    def error(self, method: str, /, **arguments: Any) -> str:
        name, answer = self.attempt(method, **arguments)
        assert name == "error", answer
        assert answer["type"] != "serverFail", answer
        return str(answer["type"])

    def upload(self, data: bytes) -> str:
        return self.server.store.put_blob(self.id, io.BytesIO(data), len(data))

    def role(self, role: str, account: str | None = None) -> str:
        answer = self.call("Mailbox/query", accountId=account or self.id, filter={"role": role})
        return str(answer["ids"][0])

    def bring(self, raw: bytes | str, **more: Any) -> str:
        """Imports a message and answers the Email's id."""
        data = raw.replace("\n", "\r\n").encode() if isinstance(raw, str) else raw
        sent = {"blobId": self.upload(data), "mailboxIds": {self.role("inbox"): True}, **more}
        answer = self.call("Email/import", emails={"k": sent})
        assert answer["notCreated"] is None, answer
        return str(answer["created"]["k"]["id"])

    def refused_import(self, **sent: Any) -> Record:
        answer = self.call("Email/import", emails={"k": sent})
        assert answer["created"] is None
        return dict(answer["notCreated"]["k"])

    def get(self, id: str, *names: str, **arguments: Any) -> Record:
        answer = self.call("Email/get", ids=[id], properties=list(names) or None, **arguments)
        return dict(answer["list"][0])

    def draft(self, **sent: Any) -> str:
        """Creates an Email in the drafts and answers its id."""
        answer = self.call("Email/set", create={"k": {"mailboxIds": {self.role("drafts"): True}, **sent}})
        assert answer["notCreated"] is None, answer
        return str(answer["created"]["k"]["id"])

    def refused(self, **sent: Any) -> Record:
        """The SetError of a create."""
        answer = self.call("Email/set", create={"k": {"mailboxIds": {self.role("drafts"): True}, **sent}})
        assert answer["created"] is None, answer
        error = answer["notCreated"]["k"]
        assert error.get("description", "").endswith("."), error
        return dict(error)

    def wrong(self, **sent: Any) -> Sequence[str]:
        """The properties that an ``invalidProperties`` names."""
        error = self.refused(**sent)
        assert error["type"] == "invalidProperties", error
        return list(error["properties"])

    def octets(self, blob_id: str, account: str | None = None) -> bytes:
        """A blob, stored or derived."""
        with self.server.store.read(account or self.id) as reader:
            found = self.context().find_blob(reader, blob_id)
            assert found is not None
            return found.read()

    def has_blob(self, blob_id: str, account: str | None = None) -> bool:
        with self.server.store.read(account or self.id) as reader:
            return self.context().find_blob(reader, blob_id) is not None

    def raw(self, id: str) -> bytes:
        """The message of an Email."""
        return self.octets(self.get(id, "blobId")["blobId"])

    def sound(self) -> None:
        """Nothing is to be found by ``verify``."""
        for account in (self.id, self.other):
            assert list(self.server.store.verify(account)) == []
            with self.server.store.read(account) as reader:
                assert [f for kind in self.server.types.values() for f in kind.verify(reader)] == []
