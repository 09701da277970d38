"""Every limit that the session advertises holds, is named in its error, and nothing of what exceeds it is done; quotas hold
however many come at once; the clock may jump."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flaskmail.errors import OverQuota
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.method import Method
from flaskmail.server import Server
from flaskmail.testing import Jmap, MadeServer, make_server

from .conftest import Tenant, make_tenant

CONFIG = """
[jmap.protocol.request]
max-size = 5000
max-calls = 4
[jmap.protocol.get]
max-objects = 5
[jmap.protocol.set]
max-objects = 5
[jmap.protocol.query]
max-results = 5
[jmap.protocol.changes]
max-results = 5
[jmap.protocol.search-snippet]
max-results = 5
[jmap.mailbox]
max-depth = 3
max-name-length = 100
[jmap.email]
max-size = 3000
max-attachment-size = 1000
[jmap.email.parse]
max-items = 2
"""


class Broken:
    """A plugin with a mistake in it, that holds a secret."""

    @hookimpl
    def jmap_methods(self) -> list[Method]:
        def fail(ctx: Any, arguments: Any) -> Any:
            secret = "canary-in-a-local-variable"
            raise RuntimeError(f"SELECT password FROM /data/{secret}")

        def unwritable(ctx: Any, arguments: Any) -> Any:
            return {"value": {1, 2}, "secret": object()}

        return [Method("Broken/fail", "urn:broken", fail), Method("Broken/answer", "urn:broken", unwritable)]


@pytest.fixture(params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    with make_server(plugins=[Broken()], config=CONFIG, store=request.param) as made:
        yield made


@pytest.fixture
def alice(made: MadeServer) -> Jmap:
    return made.account("alice@example.org")


def everything(alice: Jmap) -> Any:
    """The states of all types."""
    return {name: alice.call(f"{name}/get", ids=[])["state"] for name in ("Mailbox", "Thread", "Email")}


def test_too_much_is_refused_whole(alice: Jmap) -> None:
    six = {f"k{n}": {"name": f"box {n}"} for n in range(6)}
    inbox = alice.call("Mailbox/query", filter={"role": "inbox"})["ids"][0]
    blob = alice.upload(b"Subject: x\r\n\r\nx")
    emails = {f"k{n}": {"blobId": blob, "mailboxIds": {inbox: True}} for n in range(6)}
    before = everything(alice)
    ids = [f"x{n}" for n in range(6)]
    for method, arguments in (
        ("Mailbox/set", {"create": six}),
        ("Mailbox/set", {"update": {id: {"name": "y"} for id in ids}}),
        ("Mailbox/set", {"destroy": ids}),
        ("Mailbox/set", {"create": {"k": {"name": "a"}}, "update": {"a": {}, "b": {}}, "destroy": ids[:3]}),
        ("Email/import", {"emails": emails}),
        ("Email/set", {"create": {key: {"mailboxIds": {inbox: True}} for key in six}}),
        ("Mailbox/get", {"ids": ids}),
        ("Mailbox/get", {"ids": None}),
        ("Email/get", {"ids": ids}),
        ("Thread/get", {"ids": ids}),
        ("Email/parse", {"blobIds": ids[:3]}),
        ("SearchSnippet/get", {"emailIds": ids}),
    ):
        name, answer = alice.attempt(method, **arguments)
        assert (name, answer["type"]) == ("error", "requestTooLarge"), (method, answer)
        assert answer["description"].endswith(".")
    assert everything(alice) == before
    # As much as is allowed is done.
    del six["k5"], emails["k5"]
    assert len(alice.call("Mailbox/set", create=six)["created"]) == 5
    assert len(alice.call("Email/import", emails=emails)["created"]) == 5
    assert len(alice.call("Email/query", limit=100)["ids"]) == 5
    assert alice.call("Mailbox/query", limit=100)["limit"] == 5
    changes = alice.call("Mailbox/changes", sinceState="0", maxChanges=100)
    assert (len(changes["created"]), changes["hasMoreChanges"]) == (5, True)


def test_a_request_over_a_limit_does_nothing(alice: Jmap) -> None:
    before = everything(alice)
    call = ["Mailbox/set", {"accountId": alice.id, "create": {"k": {"name": "x"}}}, "c"]
    for calls, limit in (
        ([call] * 5, "maxCallsInRequest"),
        ([call, ["Core/echo", {"a": "x" * 5000}, "c"]], "maxSizeRequest"),
    ):
        body = json.dumps({"using": alice.using, "methodCalls": calls}).encode()
        reply = alice.http("POST", "/jmap/", body, {"Content-Type": "application/json"})
        assert (reply.status, reply.json()["type"], reply.json()["limit"]) == (
            400,
            "urn:ietf:params:jmap:error:limit",
            limit,
        )
    assert everything(alice) == before


def test_limits_of_mail(alice: Jmap) -> None:
    capability = alice.session["accounts"][alice.id]["accountCapabilities"]["urn:ietf:params:jmap:mail"]
    assert capability["maxMailboxDepth"] == 3
    assert capability["maxSizeMailboxName"] == 100
    assert capability["maxSizeAttachmentsPerEmail"] == 1000
    nested = {f"k{n}": {"name": "x", "parentId": f"#k{n - 1}" if n else None} for n in range(4)}
    answer = alice.call("Mailbox/set", create=nested)
    assert (set(answer["created"]), answer["notCreated"]["k3"]["type"]) == ({"k0", "k1", "k2"}, "invalidProperties")
    names = {"a": {"name": "x" * 100}, "b": {"name": "é" * 51}}
    answer = alice.call("Mailbox/set", create=names)
    assert (set(answer["created"]), answer["notCreated"]["b"]["properties"]) == ({"a"}, ["name"])
    inbox = alice.call("Mailbox/query", filter={"role": "inbox"})["ids"][0]
    half = alice.upload(b"x" * 501)
    parts = [{"blobId": half, "type": "text/plain", "disposition": "attachment"}]
    answer = alice.call(
        "Email/set",
        create={
            "a": {"mailboxIds": {inbox: True}, "attachments": parts},
            "b": {"mailboxIds": {inbox: True}, "attachments": parts * 2},
        },
    )
    assert (set(answer["created"]), answer["notCreated"]["b"]["type"]) == ({"a"}, "tooLarge")
    big = alice.upload(b"Subject: x\r\n\r\n" + b"x" * 3000)
    answer = alice.call("Email/import", emails={"e": {"blobId": big, "mailboxIds": {inbox: True}}})
    assert answer["notCreated"]["e"]["type"] == "tooLarge"
    assert alice.call("Email/parse", blobIds=[big])["notParsable"] == [big]


def test_a_mistake_of_ours_shows_nothing(made: MadeServer, alice: Jmap, caplog: pytest.LogCaptureFixture) -> None:
    for method in ("Broken/fail", "Broken/answer"):
        caplog.clear()
        responses = alice.request(
            ("Core/echo", {"a": 1}, "0"), (method, {"accountId": alice.id}, "1"), ("Core/echo", {"a": 2}, "2")
        )
        assert [name for name, _, _ in responses] == ["Core/echo", "error", "Core/echo"]
        error = responses[1][1]
        assert error["type"] == "serverFail"
        assert set(error) == {"type", "description"}
        id = error["description"].split()[-1].rstrip(".")
        assert id in caplog.text
        for word in ("Traceback", "canary", "SELECT", "/data", "RuntimeError", ".py"):
            assert word not in json.dumps(responses)


@pytest.mark.parametrize("where", ["session", "handle", "store", "authenticate", "check"])
def test_a_mistake_of_ours_on_any_route_shows_nothing(
    made: MadeServer, alice: Jmap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    def fail(*args: object, **named: object) -> Any:
        raise RuntimeError("SELECT canary FROM /data/secret")

    blob = alice.upload(b"x")
    paths = {
        "session": [("GET", "/jmap/session"), ("GET", "/.well-known/jmap")],
        "handle": [("POST", "/jmap/")],
        "store": [("POST", f"/jmap/upload/{alice.id}/"), ("GET", f"/jmap/download/{alice.id}/{blob}/x")],
        "authenticate": [("GET", "/jmap/session"), ("POST", "/jmap/"), ("GET", "/jmap/eventsource/")],
        "check": [("GET", "/healthz/ready")],
    }[where]
    monkeypatch.setattr(Server, where, property(fail) if where == "store" else fail)
    for method, path in paths:
        body = b'{"using":[],"methodCalls":[]}' if method == "POST" else b""
        reply = alice.http(method, path, body, {"Content-Type": "application/json"})
        assert (reply.status, reply.header("Content-Type")) == (500, "application/problem+json"), path
        assert reply.json()["errorId"] in caplog.text
        for word in (b"Traceback", b"canary", b"SELECT", b"/data", b"RuntimeError", b".py"):
            assert word not in reply.body


CANARIES = ("canary-password", "canary-token", "canary-query", "canary-cookie", "canary-body", "canary-name")


def test_secrets_are_in_no_log_and_no_answer(made: MadeServer, alice: Jmap, caplog: pytest.LogCaptureFixture) -> None:
    import base64

    basic = base64.b64encode(b"alice@example.org:canary-password").decode()
    bad = base64.b64encode(b"canary-password").decode()
    with caplog.at_level("DEBUG"):
        replies = [
            made.send(
                method, path, {"Authorization": header, "Cookie": "s=canary-cookie", **more}, b'{"using":"canary-body"'
            )
            for header in (f"Basic {basic}", f"Basic {bad}", "Bearer canary-token", "canary-token", f"Basic {basic}x")
            for method, path, more in (
                ("GET", "/jmap/session?access_token=canary-query", {}),
                ("POST", "/jmap/?token=canary-query", {"Content-Type": "application/json"}),
                ("GET", "/nowhere?canary-query", {}),
                ("POST", "/jmap/upload/canary-query/", {}),
            )
        ]
        replies.append(alice.http("POST", "/jmap/", b'{"using":"canary-body"', {"Content-Type": "application/json"}))
        replies.append(
            alice.http("POST", "/jmap/", b'{"using":["canary-body"],"methodCalls":1}', {"Content-Type": "text/plain"})
        )
    for canary in CANARIES:
        found = [line for line in caplog.text.splitlines() if canary in line and "/upload/" not in line]
        assert found == [], canary
        assert not any(canary.encode() in reply.body for reply in replies), canary
    assert "canary-password" not in repr(made.server.settings)


# ---- quotas


def test_quotas_hold_however_many_come_at_once(server: Server) -> None:
    """Uploads, messages that clients write and copies, twenty at once each, for the last octets of an account."""
    quota = 50_000
    tenant = make_tenant(server, accounts=2, filled=False, quota=quota)
    account, box = tenant.accounts[0], {tenant.ids["Mailbox"][0]: True}
    other = tenant.accounts[1]
    copies = [server.store.put_blob(other, b"copy %d " % n + b"z" * 4000, 4007 + (n > 9)) for n in range(20)]
    refused: list[str] = []
    failures: list[BaseException] = []
    barrier = threading.Barrier(20)

    def upload(n: int) -> None:
        try:
            server.store.put_blob(account, b"upload %d " % n + b"x" * 4000, len(b"upload %d " % n) + 4000, quota=quota)
        except OverQuota:
            refused.append("upload")

    def write(n: int) -> None:
        body = {
            "textBody": [{"partId": "1", "type": "text/plain"}],
            "bodyValues": {"1": {"value": f"{n} " + "y" * 4000}},
        }
        answer = tenant.call("Email/set", create={"k": {"mailboxIds": box, "subject": str(n), **body}})
        if answer["notCreated"]:
            assert answer["notCreated"]["k"]["type"] == "overQuota"
            refused.append("write")

    def copy(n: int) -> None:
        answer = tenant.call("Blob/copy", fromAccountId=other, blobIds=[copies[n]])
        if answer["notCopied"]:
            assert answer["notCopied"][copies[n]]["type"] == "overQuota"
            refused.append("copy")

    def work(n: int) -> None:
        try:
            barrier.wait(60)
            (upload, write, copy)[n % 3](n)
            (upload, write, copy)[(n + 1) % 3](n)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with server.store.read(account) as reader:
        used = reader.used()
    assert used <= quota
    assert used > quota - 5000
    assert len(refused) == 40 - _count(tenant, account)
    assert set(refused) == {"upload", "write", "copy"}


def _count(tenant: Tenant, account: str) -> int:
    """How many blobs of about 4,000 octets the account took in."""
    with tenant.server.store.read(account) as reader:
        return reader.used() // 4000


# ---- the clock


def test_a_clock_that_jumps_moves_no_state_back(fresh: Callable[..., Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    tenant = fresh()
    box = {tenant.ids["Mailbox"][0]: True}
    year = 365 * 86400
    real = time.time
    states: list[int] = []
    ids: list[str] = []
    context = tenant.context
    for offset in (0, year, -year, -40 * year, 10 * year, 0):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)

        def at(offset: int = offset) -> Any:
            made = context()
            made.now = lambda: datetime.fromtimestamp(max(0, real() + offset), UTC)
            return made

        monkeypatch.setattr(tenant, "context", at)
        for _ in range(3):
            made = tenant.call("Email/set", create={"k": {"mailboxIds": box, "subject": "x"}})
            states.append(int(made["newState"]))
            ids.append(made["created"]["k"]["id"])
            made = tenant.call("Note/set", create={"k": {"title": "x", "createdAt": "2024-01-01T00:00:00Z"}})
            ids.append(made["created"]["k"]["id"])
    assert states == sorted(set(states))
    assert len(set(ids)) == len(ids)
    changes = tenant.call("Email/changes", sinceState=str(states[0]))
    assert set(changes["created"]) == set(ids[2::2])
    assert len(tenant.call("Email/query")["ids"]) == len(states) + 3


# ---- files


def test_nobody_else_may_read_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask was; also what a command, a worker and an upload made."""
    from flaskmail.testing import live_server

    from ..wire.conftest import ROOT, START

    # What other servers of this user leave at home is not this one's.
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    former = os.umask(0)
    try:
        with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
            alice = server.account("alice@example.org")
            alice.upload(b"x" * 300_000)
            alice.call("Mailbox/set", create={"k": {"name": "x"}})
            found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
            loose = {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in found if path.stat().st_mode & 0o077}
            assert loose == {}
            assert len(found) > 10
            assert list(Path.home().glob(".gunicorn/gunicorn.ctl")) == []
    finally:
        os.umask(former)
