"""System calls that fail now and then under a running server (libfiu), and a server that is told to stop while it works."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flaskmail.store.sqlite import SqliteStore
from flaskmail.testing import basic, live_server

from ..wire.conftest import ROOT, START

WORKER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from notes import Label, Note, note
from flaskmail.errors import FlaskmailError
from flaskmail.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), [Note(), Label()], keep_free=0)
failed = 0
print(os.getpid(), flush=True)
sys.stdin.readline()
for n in range(600):
    large = os.urandom(150_000) if n % 6 == 0 else b"%d" % n
    try:
        blob = store.put_blob("a1", large, len(large))
        with store.write("a1") as txn:
            id = note(txn, title=str(n), body="word " * 20, attachment=blob)
    except FlaskmailError as error:
        failed += 1
        continue
    print(n, flush=True)
print("failed", failed, flush=True)
"""

POINTS = {
    "posix/io/rw/pwrite": 0.01,
    "posix/io/sync/fsync": 0.01,
    "posix/io/sync/fdatasync": 0.01,
    "posix/io/dir/rename": 0.1,
    "posix/io/oc/open": 0.01,
}
"""Where calls fail, and how often. A hundred renames are made; one in a hundred would often fail none."""


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_calls_that_fail_lose_nothing(tmp_path: Path, point: str) -> None:
    """Calls fail now and then: what was acknowledged is there, what failed is an error of ours, nothing is half-written."""
    from notes import Label, Note

    fiu = shutil.which("fiu-run")
    if fiu is None:
        pytest.skip("fiu-run is not installed (Debian: fiu-utils)")
    root = tmp_path / "data"
    store = SqliteStore(root, [Note(), Label()], keep_free=0)
    store.create_account("a1")
    store.close()
    support = str(Path(__file__).resolve().parents[1] / "support")
    control = ["-f", str(tmp_path / "fiu")]
    command = [fiu, "-x", *control, sys.executable, "-c", WORKER, str(root), support]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        # What Python itself opens to import our modules has to succeed.
        pid = worker.stdout.readline().strip()
        fault = f"enable_random name={point},probability={POINTS[point]}"
        subprocess.run(["fiu-ctrl", *control, "-c", fault, pid], check=True, timeout=30)
        stdout, stderr = worker.communicate("\n", timeout=300)
    assert "Traceback" not in stderr, stderr
    *acknowledged, (_, failed) = [line.split() if " " in line else (line, "") for line in stdout.splitlines()]
    assert int(failed) > 0 or point.endswith("open")
    assert len(acknowledged) >= 300
    store = SqliteStore(root, [Note(), Label()], keep_free=0)
    with store.read("a1") as reader:
        titles = {record["title"] for record in reader.get("Note", None, ["title"])}
    assert {n for n, _ in acknowledged} <= titles
    assert [finding for finding in store.verify("a1") if "belong" not in finding.what] == []
    store.close()


def taken(port: int) -> bool:
    """Whether what was sent to the server has been taken from its sockets (Linux)."""
    wanted = f":{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any(
        words[1].endswith(wanted) and words[3] == "01" and int(words[4].split(":")[1], 16) > 0 for words in lines
    )


def test_a_server_that_stops_finishes_what_it_has_begun(tmp_path: Path) -> None:
    """Eight imports and uploads whose bodies are still coming when the server is told to stop: all are done and answered."""
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        box = alice.call("Mailbox/query", filter={"role": "inbox"})["ids"][0]
        blob = alice.upload(b"Subject: x\r\n\r\nx")
        call = [
            "Email/import",
            {"accountId": alice.id, "emails": {"e": {"blobId": blob, "mailboxIds": {box: True}}}},
            "c",
        ]
        api = json.dumps({"using": alice.using, "methodCalls": [call]}).encode().ljust(20_000)
        started: list[tuple[http.client.HTTPConnection, bytes]] = []
        for n in range(8):
            path, body = ("/jmap/", api) if n % 2 else (f"/jmap/upload/{alice.id}/", b"%d" % n * 20_000)
            connection = server.connect()
            connection.putrequest("POST", path)
            connection.putheader("Authorization", basic("alice@example.org"))
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[:10_000])
            started.append((connection, body[10_000:]))
        # The server has all of them: what was sent has been taken from its sockets.
        deadline = time.monotonic() + 20
        while not taken(server.port) and time.monotonic() < deadline:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        answers: list[tuple[int, Any]] = []

        def finish(connection: http.client.HTTPConnection, rest: bytes) -> None:
            connection.send(rest)
            response = connection.getresponse()
            answers.append((response.status, json.loads(response.read())))
            connection.close()

        threads = [threading.Thread(target=finish, args=one) for one in started]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in answers) == [200] * 4 + [201] * 4
        made = [answer["methodResponses"][0] for status, answer in answers if status == 200]
        assert [name for name, _, _ in made] == ["Email/import"] * 4
        assert server.stop() == 0
        assert "Traceback" not in server.log()
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as again:
        found = again.jmap("alice@example.org").call("Email/query")["ids"]
        assert set(found) == {answer["created"]["e"]["id"] for _, answer, _ in made}
