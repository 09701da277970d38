"""Jobs of a real server: every worker tells the same of them, also when the one that worked on them was killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flaskmail.cli import main
from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

CONFIG = "[authentication.argon2]\nmemory = 8192\ntime-cost = 1\n[storage]\nbackup-path = 'backups'\n"

# A reindex that takes its time: somebody else's data type, many of whose records have to be indexed anew.
SLOW = """
import time
from flaskmail.datatypes.mail.email import Email
quick = Email.search_text
def search_text(self, reader, ids):
    time.sleep(3600)
    return quick(self, reader, ids)
Email.search_text = search_text
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "backups").mkdir()
    (folder / "slow.py").write_text(SLOW)
    with live_server(CONFIG + "[plugins]\npaths = ['slow.py']\n", folder=folder) as server:
        for name in ("a@example.org", "b@example.org"):
            server.account(name)
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        yield server


def ask(live: LiveServer, method: str, path: str) -> Any:
    reply = live.send(method, f"/api{path}", {"Authorization": basic("admin")}, b"")
    assert reply.status in (200, 202), reply
    return reply.json()["data"]


def at_url(live: LiveServer, *arguments: str) -> Result:
    """The command line, elsewhere, with nothing but the URL and a password."""
    environment = {"FLASKMAIL_URL": live.url, "FLASKMAIL_USER": "admin", "FLASKMAIL_PASSWORD": PASSWORD}
    done = CliRunner().invoke(main, arguments, env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_a_job_whose_worker_is_killed_is_interrupted_for_all_workers(live: LiveServer) -> None:
    client = live.jmap("a@example.org")
    inbox = next(m["id"] for m in client.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
    blob = client.upload(b"Subject: x\r\n\r\ny\r\n")
    assert client.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": {inbox: True}}})["created"]
    job = ask(live, "POST", "/store/reindex")
    # Whichever worker answers: it runs, and no second one begins.
    for _ in range(6):
        assert ask(live, "GET", f"/jobs/{job['id']}")["state"] == "running"
        again = live.send("POST", "/api/store/reindex", {"Authorization": basic("admin")}, b"")
        assert (again.status, again.json()["job"]) == (409, job["id"])
    path = Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children")
    for pid in path.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + 60
    found = job
    while found["state"] == "running":
        assert time.monotonic() < deadline
        # Until a new worker is there, and the one that worked on it has died of its signal.
        with suppress(OSError, http.client.HTTPException):
            found = ask(live, "GET", f"/jobs/{job['id']}")
    assert (found["state"], found["ended"] is not None) == ("interrupted", True)
    assert ask(live, "POST", "/store/reindex/b@example.org")["state"] in ("running", "done")


def test_the_command_line_at_a_url(live: LiveServer, tmp_path: Path) -> None:
    done = at_url(live, "verify")
    assert (done.exit_code, done.stdout) == (0, "Checked 2 accounts: nothing is wrong.\n"), done
    done = at_url(live, "verify", "b@example.org", "--repair", "--json")
    assert json.loads(done.stdout) == {"accounts": 1, "findings": [], "swept": 0}
    done = at_url(live, "backup", "--json")
    assert done.exit_code == 0, done
    backup = live.folder / "backups" / json.loads(done.stdout)["backup"]
    restored = live.cli("restore", str(backup), "--to", str(tmp_path / "d"))
    assert (restored.returncode, "nothing is wrong" in restored.stdout) == (0, True), restored
    assert at_url(live, "reindex", "b@example.org").stdout == "Indexed 0 records of 1 account.\n"
    assert at_url(live, "purge", "blob").stdout == "Removed 0 uploads.\n"
    assert at_url(live, "purge", "blob", "a@example.org").stdout == "Removed 0 uploads.\n"
    assert at_url(live, "purge", "data").stdout == "There was nothing to remove.\n"
    assert at_url(live, "purge", "in-memory").exit_code == 0
    listed = json.loads(at_url(live, "job", "list", "--json").stdout)
    assert {"verify", "backup", "purge"} <= {job["kind"] for job in listed}
    shown = at_url(live, "job", "show", listed[0]["id"])
    assert (shown.exit_code, "done" in shown.stdout) == (0, True)
    # The same on the store.
    assert json.loads(live.cli("job", "list", "--json").stdout)[-1] == listed[-1]
    for arguments in (
        ("verify", "nobody@example.org"),
        ("job", "show", "nothing"),
        ("job", "cancel", "nothing"),
    ):
        refused = at_url(live, *arguments)
        assert refused.exit_code == 1, refused
    for arguments in (("backup", "here"), ("restore", str(backup)), ("verify", "a@example.org", "b@example.org")):
        refused = at_url(live, *arguments)
        assert refused.exit_code == 2, refused
