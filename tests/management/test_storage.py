"""What is stored, over the API: jobs that check, copy, index and purge it; blobs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flaskmail.jobs import JobRunning
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

from .conftest import Manager, Said

LARGE = 2_500_000


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def made(backups: Path) -> Iterator[MadeServer]:
    limits = "[server.http.rate-limit]\nanonymous = false\naccount = false\n"
    config = f"{limits}[storage]\nbackup-path = {json.dumps(str(backups))}\n"
    with make_server(config=config, store="sqlite") as made:
        directory = made.server.directory
        made.server.ensure_admin()
        directory.principals.set_password("admin", directory.passwords.hash(PASSWORD))
        made.account("ann@example.org")
        made.account("bob@example.com")
        yield made


@pytest.fixture
def keeper(made: MadeServer) -> Manager:
    """One who may do all of this within example.org."""
    made.account("keeper@example.org")
    permissions = [
        "storage-verify",
        "backup",
        "fts-reindex",
        "purge-blob-store",
        "purge-account",
        "purge-data-store",
        "purge-in-memory-store",
        "job-list",
        "job-get",
        "job-cancel",
        "blob-fetch",
    ]
    with made.server.directory._database.write() as execute:
        execute(
            "UPDATE principal SET enabled_permissions=? WHERE name='keeper@example.org'", (json.dumps(permissions),)
        )
    return Manager(made, basic("keeper@example.org"))


def ended(who: Manager, said: Said) -> dict[str, Any]:
    """The job that was begun, once it has ended."""
    assert said.status == 202, said.json
    assert said.data["state"] in ("running", "done")
    return awaited(who, said.data["id"])


def awaited(who: Manager, id: str) -> dict[str, Any]:
    for _ in range(1500):
        job: dict[str, Any] = who("GET", f"/jobs/{id}").data
        if job["state"] != "running":
            return job
        time.sleep(0.02)
    raise AssertionError("the job does not end")


def test_a_check_is_a_job(admin: Manager, made: MadeServer) -> None:
    job = ended(admin, admin("POST", "/store/verify"))
    assert (job["state"], job["kind"], job["by"], job["error"]) == ("done", "verify", "admin", None)
    assert job["result"] == {"accounts": 2, "findings": [], "wrong": 0, "swept": 0}
    assert job["progress"]["done"] == job["progress"]["total"] == 2
    assert job["started"] <= job["ended"]
    id = made.server.directory.principals.get("ann@example.org").id
    with made.server.store.write(id) as txn:
        txn.connection.db.execute("UPDATE meta SET used = 77")  # type: ignore[attr-defined]
    job = ended(admin, admin("POST", "/store/verify", account="ann@example.org"))
    assert (job["result"]["accounts"], job["result"]["wrong"]) == (1, 1)
    assert job["result"]["findings"][0]["account"] == "ann@example.org"
    job = ended(admin, admin("POST", "/store/verify", account=id, repair="true"))
    assert [finding["mended"] for finding in job["result"]["findings"]] == [True]
    assert ended(admin, admin("POST", "/store/verify"))["result"]["wrong"] == 0


def test_a_backup_goes_where_the_settings_say(admin: Manager, made: MadeServer, backups: Path) -> None:
    job = ended(admin, admin("POST", "/store/backup"))
    assert (job["state"], job["result"]["accounts"], job["result"]["problems"]) == ("done", 2, [])
    [folder] = backups.iterdir()
    assert folder.name == job["result"]["backup"] == job["about"]["backup"]
    assert (folder / "manifest.json").exists()
    # No request names a path.
    assert admin("POST", "/store/backup", backup_path="/tmp/x").status == 400
    backups.rename(backups.with_name("moved"))
    job = ended(admin, admin("POST", "/store/backup"))
    assert (job["state"], job["result"], "no folder" in job["error"]) == ("failed", None, True)


def test_a_backup_needs_a_folder(made: MadeServer) -> None:
    with make_server(store="sqlite") as other:
        other.server.ensure_admin()
        hashed = other.server.directory.passwords.hash(PASSWORD)
        other.server.directory.principals.set_password("admin", hashed)
        said = Manager(other, basic("admin"))("POST", "/store/backup")
        assert (said.status, "storage.backup-path" in said.json["detail"]) == (409, True)
        assert said.json["error"] == "unsupported"


def test_indexes_are_made_anew(admin: Manager, made: MadeServer) -> None:
    ann = made.jmap("ann@example.org")
    inbox = next(m["id"] for m in ann.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
    raw = b"Subject: about milk\r\nFrom: x@example.net\r\n\r\ncheese\r\n"
    ann.call("Email/import", emails={"e": {"blobId": ann.upload(raw), "mailboxIds": {inbox: True}}})

    def found(text: str) -> int:
        return len(ann.call("Email/query", filter={"text": text})["ids"])

    with made.server.store.write(str(ann.id)) as txn:
        txn.clear_texts("Email")
    assert (found("milk"), found("cheese")) == (0, 0)
    assert ended(admin, admin("POST", "/store/reindex/bob@example.com"))["result"]["records"] == 0
    assert (found("milk"), found("cheese")) == (0, 0)
    job = ended(admin, admin("POST", "/store/reindex/ann@example.org", missing="true"))
    assert (job["result"]["records"], job["about"]["account"]) == (1, "ann@example.org")
    assert (found("milk"), found("cheese")) == (1, 1)
    assert ended(admin, admin("POST", "/store/reindex", fresh="true"))["result"]["records"] == 1
    assert (found("milk"), found("cheese")) == (1, 1)
    assert admin("POST", "/store/reindex/nobody@example.org").status == 404


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("blob", {"accounts", "blobs", "failed"}),
        ("blob/ann@example.org", {"accounts", "blobs", "failed"}),
        ("account", {"accounts", "forgotten", "failed"}),
        ("account/ann@example.org", {"accounts", "forgotten", "failed"}),
        ("data", {"tokens", "sessions", "codes", "devices", "accessTokens", "refreshTokens", "leftovers"}),
        ("in-memory", {"throttle"}),
    ],
)
def test_purging(admin: Manager, path: str, members: set[str]) -> None:
    job = ended(admin, admin("POST", f"/store/purge/{path}"))
    assert (job["state"], set(job["result"])) == ("done", members)


def test_purging_removes(admin: Manager, made: MadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = made.jmap("ann@example.org")
    blob = ann.upload(b"nobody wants this")
    principal = made.server.directory.principals.get("ann@example.org")
    made.server.directory.tokens.create(principal, expires=int(time.time()) + 10)
    made.server.directory.tokens.create(principal, expires=int(time.time()) + 10 * 86400)
    assert made.client.get("/jmap/session", headers={"Authorization": basic("ann@example.org", "wrong")}).status_code
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3 * 86400)
    assert ended(admin, admin("POST", "/store/purge/blob"))["result"]["blobs"] == 1
    with made.server.store.read(principal.id) as reader:
        assert reader.blob(blob) is None
    assert ended(admin, admin("POST", "/store/purge/data"))["result"]["tokens"] == 1
    assert len(made.server.directory.tokens.all(principal)) == 1
    assert ended(admin, admin("POST", "/store/purge/in-memory"))["result"]["throttle"] >= 0


def test_one_job_of_a_kind_at_once(admin: Manager, keeper: Manager, made: MadeServer) -> None:
    jobs = made.server.jobs
    go: list[bool] = []

    def wait(tell: Callable[[int, int, str], None]) -> str:
        while not go:
            tell(1, 3, "waiting")
            time.sleep(0.02)
        return "through"

    first = jobs.start("verify", wait, by="somebody")
    said = admin("POST", "/store/verify")
    assert (said.status, said.json["job"], said.json["error"]) == (409, first.id, "assertFailed")
    with pytest.raises(JobRunning):
        jobs.start("verify", wait)
    elsewhere = keeper("POST", "/store/verify", account="keeper@example.org")
    assert (elsewhere.status, elsewhere.json["job"]) == (409, None)
    assert first.id not in elsewhere.json["detail"]
    # Another kind goes on beside it.
    assert ended(admin, admin("POST", "/store/purge/blob"))["state"] == "done"
    listed = admin("GET", "/jobs").data
    assert [job["kind"] for job in listed["items"]] == ["purge", "verify"]
    assert admin("GET", "/jobs", kind="verify", state="running").data["total"] == 1
    for state in ("runing", "null"):
        refused = admin("GET", "/jobs", state=state)
        assert (refused.status, refused.json["member"]) == (400, "state")
    assert admin("GET", "/jobs", state="").data["total"] == 2
    assert admin("GET", "/jobs", limit=1, page=2).data["items"][0]["id"] == first.id
    go.append(True)
    for _ in range(1500):
        job = admin("GET", f"/jobs/{first.id}").data
        if job["state"] != "running":
            break
        time.sleep(0.02)
    assert (job["state"], job["result"], job["by"]) == ("done", "through", "somebody")
    assert admin("GET", "/jobs/nothing").status == 404


def test_a_job_is_cancelled(admin: Manager, made: MadeServer) -> None:
    def forever(tell: Callable[[int, int, str], None]) -> None:
        while True:
            tell(1, 2, "on and on")
            time.sleep(0.02)

    job = made.server.jobs.start("reindex", forever)
    assert admin("POST", f"/jobs/{job.id}/cancel").data["state"] in ("running", "cancelled")
    for _ in range(1500):
        if admin("GET", f"/jobs/{job.id}").data["state"] == "cancelled":
            break
        time.sleep(0.02)
    found = admin("GET", f"/jobs/{job.id}").data
    assert (found["state"], found["result"], found["progress"]["total"]) == ("cancelled", None, 2)
    assert admin("POST", f"/jobs/{job.id}/cancel").data == found
    # And the next one may begin.
    assert ended(admin, admin("POST", "/store/reindex"))["state"] == "done"


def test_blobs_are_read_by_hash_or_id(admin: Manager, made: MadeServer) -> None:
    ann = made.jmap("ann@example.org")
    for octets in (b"small", bytes(range(256)) * (LARGE // 256)):
        blob = ann.upload(octets)
        for name in (blob, hashlib.sha256(octets).hexdigest()):
            url = f"/api/store/blobs/{name}"
            headers = {"Authorization": basic("admin")}

            def fetch(query: str = "", url: str = url, headers: dict[str, str] = headers) -> Any:
                return made.client.get(url + query, headers=headers)

            whole = fetch()
            assert (whole.status_code, whole.data == octets) == (200, True)
            assert whole.headers["Content-Type"] == "application/octet-stream"
            assert whole.headers["Content-Disposition"] == "attachment"
            assert whole.headers["Cache-Control"] == "no-store"
            assert fetch("?offset=2&limit=2").data == octets[2:4]
            assert fetch("?offset=3").data == octets[3:]
            assert fetch(f"?offset={len(octets) + 5}").data == b""
            assert fetch("?account=ann@example.org").status_code == 200
            assert fetch("?account=bob@example.com").status_code == 404
    assert admin("GET", "/store/blobs/gnothing").status == 404
    assert admin("GET", f"/store/blobs/{'0' * 64}").status == 404
    assert admin("GET", "/store/blobs/gnothing", offset=-1).status == 400
    # It is written down who read what.
    entry = admin("GET", "/audit", operation="store.blob", limit=1).data
    assert entry["total"] >= 10


def test_reach_ends_at_the_own_domain(keeper: Manager, admin: Manager, made: MadeServer) -> None:
    theirs = made.jmap("bob@example.com").upload(b"theirs")
    assert keeper("GET", f"/store/blobs/{theirs}").status == 404
    assert keeper("GET", f"/store/blobs/{theirs}", account="bob@example.com").status == 404
    assert admin("GET", f"/store/blobs/{theirs}").status == 200
    for what in ("reindex", "purge/blob", "purge/account"):
        path = f"/store/{what}/bob@example.com"
        assert keeper("POST", path).json["detail"] == keeper("POST", path.replace("bob", "bab")).json["detail"].replace(
            "bab", "bob"
        )
        assert keeper("POST", path).status == 404
    assert keeper("POST", "/store/verify", account="bob@example.com").status == 404
    whole = ("/store/verify", "/store/reindex", "/store/backup")
    for path in (*whole, "/store/purge/blob", "/store/purge/account", "/store/purge/data", "/store/purge/in-memory"):
        said = keeper("POST", path)
        assert (said.status, "all-domains" in json.dumps(said.json)) == (403, True)
    own = ended(keeper, keeper("POST", "/store/verify", account="ann@example.org"))
    assert own["result"]["accounts"] == 1
    assert ended(keeper, keeper("POST", "/store/reindex/ann@example.org"))["state"] == "done"
    assert ended(keeper, keeper("POST", "/store/purge/blob/ann@example.org"))["state"] == "done"
    assert own["about"]["domain"] == "example.org"
    every = ended(admin, admin("POST", "/store/verify"))
    assert every["result"]["accounts"] == 3
    # What the whole server's jobs tell is not for him.
    assert [job["kind"] for job in keeper("GET", "/jobs").data["items"]] == ["purge", "reindex", "verify"]
    assert keeper("GET", f"/jobs/{every['id']}").status == 404
    assert keeper("POST", f"/jobs/{every['id']}/cancel").status == 404
    assert admin("GET", f"/jobs/{own['id']}").status == 200


def test_who_may_do_nothing_of_it(made: MadeServer) -> None:
    ann = Manager(made, basic("ann@example.org"))
    for method, path in [
        ("POST", "/store/verify"),
        ("POST", "/store/backup"),
        ("POST", "/store/reindex"),
        ("POST", "/store/purge/blob"),
        ("POST", "/store/purge/account"),
        ("POST", "/store/purge/data"),
        ("POST", "/store/purge/in-memory"),
        ("GET", "/store/blobs/gx"),
        ("GET", "/jobs"),
        ("GET", "/jobs/j1"),
        ("POST", "/jobs/j1/cancel"),
    ]:
        assert ann(method, path).status == 403, path
    assert made.server.jobs.all() == []


@pytest.mark.parametrize(
    "path",
    [
        "purge/blob",
        "purge/account",
        "purge/account/ann@example.org",
        "purge/data",
        "purge/in-memory",
        "purge/lookup",
        "reindex",
        "reindex/ann@example.org",
    ],
)
def test_the_old_gets_only_where_they_are_wanted(admin: Manager, path: str) -> None:
    assert admin("GET", f"/store/{path}").status in (404, 405)
    config = "[management]\nlegacy-get = true\n[server.http.rate-limit]\nanonymous = false\naccount = false\n"
    with make_server(config=config, store="sqlite") as old:
        old.server.ensure_admin()
        old.server.directory.principals.set_password("admin", old.server.directory.passwords.hash(PASSWORD))
        old.account("ann@example.org")
        manager = Manager(old, basic("admin"))
        said = manager("GET", f"/store/{path}")
        assert (said.status, said.json) == (200, {"data": None})
        [job] = manager("GET", "/jobs").data["items"]
        # Its folder goes when the server is closed, which waits for a slow disk a few seconds only.
        awaited(manager, job["id"])


def test_a_disk_without_room_takes_no_new_account(
    admin: Manager, made: MadeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made.server.store, "keep_free", 2**62)
    said = admin("POST", "/principal", {"type": "individual", "name": "late@example.org"})
    assert (said.status, "disk is nearly full" in said.json["detail"]) == (503, True)
    assert admin("GET", "/principal/late@example.org").status == 404
    entry = admin("GET", "/audit", operation="principal.create", limit=1).data["items"][0]
    assert (entry["status"], entry["change"]["name"]) == (503, "late@example.org")
