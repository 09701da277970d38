"""The disk is full, or refuses: over the wire, with the server as it comes. What was acknowledged stays."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from flaskmail.testing import Jmap, LiveServer, live_server

from ..wire.conftest import ROOT, START


def mounted(folder: Path, size: str) -> None:
    """A small disk in memory at ``folder``; the test is skipped where that is not allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server whose data lies on a disk of 90 MB, of which the server keeps 64 free."""
    disk = tmp_path / "data"
    mounted(disk, "90m")
    yield tmp_path
    subprocess.run(["umount", "-l", str(disk)], check=True)


def imported(client: Jmap, blob: str, box: str) -> dict[str, Any]:
    return client.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": {box: True}}})


def inbox_of(client: Jmap) -> str:
    found: str = next(m["id"] for m in client.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
    return found


def clean(server: LiveServer) -> None:
    """Nothing is wrong, and nobody saw a traceback."""
    checked = server.cli("verify", "--json")
    assert json.loads(checked.stdout)["findings"] == [], checked
    assert "Traceback" not in server.log()


def test_a_full_disk_refuses_new_mail_and_keeps_the_old(small: Path) -> None:
    with live_server(folder=small, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        box = inbox_of(alice)
        kept: dict[str, bytes] = {}
        refused = 0
        for number in range(60):
            raw = b"Subject: %d\r\n\r\n" % number + os.urandom(700_000 if number % 2 else 60_000)
            reply = alice.http("POST", f"/jmap/upload/{alice.id}/", raw)
            if reply.status != 201:
                assert reply.status == 413, reply
                assert reply.header("Content-Type") == "application/problem+json"
                assert b"/" + b"tmp" not in reply.body
                refused += 1
                continue
            answer = imported(alice, reply.json()["blobId"], box)
            if answer["created"]:
                kept[answer["created"]["e"]["id"]] = raw
            else:
                assert answer["notCreated"]["e"]["type"] == "overQuota"
                refused += 1
        assert refused >= 10
        assert len(kept) >= 10
        # Reading works, and so does making room.
        sizes = {
            email["id"]: email["size"] for email in alice.call("Email/get", ids=list(kept), properties=["size"])["list"]
        }
        assert sizes == {id: len(raw) for id, raw in kept.items()}
        [first, *others] = kept
        [email] = alice.call("Email/get", ids=[others[-1]], properties=["blobId"])["list"]
        assert alice.download(email["blobId"]) == kept[others[-1]]
        assert alice.call("Email/set", destroy=[first])["destroyed"] == [first]
        assert alice.attempt("Mailbox/set", create={"k": {"name": "x"}})[1]["notCreated"]["k"]["type"] == "overQuota"
        # A worker that came later, and one that is told to, still start.
        assert server.send("GET", "/healthz/live", {}, b"").status == 200
        clean(server)
        # The file system itself is filled to the last octet.
        filler = small / "data" / "filler"
        # A buffer would keep what did not fit, and fail once more when the file is closed.
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                pass
        assert alice.call("Email/get", ids=others, properties=["size"])["notFound"] == []
        for method, arguments in (
            ("Email/set", {"update": {others[0]: {"keywords/$seen": True}}}),
            ("Mailbox/set", {"create": {"k": {"name": "x"}}}),
        ):
            name, answer = alice.attempt(method, **arguments)
            told = answer.get("type") or (answer.get("notCreated") or {}).get("k", {}).get("type")
            assert name == method or told in ("serverUnavailable", "overQuota"), answer
        filler.unlink()
        assert alice.call("Email/set", destroy=others)["destroyed"] == others
        clean(server)


def test_somebody_else_holds_the_database(tmp_path: Path) -> None:
    """Three seconds are waited for; when it takes longer than ten the client hears that the server is busy."""
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        box = inbox_of(alice)
        [file] = (tmp_path / "data/accounts").glob("*/mail.db")
        stranger = apsw.Connection(str(file))
        stranger.execute("BEGIN IMMEDIATE")
        answers: list[tuple[str, dict[str, Any]]] = []
        calls = [
            threading.Thread(
                target=lambda n=n: answers.append(alice.attempt("Mailbox/set", create={"k": {"name": f"box {n}"}}))
            )
            for n in range(3)
        ]
        for call in calls:
            call.start()
        time.sleep(3)
        # Who only reads does not wait.
        assert alice.call("Email/query")["ids"] == []
        stranger.execute("ROLLBACK")
        for call in calls:
            call.join()
        assert [answer["notCreated"] for _, answer in answers] == [None] * 3
        stranger.execute("BEGIN IMMEDIATE")
        answers.clear()
        call = threading.Thread(
            target=lambda: answers.append(alice.attempt("Mailbox/set", update={box: {"name": "later"}}))
        )
        call.start()
        reply = alice.http("POST", f"/jmap/upload/{alice.id}/", b"x")
        assert (reply.status, reply.header("Retry-After")) == (503, "5")
        call.join()
        [(name, answer)] = answers
        assert (name, answer["type"]) == ("error", "serverUnavailable")
        stranger.execute("ROLLBACK")
        stranger.close()
        assert alice.call("Mailbox/set", update={box: {"name": "later"}})["updated"] == {box: None}
        clean(server)


def test_the_folder_of_blobs_refuses(tmp_path: Path) -> None:
    """As when it is mounted read-only: large blobs are refused, the rest goes on, and it heals by itself."""
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        [blobs] = (tmp_path / "data/accounts").glob("*/blobs")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(blobs)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        try:
            reply = alice.http("POST", f"/jmap/upload/{alice.id}/", b"x" * 400_000)
            assert (reply.status, reply.header("Retry-After")) == (503, "5")
            assert b"blobs" not in reply.body
            small = alice.upload(b"Subject: small\r\n\r\n")
            assert imported(alice, small, inbox_of(alice))["notCreated"] is None
        finally:
            subprocess.run(["umount", "-l", str(blobs)], check=True)
        large = alice.upload(b"x" * 400_000)
        assert alice.download(large) == b"x" * 400_000
        clean(server)
