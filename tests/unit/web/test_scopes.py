"""What a credential with scopes may use: every method against every set of scopes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flaskmail.accounts.scopes import ACCOUNT, CORE, MANAGEMENT, SCOPES, capabilities_within
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.method import Method
from flaskmail.testing import Jmap, MadeServer, Reply, make_server

MAIL = "urn:ietf:params:jmap:mail"
HELLO = "https://example.com/jmap/hello"


class Hello:
    """A capability of a plugin's, with something to say in the session."""

    @hookimpl
    def jmap_methods(self) -> list[Method]:
        return [Method("Example/hello", HELLO, lambda ctx, arguments: {"hello": ctx.username})]

    @hookimpl
    def session_capabilities(self, account: Any) -> dict[str, Any]:
        return {HELLO: {"version": 1}}


@pytest.fixture(scope="module")
def made() -> Iterator[MadeServer]:
    with make_server(
        plugins=[Hello()], config="[server.http.rate-limit]\nanonymous = false\naccount = false\n"
    ) as made:
        made.account("alice@example.org")
        yield made


def headers(made: MadeServer, *scopes: str, whole: bool = False) -> dict[str, str]:
    """What a client with a token of these scopes sends."""
    alice = made.server.directory.principals.get("alice@example.org")
    _, token = made.server.directory.tokens.create(alice, scopes=None if whole else frozenset(scopes))
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def call(made: MadeServer, sent: dict[str, str], name: str, using: list[str], id: str | None) -> Reply:
    arguments = {} if id is None else {"accountId": id}
    body = json.dumps({"using": using, "methodCalls": [[name, arguments, "c"]]}).encode()
    return made.send("POST", "/jmap/", sent, body)


SETS = [
    (CORE,),
    (MAIL,),
    (HELLO,),
    (CORE, MAIL),
    (MAIL, HELLO, "openid"),
    (MAIL, MANAGEMENT),
    ("urn:example:gone", MAIL),
]


@pytest.mark.parametrize("scopes", SETS, ids=lambda scopes: "+".join(one.rpartition(":")[2] for one in scopes))
def test_every_method_with_every_scope(made: MadeServer, scopes: tuple[str, ...]) -> None:
    sent, engine = headers(made, *scopes), made.server.engine
    id = made.server.directory.principals.get("alice@example.org").id
    assert len(engine.methods) > 10
    wrong = []
    for method in engine.methods.values():
        allowed = method.capability == CORE or method.capability in scopes
        reply = call(made, sent, method.name, [method.capability], id if method.account else None)
        # Opting into whatever else the credential may use does not open it either.
        others = sorted(set(engine.capabilities) & {*scopes, CORE})
        around = call(made, sent, method.name, others, id if method.account else None).json()["methodResponses"][0]
        if allowed:
            right = reply.status == 200 and reply.json()["methodResponses"][0][1].get("type") != "unknownMethod"
            right = right and around[1].get("type") != "unknownMethod"
        else:
            right = reply.status == 400 and reply.json()["type"] == "urn:ietf:params:jmap:error:unknownCapability"
            right = right and around[1]["type"] == "unknownMethod"
        if not right:
            wrong.append((method.name, scopes, reply.status))
    assert wrong == []


@pytest.mark.parametrize("scopes", SETS)
def test_the_session_shows_what_can_be_used(made: MadeServer, scopes: tuple[str, ...]) -> None:
    whole = made.send("GET", "/jmap/session", headers(made, whole=True), b"").json()
    session = made.send("GET", "/jmap/session", headers(made, *scopes), b"").json()
    wanted = {CORE, *scopes} & whole["capabilities"].keys()
    assert session["capabilities"] == {
        urn: whole["capabilities"][urn] for urn in whole["capabilities"] if urn in wanted
    }
    for id, account in whole["accounts"].items():
        kept = {urn: value for urn, value in account["accountCapabilities"].items() if urn in wanted}
        assert session["accounts"][id]["accountCapabilities"] == kept
    assert session["primaryAccounts"].keys() == whole["primaryAccounts"].keys() & wanted
    assert (session["state"] == whole["state"]) == (wanted == whole["capabilities"].keys())


@pytest.mark.parametrize("scopes", [(), tuple(SCOPES), (ACCOUNT,), ("urn:example:gone",)])
def test_a_credential_without_a_scope_for_jmap_gets_nothing_of_it(made: MadeServer, scopes: tuple[str, ...]) -> None:
    sent = headers(made, *scopes)
    id = made.server.directory.principals.get("alice@example.org").id
    blob = Jmap(made.send, headers(made, whole=True)["Authorization"]).upload(b"data")
    for method, path in (
        ("GET", "/jmap/session"),
        ("GET", "/.well-known/jmap"),
        ("POST", "/jmap/"),
        ("POST", f"/jmap/upload/{id}/"),
        ("GET", f"/jmap/download/{id}/{blob}/x"),
    ):
        body = b'{"using": [], "methodCalls": []}' if path == "/jmap/" else b""
        reply = made.send(method, path, sent, body)
        assert reply.status == 403, (method, path)
        assert 'error="insufficient_scope"' in (reply.header("WWW-Authenticate") or "")
        assert reply.json()["scope"] == CORE


def test_without_scopes_everything_can_be_used(made: MadeServer) -> None:
    alice = Jmap(made.send, headers(made, whole=True)["Authorization"])
    assert alice.call("Mailbox/get")["list"]
    assert alice.call("Example/hello")["hello"] == "alice@example.org"
    assert alice.download(alice.upload(b"data")) == b"data"


def test_capabilities_within() -> None:
    known = {CORE, MAIL}
    assert capabilities_within(None, known) is None
    assert capabilities_within(frozenset({MAIL, "openid"}), known) == {CORE, MAIL}
    assert capabilities_within(frozenset({"openid"}), known) == frozenset()
