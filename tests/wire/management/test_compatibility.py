"""docs/compatibility.md against the running server: each row is walked, in the shapes that clients of the old API use."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workers import each_worker

from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

from .conftest import Client, Said

ROOT = Path(__file__).resolve().parents[3]
TABLE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([A-Z]+) (/[^`]+)` \| ([a-z ]+) \|(.*)\|$", TABLE, re.MULTILINE)
STATES = {"same", "mended", "later", "left out"}

ALICE = "alice@example.org"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("old")
    with live_server("[server.http]\nhsts = false\n", folder=folder, python_path=ROOT) as live:
        done = live.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        yield live


@pytest.fixture
def admin(live: LiveServer) -> Client:
    return Client(live, basic("admin"))


@pytest.fixture
def alice(live: LiveServer, admin: Client) -> Client:
    """Somebody with an account, made when it is missing."""
    if admin("GET", f"/api/principal/{ALICE}").status == 404:
        admin.data("POST", "/api/principal", {"type": "domain", "name": "example.org"})
        account = {"type": "individual", "name": ALICE, "secrets": [PASSWORD], "emails": [ALICE], "roles": ["user"]}
        admin.data("POST", "/api/principal", account)
    return Client(live, basic(ALICE))


WALKS: dict[str, Callable[..., None]] = {}


def walk(*rows: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(function: Callable[..., None]) -> Callable[..., None]:
        WALKS.update(dict.fromkeys(rows, function))
        return function

    return keep


@walk("GET /api/principal")
def list_principals(admin: Client, alice: Client) -> None:
    every = admin.data("GET", "/api/principal", page=0, limit=0)
    assert every["total"] == len(every["items"])
    people = admin.data("GET", "/api/principal", types="individual", filter="alice", page=1, limit=10)
    assert [one["name"] for one in people["items"]] == [ALICE]
    assert people["items"][0]["emails"] == [ALICE]
    some = admin.data("GET", "/api/principal", types="individual,list", fields="name,emails,quota")
    assert {"name", "emails", "quota"} <= set(some["items"][0])
    assert admin.data("GET", "/api/principal", types="individual", count="true")["total"] >= 1


@walk("POST /api/principal")
def create_principal(admin: Client, alice: Client) -> None:
    # All members that the old API knew, as its clients send them: even those that are empty.
    made = admin.data(
        "POST",
        "/api/principal",
        {
            "type": "individual",
            "name": "bob@example.org",
            "quota": 1_000_000,
            "description": "Bob",
            "secrets": ["a long password"],
            "emails": ["bob@example.org", "robert@example.org"],
            "urls": [],
            "memberOf": [],
            "roles": ["user"],
            "lists": [],
            "members": [],
            "enabledPermissions": [],
            "disabledPermissions": [],
            "externalMembers": [],
        },
    )
    assert isinstance(made, str)
    assert (
        admin.live.send(
            "GET", "/jmap/session", {"Authorization": basic("bob@example.org", "a long password")}, b""
        ).status
        == 200
    )
    for kind in ({"type": "group", "name": "staff@example.org"}, {"type": "list", "name": "news@example.org"}):
        assert admin.data("POST", "/api/principal", kind | {"members": ["bob@example.org"]})
    assert admin.data("POST", "/api/principal", {"type": "role", "name": "helper", "enabledPermissions": ["logs-view"]})
    assert admin.data("POST", "/api/principal", {"type": "domain", "name": "example.net"}) == "example.net"
    key = admin.data("POST", "/api/principal", {"type": "apiKey", "name": "script", "roles": ["helper"]})
    sent = "Bearer api_" + base64.b64encode(f"script:{_secret(key['secret'])}".encode()).decode()
    assert Client(admin.live, sent).data("GET", "/api/logs")["items"] is not None
    assert Client(admin.live, sent)("GET", "/api/principal").status == 403
    again = admin("POST", "/api/principal", {"type": "individual", "name": "bob@example.org"})
    assert again.status == 409
    assert (again.json["error"], again.json["field"], again.json["value"]) == (
        "fieldAlreadyExists",
        "name",
        "bob@example.org",
    )
    nameless = admin("POST", "/api/principal", {"type": "individual"})
    assert (nameless.status, nameless.json["error"], nameless.json["field"]) == (400, "fieldMissing", "name")


def _secret(shown: str) -> str:
    """The secret itself, of what the server shows: what clients send as Bearer."""
    if not shown.startswith("api_"):
        return shown
    return base64.b64decode(shown.removeprefix("api_")).decode().partition(":")[2]


@walk("DELETE /api/principal")
def delete_principals(admin: Client, alice: Client) -> None:
    for name in ("one", "two"):
        admin.data("POST", "/api/principal", {"type": "list", "name": f"old-{name}@example.org"})
    assert admin("DELETE", "/api/principal", type="list", filter="old-").status == 400
    assert admin.data("DELETE", "/api/principal", type="list", filter="old-", confirm="true") == 2
    assert admin.data("GET", "/api/principal", types="list", filter="old-")["total"] == 0


@walk("GET /api/principal/{name}")
def get_principal(admin: Client, alice: Client) -> None:
    found = admin.data("GET", f"/api/principal/{ALICE}")
    assert (found["type"], found["name"], found["emails"]) == ("individual", ALICE, [ALICE])
    assert isinstance(found["roles"], list)
    assert "secrets" not in found
    nobody = admin("GET", "/api/principal/nobody@example.org")
    assert (nobody.status, nobody.json["error"], nobody.json["item"]) == (404, "notFound", "nobody@example.org")


@walk("PATCH /api/principal/{name}")
def update_principal(admin: Client, alice: Client) -> None:
    steps = [
        {"action": "set", "field": "description", "value": "Alice Smith"},
        {"action": "addItem", "field": "emails", "value": "smith@example.org"},
        {"action": "set", "field": "quota", "value": 5_000_000},
    ]
    assert admin.data("PATCH", f"/api/principal/{ALICE}", steps) is None
    found = admin.data("GET", f"/api/principal/{ALICE}")
    assert (found["description"], found["quota"]) == ("Alice Smith", 5_000_000)
    assert "smith@example.org" in found["emails"]
    back = [{"action": "removeItem", "field": "emails", "value": "smith@example.org"}]
    assert admin.data("PATCH", f"/api/principal/{ALICE}", back) is None
    assert admin.data("GET", f"/api/principal/{ALICE}")["emails"] == [ALICE]
    assert admin("PATCH", f"/api/principal/{ALICE}", [{"action": "set", "field": "nonsense", "value": 1}]).status == 400
    password = [{"action": "addItem", "field": "secrets", "value": PASSWORD}]
    assert admin.data("PATCH", f"/api/principal/{ALICE}", password) is None
    assert alice.data("GET", "/api/whoami")["name"] == ALICE
    others = [{"action": "addItem", "field": "members", "value": "x"}]
    assert admin("PATCH", f"/api/principal/{ALICE}", others).status == 409


@walk("DELETE /api/principal/{name}")
def delete_principal(admin: Client, alice: Client) -> None:
    admin.data("POST", "/api/principal", {"type": "individual", "name": "carol@example.org", "secrets": [PASSWORD]})
    assert admin.data("DELETE", "/api/principal/carol@example.org") is None
    assert admin("GET", "/api/principal/carol@example.org").status == 404
    assert admin("DELETE", "/api/principal/admin").status == 409


@walk("GET /api/account/auth")
def account_auth(admin: Client, alice: Client) -> None:
    found = alice.data("GET", "/api/account/auth")
    assert found["otpEnabled"] is False
    assert found["appPasswords"] == []


@walk("POST /api/account/auth")
def change_account_auth(admin: Client, alice: Client) -> None:
    admin.data("POST", "/api/principal", {"type": "individual", "name": "dave@example.org", "secrets": [PASSWORD]})
    dave = Client(admin.live, basic("dave@example.org"))
    assert (
        dave.data("POST", "/api/account/auth", [{"type": "setPassword", "password": "another long password"}]) is None
    )
    assert dave("GET", "/api/account/auth").status == 401
    dave = Client(admin.live, basic("dave@example.org", "another long password"))
    assert dave.data("GET", "/api/account/auth")["appPasswords"] == []


@walk("GET /api/settings/group", "GET /api/settings/list", "GET /api/settings/keys")
def read_settings(admin: Client, alice: Client) -> None:
    values = [["a", "1"], ["b", "two"]]
    admin.data(
        "POST",
        "/api/settings",
        [{"type": "insert", "prefix": "lookup.mailinglists", "values": values, "assert_empty": True}],
    )
    listed = admin.data("GET", "/api/settings/list", prefix="lookup.mailinglists")
    assert (listed["total"], listed["items"]) == (2, {"a": "1", "b": "two"})
    assert admin.data("GET", "/api/settings/keys", prefixes="lookup.mailinglists.")["lookup.mailinglists.b"] == "two"
    assert admin.data("GET", "/api/settings/keys", keys="lookup.mailinglists.a") == {"lookup.mailinglists.a": "1"}
    grouped = admin.data("GET", "/api/settings/group", prefix="lookup", page=1, limit=50)
    assert "mailinglists.a" in {one["_id"] for one in grouped["items"]}
    admin.data("POST", "/api/settings", [{"type": "clear", "prefix": "lookup.mailinglists."}])
    assert admin.data("GET", "/api/settings/list", prefix="lookup.mailinglists")["total"] == 0


@walk("POST /api/settings", "DELETE /api/settings/{key}")
def change_settings(admin: Client, alice: Client) -> None:
    header = [["headers.0000", "X-Served-By: old"]]
    admin.data("POST", "/api/settings", [{"type": "insert", "prefix": "server.http", "values": header}])
    in_force(admin, lambda said: said.headers.get("x-served-by") == "old", "GET", "/healthz/live")
    # As version 0.8 wrote it.
    admin.data("POST", "/api/settings", [{"type": "Delete", "keys": ["server.http.headers.0000"]}])
    admin.data("POST", "/api/settings", [{"type": "insert", "values": [["account.quota", "1 GB"]]}])
    assert admin.data("GET", "/api/settings/keys", keys="account.quota")
    assert admin.data("DELETE", "/api/settings/account.quota") is None
    assert admin.data("GET", "/api/settings/keys", keys="account.quota") == {}
    assert admin("DELETE", "/api/settings/account.qota").status == 404
    assert admin("DELETE", "/api/settings/server.http.hsts").status == 409
    wrong = [["account.quota", "1 GB"], ["server.http.headres.0000", "X: y"]]
    refused = admin("POST", "/api/settings", [{"type": "insert", "values": wrong}])
    assert refused.status == 400
    assert admin.data("GET", "/api/settings/keys", keys="account.quota") == {}, "half of it was stored"
    assert admin("POST", "/api/settings", [{"type": "insert", "values": [["server.http.hsts", "true"]]}]).status == 409


@walk("GET /api/reload")
def reload(admin: Client, alice: Client) -> None:
    assert admin("GET", "/api/reload").status == 405
    assert set(admin.data("POST", "/api/reload", dry_run="true")) >= {"warnings", "errors"}
    assert set(admin.data("POST", "/api/reload")) >= {"warnings", "errors"}
    with old_gets(admin):
        assert set(admin.data("GET", "/api/reload", dry_run="true")) >= {"warnings", "errors"}


def in_force(admin: Client, changed: Callable[[Said], bool], method: str, path: str) -> None:
    """Waits until every worker shows a change."""
    deadline = time.monotonic() + 120
    for _ in each_worker(admin.live):
        while not changed(said := admin(method, path)):
            assert time.monotonic() < deadline, said


class old_gets:
    """With ``management.legacy-get`` on."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin

    def _set(self, steps: list[dict[str, object]], on: bool) -> None:
        self.admin.data("POST", "/api/settings", steps)
        in_force(self.admin, lambda said: said.headers["allow"].startswith("GET") == on, "OPTIONS", "/api/reload")

    def __enter__(self) -> None:
        self._set([{"type": "insert", "values": [["management.legacy-get", "true"]]}], True)

    def __exit__(self, *_: object) -> None:
        self._set([{"type": "delete", "keys": ["management.legacy-get"]}], False)


@walk("GET /api/domain", "GET /api/domain/{name}", "POST /api/domain/{name}", "DELETE /api/domain/{name}")
def domains(admin: Client, alice: Client) -> None:
    admin.data("POST", "/api/domain/old.example")
    assert "old.example" in admin.data("GET", "/api/domain", page=1, limit=100)["items"]
    assert admin.data("GET", "/api/domain/old.example")["name"] == "old.example"
    assert admin.data("DELETE", "/api/domain/old.example") is None
    assert admin("GET", "/api/domain/old.example").status == 404
    assert admin("DELETE", "/api/domain/example.org").status == 409


@walk("GET /api/dns/records/{domain}")
def dns_records(admin: Client, alice: Client) -> None:
    named = [["lookup.default.hostname", "mail.example.org"]]
    admin.data("POST", "/api/settings", [{"type": "insert", "values": named}])
    in_force(admin, lambda said: said.status == 200, "GET", "/api/dns/records/example.org")
    records = admin.data("GET", "/api/dns/records/example.org")
    assert isinstance(records, list)
    assert all(set(record) == {"type", "name", "content"} for record in records)
    assert "MX" in {record["type"] for record in records}


@walk("GET /api/dkim/{id}", "POST /api/dkim")
def dkim(admin: Client, alice: Client) -> None:
    for algorithm, id in (("Ed25519", "ed25519-example.org"), ("Rsa", "rsa-example.org")):
        asked = {"algorithm": algorithm, "domain": "example.org", "id": None, "selector": None}
        said = admin("POST", "/api/dkim", asked)
        assert said.status in (200, 201), said
        assert base64.b64decode(admin.data("GET", f"/api/dkim/{id}"), validate=True)
        again = admin("POST", "/api/dkim", asked)
        assert again.status == 409
        assert b"PRIVATE" not in again.body


@walk("GET /api/store/blobs/{hash}")
def blobs(admin: Client, alice: Client) -> None:
    session = alice.live.jmap(ALICE)
    sent = alice.live.send(
        "POST",
        f"/jmap/upload/{session.id}/",
        {"Authorization": basic(ALICE), "Content-Type": "text/plain"},
        b"0123456789",
    ).json()
    said = admin("GET", f"/api/store/blobs/{sent['blobId']}", offset=2, limit=4)
    assert (said.status, said.body) == (200, b"2345")


UNDER_WAY = ("queued", "waiting", "running")


def job_done(admin: Client, job: object) -> None:
    id = job if isinstance(job, str) else job["id"]  # type: ignore[index]
    deadline = time.monotonic() + 120
    while (found := admin.data("GET", f"/api/jobs/{id}"))["state"] in UNDER_WAY:
        assert time.monotonic() < deadline, found
    assert found["state"] == "done", found


@walk(
    "GET /api/store/purge/blob",
    "GET /api/store/purge/account",
    "GET /api/store/purge/account/{id}",
    "GET /api/store/purge/data",
    "GET /api/store/purge/in-memory",
    "GET /api/store/purge/lookup",
    "GET /api/store/reindex",
    "GET /api/store/reindex/{id}",
)
def store(admin: Client, alice: Client) -> None:
    paths = [f"purge/{name}" for name in ("blob", "account", f"account/{ALICE}", "data", "in-memory")]
    for path in (*paths, "reindex", f"reindex/{ALICE}"):
        assert admin("GET", f"/api/store/{path}").status == 405, path
        job_done(admin, admin.data("POST", f"/api/store/{path}"))
    with old_gets(admin):
        for path in (*paths, "purge/lookup", "reindex", f"reindex/{ALICE}"):
            assert admin.data("GET", f"/api/store/{path}") is None, "there it was nothing but null"
            # One job of a kind runs at a time, and null does not say which.
            for job in admin.data("GET", "/api/jobs")["items"]:
                if job["state"] in UNDER_WAY:
                    job_done(admin, job)


@walk("GET /api/logs")
def logs(admin: Client, alice: Client) -> None:
    found = admin.data("GET", "/api/logs", page=1, limit=5)
    assert len(found["items"]) <= 5
    assert found["total"] >= len(found["items"])
    for one in found["items"]:
        assert {"timestamp", "level", "event", "event_id", "details"} <= set(one)


def test_the_table_is_whole() -> None:
    assert len(ROWS) == TABLE.count("\n| `") > 70
    assert {state for _, _, state, _ in ROWS} <= STATES
    missing = [f"{method} {path}" for method, path, state, why in ROWS if state != "same" and not why.strip()]
    assert not missing, "these rows say nothing of what is different, or why"
    answered = {f"{method} {path}" for method, path, state, _ in ROWS if state in ("same", "mended")}
    assert answered == set(WALKS)


@pytest.mark.parametrize("row", sorted({function.__name__: row for row, function in WALKS.items()}.values()))
def test_what_is_here_works(admin: Client, alice: Client, row: str) -> None:
    WALKS[row](admin, alice)


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for method, path, state, _ in ROWS if state in ("later", "left out")]
)
def test_what_is_not_here_is_not_pretended(admin: Client, method: str, path: str) -> None:
    first = re.sub(r"\{([^,}]*)[^}]*\}", r"\1", path)
    said = admin(method, first, {} if method in ("POST", "PATCH") else None)
    assert said.status == 404, said
    assert said.json["status"] == 404
