"""Every operation of the document, as the running server gives it: success, each documented error, every role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from managed import BEYOND, CELLS, FOREIGN, OWN, Cell, allowed, called
from nameserver import name_server
from schemathesis.specs.openapi import definitions

from flaskmail.management.dispatch import MAX_BODY
from flaskmail.testing import PASSWORD, basic, live_server

from .conftest import Said
from .furnished import EMPTY, Actor, Described, Wire

ROOT = Path(__file__).resolve().parents[3]
CHEAP = """
[authentication]
fail-rate = "1000000/1m"
[authentication.argon2]
memory = "8 KiB"
time-cost = 1
"""
CONFIG = f"""
[server]
limit-request-line = 8190
[lookup.default]
hostname = "mail.{OWN}"
[dns]
resolver = ["RESOLVER"]
timeout = 5
[management]
legacy-get = true
[storage]
backup-path = "backups"
{CHEAP}
"""
ANYWHERE = (429, 500, 503)
"""Statuses that do not depend on the operation."""


@contextmanager
def served(folder: Path, config: str) -> Iterator[Wire]:
    with live_server(config, folder=folder, python_path=ROOT) as live:
        done = live.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        wire = Wire(live)
        try:
            yield wire
        finally:
            wire.close()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("operations")
    (folder / "backups").mkdir()
    with (
        name_server("") as resolver,
        served(folder, CONFIG.replace("RESOLVER", f"127.0.0.1:{resolver.address[1]}")) as wire,
    ):
        wire.furnish()
        yield wire


def test_the_document_is_one(wire: Wire) -> None:
    assert wire.document["openapi"].startswith("3.1.")
    assert not list(definitions.OPENAPI_31_VALIDATOR.iter_errors(wire.document))
    assert set(wire.operations) == set(CELLS)
    for one in wire.operations.values():
        assert one.permissions
        for status, said in one.responses.items():
            assert said["description"], (one.name, status)


# ---- success
def credential(wire: Wire, authorization: str | None = None) -> str:
    made = wire.data("POST", "/account/credentials", {"kind": "token", "name": "short"}, authorization)
    return str(made["id"])


def job(wire: Wire) -> str:
    wire.idle()
    return str(wire.data("POST", "/store/purge/in-memory")["id"])


def blob(wire: Wire) -> str:
    alice = wire.person("blobs", "user")
    [account] = wire.send("GET", "/jmap/session", {"Authorization": alice}).json["accounts"]
    headers = {"Authorization": alice, "Content-Type": "text/plain"}
    return str(wire.send("POST", f"/jmap/upload/{account}/", headers, b"milk").json["blobId"])


def of_somebody(wire: Wire) -> Cell:
    owner = wire.person("owner", "user")
    return Cell({"name": f"owner@{OWN}", "id": credential(wire, owner)})


def stored(wire: Wire) -> Cell:
    wire.data("POST", "/settings", [{"type": "insert", "values": [["account.quota", "1 GB"]]}])
    return Cell({"key": "account.quota"})


REAL: dict[str, Callable[[Wire], Cell]] = {
    "account.credential.delete": lambda wire: Cell({"id": credential(wire)}),
    "principal.credential.delete": of_somebody,
    "domain.delete": lambda wire: Cell({"name": EMPTY}),
    "store.blob": lambda wire: Cell({"hash": blob(wire)}),
    "job.get": lambda wire: Cell({"id": job(wire)}),
    "job.cancel": lambda wire: Cell({"id": job(wire)}),
    "setting.delete": stored,
}
"""Where what every domain has does not do: what is made for it."""


def cells(wire: Wire, name: str) -> list[Cell]:
    """How to call an operation so that it succeeds."""
    if name in REAL:
        return [REAL[name](wire)]
    found = CELLS[name](OWN)
    if name == "principal.delete":
        # A domain with people in it stays.
        return [Cell({"name": EMPTY}) if cell.values["name"] == OWN else cell for cell in found]
    return found


def test_success(wire: Wire) -> None:
    wrong = []
    for name, operation in wire.operations.items():
        for cell in cells(wire, name):
            if name.startswith("store."):
                wire.idle()
            said = wire.call(operation, cell, wire.admin)
            if said.status != operation.success:
                wrong.append(f"{name}: {said.status} in place of {operation.success}: {said.body[:300]!r}")
                continue
            wrong.append(wire.fault(operation, said))
            wire.mend(operation, cell)
    assert not list(filter(None, wrong))


# ---- each documented error
def with_value(cell: Cell, name: str) -> Cell:
    return Cell(cell.values | {name: "nothing there"}, cell.query, cell.body)


def back_to_what_the_file_sets(wire: Wire) -> Said:
    """Going back to a time when something was stored that the file sets by now."""
    stored(wire)
    revision = wire.data("GET", "/settings/history", limit="1")["items"][0]["revision"]
    wire.data("DELETE", "/settings/account.quota")
    file = wire.live.folder / "config.toml"
    before = file.read_text()
    file.write_text(before + '\n[account]\nquota = "2 GB"\n')
    try:
        assert wire.data("POST", "/reload")["errors"] == {}
        return recipe("setting.rollback", {"revision": revision})(wire)
    finally:
        file.write_text(before)
        wire.data("POST", "/reload")


def recipe(name: str, body: Any = None, /, **values: str) -> Callable[[Wire], Said]:
    return lambda wire: wire.call(wire.operations[name], Cell(values, body=body), wire.admin)


def stale(name: str, make: Callable[[Wire], Cell]) -> Callable[[Wire], Said]:
    return lambda wire: wire.call(wire.operations[name], make(wire), wire.admin, {"If-Match": '"another"'})


def held_role(wire: Wire) -> Said:
    wire.data("POST", "/principal", {"type": "role", "name": "held"})
    wire.person("holder", "held")
    return wire.ask("DELETE", "/api/principal", type="role", filter="held", confirm="true")


NOWHERE = {"type": "individual", "name": "ann@nowhere.example", "memberOf": ["nobody"]}
PEOPLE = called("individual", OWN)
PAST = "2001-01-01T00:00:00Z"

REFUSED: dict[tuple[str, int], Callable[[Wire], Said]] = {
    ("account.auth.update", 404): recipe("account.auth.update", [{"type": "removeAppPassword", "name": "none"}]),
    ("account.auth.update", 409): recipe("account.auth.update", [{"type": "setPassword", "password": "password"}]),
    ("account.credential.create", 404): recipe(
        "account.credential.create", {"kind": "token", "name": "x", "scopes": ["everything"]}
    ),
    ("account.credential.create", 409): recipe(
        "account.credential.create", {"kind": "token", "name": "x", "expires": PAST}
    ),
    ("principal.create", 404): recipe("principal.create", NOWHERE),
    ("principal.create", 409): recipe("principal.create", {"type": "group", "name": called("group", OWN)}),
    ("principal.delete.all", 409): held_role,
    ("principal.update", 409): recipe(
        "principal.update", [{"action": "set", "field": "name", "value": called("group", OWN)}], name=PEOPLE
    ),
    ("principal.delete", 409): recipe("principal.delete", name="admin"),
    ("setting.change", 409): recipe("setting.change", [{"type": "insert", "values": [["dns.timeout", 2]]}]),
    ("setting.change", 412): stale("setting.change", lambda wire: CELLS["setting.change"](OWN)[0]),
    ("setting.delete", 409): recipe("setting.delete", key="dns.timeout"),
    ("setting.delete", 412): stale("setting.delete", stored),
    ("setting.rollback", 404): recipe("setting.rollback", {"revision": 1_000_000}),
    ("setting.rollback", 409): back_to_what_the_file_sets,
    ("setting.rollback", 412): stale("setting.rollback", lambda wire: CELLS["setting.rollback"](OWN)[0]),
    ("policy.explain", 404): recipe("policy.explain", {"url": "/", "listener": "none"}),
    ("domain.create", 409): recipe("domain.create", {"name": OWN}),
    ("domain.create.named", 409): recipe("domain.create.named", name=OWN),
    ("domain.delete", 409): recipe("domain.delete", name=OWN),
    ("dkim.create", 404): recipe("dkim.create", {"domain": "nowhere.example"}),
    ("dkim.create", 409): recipe("dkim.create", {"domain": OWN, "algorithm": "Ed25519", "selector": "old"}),
    ("oauth.client.create", 404): recipe("oauth.client.create", {"name": "x", "scopes": ["everything"]}),
    ("oauth.client.create", 409): recipe("oauth.client.create", {"name": "x", "id": "tv"}),
    ("oauth.client.update", 409): recipe("oauth.client.update", {"renewSecret": True}, id="tv"),
    ("store.verify", 404): lambda wire: wire.ask("POST", "/api/store/verify", account="nobody"),
}
"""(operation, status) -> how it comes to that, where every operation has its own way."""


def provoked(wire: Wire, operation: Described, status: int, cell: Cell) -> Iterator[Said]:
    """The answers to what should be answered with this status; ``cell``: how it would succeed."""
    parameters = [one["name"] for one in operation.parameters if one["in"] == "path"]
    good = wire.admin
    match status:
        case 304:
            yield wire.call(operation, cell, good, {"If-None-Match": "*"})
        case 400:
            yield wire.call(operation, cell, good, surely_unknown="1")
            for one in operation.parameters:
                # Texts take anything; of a switch, the first of two kinds is the truth value.
                kind = one["schema"].get("anyOf", [one["schema"]])[0].get("type")
                if one["in"] == "query" and kind not in ("string", "array", None):
                    yield wire.call(
                        operation, Cell(cell.values, cell.query | {one["name"]: "\N{SNOWMAN}"}, cell.body), good
                    )
            for wrong in (
                (b"5", b"{", b'[{"surelyUnknown": 1}]', b'{"surelyUnknown": 1}') if operation.takes_body else ()
            ):
                yield wire.call(operation, cell, good, octets=wrong)
        case 401:
            for authorization in (None, basic("admin", "wrong"), basic("nobody"), "Bearer fmt_wrong", "Basic x"):
                yield wire.call(operation, cell, authorization)
        case 403:
            yield wire.call(operation, cell, basic(f"powerless@{OWN}"))
        case 404 if parameters:
            for name in parameters:
                yield wire.call(operation, with_value(cell, name), good)
        case 413:
            yield wire.call(operation, cell, good, octets=b" " * (MAX_BODY + 1))
        case 414:
            yield wire.call(operation, cell, good, filter="a" * 9000)
        case 415:
            yield wire.call(operation, cell, good, {"Content-Type": "text/plain"})
            yield wire.call(operation, cell, good, {"Content-Encoding": "gzip"})


def test_each_documented_error(wire: Wire) -> None:
    wire.person("powerless")
    wrong, unknown = [], []
    special = dict(REFUSED)
    for name, operation in wire.operations.items():
        cell = (
            cells(wire, name)[0] if name not in ("principal.credential.delete", "store.blob") else CELLS[name](OWN)[0]
        )
        for status in sorted({*operation.responses} - {operation.success, *ANYWHERE}):
            if (name, status) == ("store.backup", 409) or (name.startswith("dns.") and status == 409):
                # A server that is not set up for it has them, below.
                continue
            if status == 409 and name.startswith("store."):
                with wire.busy("verify", "backup", "reindex", "purge"):
                    answers = [wire.call(operation, cell, wire.admin)]
            elif (name, status) in special:
                answers = [special.pop((name, status))(wire)]
            else:
                answers = list(provoked(wire, operation, status, cell))
            if not answers:
                unknown.append((name, status))
            for said in answers:
                if said.status != status:
                    wrong.append(f"{name}: {said.status} in place of {status}: {said.body[:300]!r}")
                else:
                    wrong.append(wire.fault(operation, said))
    assert not unknown
    assert not special
    assert not list(filter(None, wrong))


def test_other_methods(wire: Wire) -> None:
    every = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    for path, methods in wire.document["paths"].items():
        at = path.replace("{", "").replace("}", "")
        said = wire.send("OPTIONS", at, {})
        told = set(said.headers["allow"].split(", "))
        here = {method.upper() for method in methods}
        # /settings/{key} stands beside /settings/list; documented is what is answered.
        assert here <= told <= here | {"OPTIONS", "HEAD"}, path
        for method in {*every} - told:
            said = wire.send(method, at, {"Authorization": wire.admin})
            assert (said.status, {*said.headers["allow"].split(", ")}) == (405, told), (method, path)


def test_the_edges_of_time(wire: Wire) -> None:
    edges = (
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-23:59",
    )
    for edge in edges:
        for name in ("logs.list", "audit.list"):
            for member in ("since", "before"):
                said = wire.call(wire.operations[name], Cell(query={member: edge, "limit": "1"}), wire.admin)
                assert said.status == 200, (edge, said)
        said = wire.ask("POST", "/api/account/credentials", {"kind": "token", "name": "x", "expires": edge})
        assert said.status == (200 if edge[0] == "9" else 409), said
    assert wire.data("GET", "/account/credentials")["total"] >= 2


# ---- what does not depend on the operation
def test_a_server_that_is_not_set_up_for_it(tmp_path: Path) -> None:
    limited = '[server.http.rate-limit]\naccount = "40/1h"\nanonymous = false\n'
    with served(tmp_path, CHEAP + limited) as wire:
        wire.data("POST", f"/domain/{OWN}")
        for name in ("store.backup", "dns.records", "dns.zone", "dns.check"):
            operation = wire.operations[name]
            said = wire.call(operation, CELLS[name](OWN)[0], wire.admin)
            assert said.status == 409, (name, said)
            assert not wire.fault(operation, said)
        operation = wire.operations["whoami"]
        for _ in range(60):
            said = wire.call(operation, Cell(), wire.admin)
            assert not wire.fault(operation, said)
            if said.status == 429:
                break
        assert said.status == 429
        assert int(said.headers["retry-after"]) > 0


def test_a_store_that_cannot_be_used(wire: Wire) -> None:
    wire.idle()
    folder = wire.live.folder / "data" / "jobs"
    folder.rename(folder.with_name("aside"))
    folder.write_text("no folder")
    try:
        operation = wire.operations["store.purgeData"]
        said = wire.call(operation, Cell(), wire.admin)
        assert said.status == 503, said
        assert not wire.fault(operation, said)
        assert "retry-after" in said.headers
    finally:
        folder.unlink()
        folder.with_name("aside").rename(folder)


def test_more_streams_than_threads(wire: Wire) -> None:
    operation = wire.operations["logs.live"]
    with ExitStack() as stack:
        for _ in range(100):
            connection = wire.live.connect()
            stack.callback(connection.close)
            connection.request("GET", "/api/logs/live?seconds=60", headers={"Authorization": wire.admin})
            response = connection.getresponse()
            if response.status != 200:
                break
        said = Said(response.status, json.loads(response.read()), {"content-type": "application/problem+json"}, b"")
        assert said.status == 503
        assert not wire.fault(operation, said)


# ---- every role
@pytest.fixture(scope="module")
def actors(wire: Wire) -> list[Actor]:
    rights = wire.data("GET", "/permission")
    roles = {one["name"]: frozenset(one["permissions"]) for one in rights["roles"]}
    chief = wire.person("chief", "admin")
    key = {"type": "apiKey", "name": "looker", "domain": OWN, "enabledPermissions": ["authenticate", "domain-get"]}
    secret = wire.data("POST", "/principal", key)["secret"]

    def made(kind: str, *scopes: str) -> str:
        body = {"kind": kind, "name": kind, "scopes": list(scopes) or None}
        return str(wire.data("POST", "/account/credentials", body, chief)["secret"])

    sign_in = roles["admin"] & {"authenticate", "authenticate-oauth"}
    found = [
        Actor("nobody", None, frozenset(), OWN),
        Actor("powerless", wire.person("weak"), frozenset(), OWN),
        Actor("user", wire.person("somebody", "user"), roles["user"], OWN),
        Actor("domain-admin", wire.person("keeper", "domain-admin"), roles["domain-admin"], OWN),
        Actor("admin", chief, roles["admin"], None),
        Actor("API key", f"Bearer {secret}", frozenset({"authenticate", "domain-get"}), OWN),
        Actor("token for mail", f"Bearer {made('token', 'urn:ietf:params:jmap:mail')}", sign_in, OWN),
        Actor(
            "token to manage",
            f"Bearer {made('token', 'urn:flaskmail:management')}",
            roles["admin"] - roles["user"] | sign_in,
            None,
        ),
        Actor("app password", basic(f"chief@{OWN}", made("app-password")), sign_in, OWN),
    ]
    for one in found[1:]:
        said = wire.ask("GET", "/api/whoami", None, one.authorization)
        held = frozenset(said.json["data"]["permissions"]) if said.status == 200 else frozenset()
        assert held == one.permissions, (one.name, sorted(held ^ one.permissions))
    return found


def test_every_role(wire: Wire, actors: list[Actor]) -> None:
    wrong = []
    for actor in actors:
        for name, operation in wire.operations.items():
            for domain in (OWN, FOREIGN):
                for cell in CELLS[name](domain):
                    if domain is FOREIGN and not cell.bound:
                        continue
                    said = wire.call(operation, cell, actor.authorization)
                    entitled = allowed(actor, operation.permissions, cell, domain)
                    which = f"{actor.name}: {name} {cell.needs or ''} of {domain} -> {said.status} {said.body[:200]!r}"
                    wrong.append(wire.fault(operation, said))
                    if actor.authorization is None:
                        wrong.append("" if said.status == 401 else which)
                    elif not entitled:
                        wrong.append("" if said.status in (403, 404) else f"{which}, but nothing allows it")
                    elif said.status in (401, 403) and name not in BEYOND:
                        wrong.append(f"{which}, but it is declared")
                    if said.status < 300:
                        wire.mend(operation, cell)
    assert not list(filter(None, wrong))
