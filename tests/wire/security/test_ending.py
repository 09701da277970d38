"""What ends an account ends everything that it signed in with, in every worker and on open streams.

A new account of the same name has nothing of the old one."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from workers import each_worker

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.oauthtokens import Approval
from flaskmail.config.oauth import OAuthExpiry
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import PASSWORD, Jmap, LiveServer, basic, live_server

from ..conftest import ROOT, START
from ..test_pages import Browser

URI = "https://app.example/cb"
SCOPES = ("offline_access", "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:flaskmail:management")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("ending")
    # The throttle is another test's.
    config = "[authentication]\nfail-rate = '1000/1m'\n[authentication.argon2]\nmemory = 8192\ntime-cost = 1\n"
    with live_server(config, folder=folder, arguments=START, python_path=ROOT) as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        directory = Directory(folder / "data")
        directory.oauth_clients.add(Client("app", "App", (URI,), GRANT_TYPES))
        directory.close()
        yield server


@dataclass
class Held:
    """Everything by which one account gets in. headers: kind -> Authorization; refresh: an OAuth refresh token."""

    name: str
    headers: dict[str, str]
    refresh: str
    browser: Browser
    account: str
    blob: str
    email: str


def holding(live: LiveServer, name: str) -> Held:
    jmap = live.account(name)
    blob = jmap.upload(b"From: a@example.org\r\nSubject: old\r\n\r\nold\r\n")
    [inbox] = [one["id"] for one in jmap.call("Mailbox/get")["list"] if one["role"] == "inbox"]
    emails = {"a": {"blobId": blob, "mailboxIds": {inbox: True}}}
    email = jmap.call("Email/import", emails=emails)["created"]["a"]["id"]
    directory = Directory(live.folder / "data")
    owner = directory.principals.get(name)
    _, token = directory.tokens.create(owner)
    _, phone = directory.tokens.create(owner, kind="app-password")
    signed_in = replace(owner, grant=Grant("session", authenticated=int(time.time())))
    verifier = "v" * 43
    code = directory.oauth_tokens.add_code(
        Approval(signed_in.id, "app", SCOPES, signed_in.grant.authenticated, ("pwd",)),
        redirect_uri=URI,
        challenge=challenge_of(verifier),
        nonce=None,
        seconds=60,
    )
    client = directory.oauth_clients.get("app")
    issued = directory.oauth_tokens.redeem_code(code, client, URI, verifier, OAuthExpiry())
    assert issued.refresh is not None
    directory.close()
    browser = Browser(live)
    assert browser.sign_in(name).status == 303
    assert jmap.id is not None
    headers = {
        "password": basic(name),
        "app password": basic(name, phone),
        "token": f"Bearer {token}",
        "oauth": f"Bearer {issued.access}",
    }
    return Held(name, headers, issued.refresh, browser, jmap.id, blob, email)


def entering(live: LiveServer, held: Held) -> dict[str, set[int]]:
    """What each of them is answered, by every worker; 303 of a page leads to the form for signing in."""
    found = {
        kind: {live.send("GET", "/jmap/session", {"Authorization": header}, b"").status for _ in each_worker(live)}
        for kind, header in held.headers.items()
    }
    return found | {"session": held.browser.statuses()}


def refreshed(live: LiveServer, held: Held) -> int:
    body = f"grant_type=refresh_token&client_id=app&refresh_token={held.refresh}".encode()
    return live.send("POST", "/auth/token", FORM, body).status


INSIDE = {"password": {200}, "app password": {200}, "token": {200}, "oauth": {200}, "session": {200}}
OUT = {"password": {401}, "app password": {401}, "token": {401}, "oauth": {401}, "session": {303}}


def test_a_disabled_account_is_out_with_everything(live: LiveServer) -> None:
    held = holding(live, "ann@example.org")
    assert entering(live, held) == INSIDE
    step = [{"action": "set", "field": "disabled", "value": True}]
    headers = {"Authorization": basic("admin"), "Content-Type": "application/json"}
    reply = live.send("PATCH", "/api/principal/ann@example.org", headers, json.dumps(step).encode())
    assert reply.status == 200, reply
    # From the next request on, which is sooner than the second that is promised.
    assert entering(live, held) == OUT
    assert refreshed(live, held) == 400


def test_a_new_password_ends_what_the_old_one_let_in(live: LiveServer) -> None:
    held = holding(live, "bob@example.org")
    assert entering(live, held) == INSIDE
    done = live.cli("account", "set-password", held.name, "--password-stdin", input="another long password\n")
    assert done.returncode == 0, done
    assert entering(live, held) == INSIDE | {"password": {401}, "oauth": {401}, "session": {303}}
    assert refreshed(live, held) == 400


def test_an_account_that_was_deleted_and_made_again_is_another(live: LiveServer) -> None:
    held = holding(live, "carl@example.org")
    assert entering(live, held) == INSIDE
    assert live.cli("account", "delete", held.name).returncode == 0
    assert entering(live, held) == OUT
    done = live.cli("account", "create", held.name, "--password-stdin", input=PASSWORD + "\n")
    assert done.returncode == 0, done
    # The name and the password are right again, whatever the workers remember; nothing else is.
    assert entering(live, held) == OUT | {"password": {200}}
    assert refreshed(live, held) == 400
    new = Jmap(live.send, basic(held.name))
    assert new.id != held.account
    assert new.call("Mailbox/get")["list"]
    assert new.call("Email/get", ids=[held.email])["notFound"] == [held.email]
    assert new.attempt("Email/get", accountId=held.account, ids=[held.email])[1]["type"] == "accountNotFound"
    for account in (held.account, new.id):
        assert new.http("GET", f"/jmap/download/{account}/{held.blob}/x").status == 404
    assert new.http("POST", f"/jmap/upload/{held.account}/", b"x").status == 404
    assert Browser(live).sign_in(held.name).status == 303


@pytest.mark.parametrize("kind", ["token", "oauth", "password"])
def test_open_streams_end_with_the_account(live: LiveServer, kind: str) -> None:
    name = f"watcher-{kind}@example.org"
    held = holding(live, name)
    admin = {"Authorization": basic("admin"), "Content-Type": "application/json"}

    def change(field: str, value: object) -> None:
        step = json.dumps([{"action": "set", "field": field, "value": value}]).encode()
        reply = live.send("PATCH", f"/api/principal/{name}", admin, step)
        assert reply.status == 200, reply

    change("roles", ["user", "admin"])
    connection = live.connect()
    assert connection.sock is None
    connection.request(
        "GET", "/api/logs/live?seconds=600&filter=nothing", headers={"Authorization": held.headers[kind]}
    )
    response = connection.getresponse()
    assert response.status == 200
    assert response.readline() == b"retry: 3000\n"
    change("disabled", True)
    # Its own end is minutes away.
    ended = _rest(response)
    assert b"data:" not in ended
    response.close()
    connection.close()


def _rest(response: http.client.HTTPResponse) -> bytes:
    """What still comes until the stream ends; AssertionError when it does not."""
    found, deadline = b"", time.monotonic() + 120
    while line := response.readline():
        found += line
        assert time.monotonic() < deadline
    return found
