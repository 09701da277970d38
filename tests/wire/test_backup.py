"""Backups that are made while clients write: what was acknowledged before one began is in it, and nothing in it is half."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flaskmail.config import load
from flaskmail.config.settings import Storage
from flaskmail.server import Server
from flaskmail.testing import PASSWORD, LiveServer, live_server

ACCOUNTS = 4
BATCH = 10
LARGE = 200_000
CONFIG = "[authentication.argon2]\nmemory = 8192\ntime-cost = 1\n"


def opened(data: Path) -> Server:
    """A server of this process on a data folder."""
    settings = load(data.parent / "config.toml", {}, checked=False)
    object.__setattr__(settings, "storage", Storage(path=data))
    return Server(settings)


class Writer(threading.Thread):
    """A client of one account. Makes messages, counts in the keywords of those that it has made, and replaces a large message by
    another, over and over; notes what was acknowledged.

    made: id -> subject; counted: id -> the last number that was acknowledged; sent: id -> the last that was sent; large: ids of
    the large messages that are there; writes: records whose change was acknowledged."""

    def __init__(self, number: int, server: LiveServer, token: str, account: str, inbox: str) -> None:
        super().__init__(name=f"writer-{number}")
        self.number, self.server, self.account, self.inbox = number, server, account, inbox
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.made: dict[str, str] = {}
        self.counted: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.large: list[str] = []
        self.writes = 0
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.connection = server.connect()
        # Held between an upload and its import.
        self.replacing = threading.Lock()

    def post(self, path: str, body: bytes) -> Any:
        """The JSON of the answer."""
        self.connection.request("POST", path, body, self.headers)
        response = self.connection.getresponse()
        data = response.read()
        assert response.status in (200, 201), (response.status, data[:300])
        return json.loads(data)

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """One method call's answer."""
        using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
        body = {"using": using, "methodCalls": [[name, {"accountId": self.account, **arguments}, "0"]]}
        [[answered, found, _]] = self.post("/jmap/", json.dumps(body).encode())["methodResponses"]
        assert answered == name, found
        result: dict[str, Any] = found
        return result

    def run(self) -> None:
        try:
            turn = 0
            while not self.stop.is_set():
                turn += 1
                self.write(turn)
                if turn % 5 == 0:
                    self.replace(turn)
        except BaseException as error:
            self.failure = error
        finally:
            self.connection.close()

    def write(self, turn: int) -> None:
        """One message more, and one count more in each of nine that are there."""
        counting = list(self.made)[-(BATCH - 1) :]
        for id in counting:
            self.sent[id] = self.counted.get(id, 0) + 1
        subject = f"w{self.number}-{turn}"
        answer = self.call(
            "Email/set",
            create={"e": {"mailboxIds": {self.inbox: True}, "subject": subject}},
            update={id: {"keywords": {f"n{self.sent[id]}": True}} for id in counting},
        )
        assert set(counting) <= set(answer["updated"] or ()), answer
        for id in counting:
            self.counted[id] = self.sent[id]
        self.made[answer["created"]["e"]["id"]] = subject
        self.writes += 1 + len(counting)

    def replace(self, turn: int) -> None:
        """A large message comes, and an older one goes."""
        raw = f"Subject: l{self.number}-{turn}\r\n\r\n{'x' * LARGE}{turn}\r\n".encode()
        with self.replacing:
            blob = self.post(f"/jmap/upload/{self.account}/", raw)["blobId"]
            answer = self.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": {self.inbox: True}}})
        self.large.append(answer["created"]["e"]["id"])
        self.writes += 1
        if len(self.large) > 3:
            self.call("Email/set", destroy=[self.large[0]])
            del self.large[0]
            self.writes += 1


class Sweeper(threading.Thread):
    """Removes, in another process than the server's, what nothing refers to as if it had been there for days; but for what a
    client has uploaded and is about to import."""

    def __init__(self, server: Server, writers: list[Writer]) -> None:
        super().__init__(name="sweeper")
        self.server, self.writers = server, writers
        self.stop = threading.Event()
        self.swept = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.wait(0.05):
                for id, replacing in ((writer.account, writer.replacing) for writer in self.writers):
                    with replacing:
                        with self.server.store.write(id) as txn:
                            txn.connection.db.execute(  # type: ignore[attr-defined]
                                "UPDATE blob SET uploaded = 0 WHERE refs = 0"
                            )
                        for path in (self.server.settings.storage.path / "accounts" / id / "blobs").glob("??/??/*"):
                            os.utime(path, (0, 0))
                    self.swept += self.server.store.sweep(id)
        except BaseException as error:
            self.failure = error


class Founder(threading.Thread):
    """Makes accounts and deletes most of them. stays: names of those that were made to stay, as they were acknowledged."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="founder")
        self.server = server
        self.stop = threading.Event()
        self.stays: list[str] = []
        self.gone = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            turn = 0
            while not self.stop.wait(0.1):
                turn += 1
                name = f"guest{turn}@example.org"
                made = self.server.create_account(name, PASSWORD).principal
                self.server.store.put_blob(made.id, b"g" * LARGE, LARGE)
                if turn % 5:
                    self.server.delete_account(name)
                    self.gone += 1
                else:
                    self.stays.append(name)
        except BaseException as error:
            self.failure = error


@contextmanager
def running(*threads: Any) -> Iterator[None]:
    """Threads that work within the block, and did not fail."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.stop.set()
        for thread in threads:
            thread.join(120)
    assert [thread.failure for thread in threads if thread.failure is not None] == []


def restored(server: LiveServer, backup: Path, data: Path) -> Server:
    """The backup in another data folder; everything that was brought back was checked."""
    done = server.cli("restore", str(backup), "--to", str(data), "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["findings"] == []
    # Also what nobody of us wrote reads it.
    summed = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=backup, capture_output=True, text=True)
    assert summed.returncode == 0, summed
    (data.parent / "config.toml").write_text(CONFIG, encoding="utf-8")
    return opened(data)


def emails(server: Server, account: str) -> dict[str, tuple[str, int]]:
    """Subject and count of every Email of an account; every message was read."""
    found = {}
    with server.store.read(account) as reader:
        for email in reader.get("Email", None, ("subject", "keywords", "blobId", "size")):
            assert len(reader.read_blob(email["blobId"])) == email["size"]
            count = max([int(word[1:]) for word in email["keywords"]], default=0)
            found[email["id"]] = email["subject"], count
    return found


def prove(tmp_path: Path, seconds: float, backups: int) -> float:
    """Writes for some seconds before each backup, during it and after it. Answers how many writes there were in a second."""
    folder = tmp_path / "live"
    folder.mkdir()
    with live_server(CONFIG, folder=folder) as server:
        local = opened(folder / "data")
        writers = []
        for number in range(ACCOUNTS):
            name = f"w{number}@example.org"
            made = local.create_account(name, PASSWORD).principal
            _, token = local.directory.tokens.create(made)
            with local.store.read(made.id) as reader:
                [inbox] = [m["id"] for m in reader.get("Mailbox", None, ("role",)) if m["role"] == "inbox"]
            writers.append(Writer(number, server, token, made.id, inbox))
        sweeper, founder = Sweeper(local, writers), Founder(local)
        told = []
        began = time.monotonic()
        with running(*writers, sweeper, founder):
            for number in range(backups):
                time.sleep(seconds)
                # Otherwise nothing of the kind happened meanwhile.
                deadline = time.monotonic() + 120
                while not (sweeper.swept and founder.gone):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                # One beside which nobody came to write would prove nothing.
                for attempt in range(20):
                    backup = tmp_path / f"backup{number}-{attempt}"
                    acknowledged = [(dict(w.made), dict(w.counted)) for w in writers]
                    stays = list(founder.stays)
                    before = sum(writer.writes for writer in writers)
                    done = server.cli("backup", str(backup), "--json")
                    assert done.returncode == 0, done
                    if sum(writer.writes for writer in writers) > before + BATCH:
                        break
                else:
                    raise AssertionError("nobody wrote")
                told.append((acknowledged, stays, backup, json.loads(done.stdout)))
            time.sleep(seconds / 4)
        elapsed = time.monotonic() - began
        writes = sum(writer.writes for writer in writers)
        local.close()

        for number, (acknowledged, stays, backup, manifest) in enumerate(told):
            assert manifest["problems"] == []
            copy = restored(server, backup, tmp_path / f"restored{number}" / "data")
            names = {principal.name for principal in copy.directory.principals.all()}
            assert set(stays) <= names
            for writer, (made, counted) in zip(writers, acknowledged, strict=True):
                found = emails(copy, writer.account)
                assert {id: found[id][0] for id in made if id in found} == made
                for id, count in counted.items():
                    assert count <= found[id][1] <= writer.sent[id]
                # And nothing that nobody wrote.
                strange = {id for id, (subject, _) in found.items() if not subject.startswith(("w", "l"))}
                assert not strange
            # It goes on from there.
            local = copy
            local.create_account("new@example.org", PASSWORD)
            principal = local.directory.principals.get("w0@example.org")
            local.store.put_blob(principal.id, b"more", 4)
            local.close()
    return writes / elapsed


def test_a_backup_beside_writers(tmp_path: Path) -> None:
    prove(tmp_path, seconds=1.5, backups=1)


@pytest.mark.long
def test_backups_beside_many_writers(tmp_path: Path) -> None:
    assert prove(tmp_path, seconds=8, backups=4) > 500
