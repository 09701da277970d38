"""kill -9 of random workers while clients import and flag: nothing that was acknowledged is lost, nothing is half-written."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import Any

import pytest
from workers import kill_amid

from flaskmail.testing import Jmap, LiveServer, live_server

KILLS = 90
WRITERS = 4


class Writer(threading.Thread):
    """A client that imports a message, then flips a keyword of one it has, over and over. Notes what was acknowledged, and what
    it asked for without an answer (which may or may not have happened)."""

    def __init__(self, number: int, server: LiveServer, token: str, account: str, inbox: str) -> None:
        super().__init__(name=f"writer-{number}")
        self.number, self.server, self.account, self.inbox = number, server, account, inbox
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.imported: dict[str, str] = {}
        self.flagged: dict[str, bool | None] = {}
        self.refused: list[str] = []
        self.lost_answers = self.answers = 0
        self.stop = threading.Event()
        self.random = random.Random(number)
        self.connection: http.client.HTTPConnection | None = None

    def send(self, path: str, body: bytes) -> Any:
        """The JSON of the answer; OSError or HTTPException when none came."""
        if self.connection is None:
            self.connection = self.server.connect()
        try:
            self.connection.request("POST", path, body, self.headers)
            response = self.connection.getresponse()
            data = response.read()
        except BaseException:
            self.connection.close()
            self.connection = None
            raise
        if response.status not in (200, 201):
            self.refused.append(f"{response.status} {data[:200]!r}")
            raise http.client.HTTPException("refused")
        self.answers += 1
        return json.loads(data)

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One method call's answer."""
        body = {
            "using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
            "methodCalls": [[name, {"accountId": self.account, **arguments}, "0"]],
        }
        [[answered, found, _]] = self.send("/jmap/", json.dumps(body).encode())["methodResponses"]
        if answered != name:
            self.refused.append(json.dumps(found))
            raise http.client.HTTPException("refused")
        result: dict[str, Any] = found
        return result

    def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            n += 1
            try:
                self.import_one(n)
                self.flip_one()
            except (OSError, http.client.HTTPException):
                self.lost_answers += 1
                time.sleep(0.01)
        if self.connection is not None:
            self.connection.close()

    def import_one(self, n: int) -> None:
        """Uploads a message and imports it."""
        subject = f"w{self.number}-{n}"
        size = self.random.choice((10, 2000, 200_000 if n % 20 == 0 else 50))
        raw = f"Subject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\n{'x' * size}\r\n".encode()
        blob = self.send(f"/jmap/upload/{self.account}/", raw)["blobId"]
        email = {"blobId": blob, "mailboxIds": {self.inbox: True}}
        answer = self.call("Email/import", {"emails": {"e": email}})
        self.imported[answer["created"]["e"]["id"]] = subject

    def flip_one(self) -> None:
        """Sets or unsets $flagged of a message; None notes that the outcome is open."""
        if not self.imported:
            return
        id = self.random.choice(list(self.imported))
        wanted = not self.flagged.get(id)
        self.flagged[id] = None
        answer = self.call("Email/set", {"update": {id: {"keywords/$flagged": True if wanted else None}}})
        assert id in answer["updated"]
        self.flagged[id] = wanted


@pytest.mark.parametrize("kills", [KILLS])
def test_nothing_acknowledged_is_lost(kills: int) -> None:
    with live_server() as server:
        server.account("a@example.org")
        token = server.cli("token", "create", "a@example.org", "--json")
        secret = json.loads(token.stdout)["token"]
        client = Jmap(server.send, f"Bearer {secret}")
        assert client.id is not None
        inbox = next(m["id"] for m in client.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
        writers = [Writer(n, server, secret, client.id, inbox) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        chance = random.Random(1)
        try:
            for _ in range(kills):
                kill_amid(server, lambda: sum(writer.answers for writer in writers), chance, (0.05, 0.25))
        finally:
            for writer in writers:
                writer.stop.set()
            for writer in writers:
                writer.join(180)
        assert not [writer for writer in writers if writer.is_alive()]
        assert [r for w in writers for r in w.refused] == []
        # The harness is blind unless the kills hit requests that were under way.
        assert sum(writer.lost_answers for writer in writers) >= kills // 4

        stored = subjects_and_flags(Jmap(server.send, f"Bearer {secret}"))
        acknowledged = {id: subject for writer in writers for id, subject in writer.imported.items()}
        assert len(acknowledged) >= kills
        assert {id: stored.get(id, (None, False))[0] for id in acknowledged} == acknowledged
        flags = {id: flag for writer in writers for id, flag in writer.flagged.items() if flag is not None}
        assert {id: stored[id][1] for id in flags} == flags

        checked = server.cli("verify", "--json")
        assert json.loads(checked.stdout)["findings"] == [], checked
        assert checked.returncode == 0


def subjects_and_flags(client: Jmap) -> dict[str, tuple[str, bool]]:
    """Every Email of the account: its subject, and whether it is flagged."""
    out: dict[str, tuple[str, bool]] = {}
    while True:
        ids = client.call("Email/query", position=len(out), limit=400)["ids"]
        if not ids:
            return out
        for email in client.call("Email/get", ids=ids, properties=["subject", "keywords"])["list"]:
            out[email["id"]] = (email["subject"], "$flagged" in email["keywords"])
