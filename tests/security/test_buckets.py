"""Whose tries count for whom: nobody fills the bucket of something else by what he types.

Whoever has stolen a token guesses as slowly as a stranger."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from visiting import Person

from flaskmail.accounts.scopes import ACCOUNT
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

ANN = "ann@example.org"
CLIENT = "203.0.113.5"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-Proto": "https"}


@pytest.fixture
def made() -> Iterator[MadeServer]:
    config = "[server.http]\nuse-x-forwarded = true\n[authentication]\nfail-rate = '10/1h'\n"
    with make_server(config=config) as made:
        made.server.create_account(ANN, PASSWORD)
        yield made


def fill(made: MadeServer, name: str) -> None:
    """Fills the bucket of a name from many addresses."""
    statuses = []
    for number in range(14):
        sent = {"Authorization": basic(name, "wrong"), "X-Forwarded-For": f"198.51.100.{number}"}
        statuses.append(made.send("GET", "/jmap/session", sent, b"").status)
    assert statuses[-1] == 429


@pytest.mark.parametrize("name", ["client secret\0{}", "oauth client\0{}", "{}", "account\0{}", "\0client secret\0{}"])
def test_no_name_fills_the_bucket_of_a_client(made: MadeServer, name: str) -> None:
    _, secret = made.server.directory.oauth_clients.add(Client("web", "Web", (), GRANT_TYPES, "client_secret_basic"))
    assert secret is not None
    fill(made, name.format(CLIENT))
    sent = FORM | {"Authorization": basic("web", secret), "X-Forwarded-For": CLIENT}
    reply = made.send("POST", "/auth/token", sent, b"grant_type=refresh_token&refresh_token=x")
    assert (reply.status, reply.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("name", ["device\0{}", "{}", "pair\0device\0{}"])
def test_no_name_fills_the_bucket_of_device_codes(made: MadeServer, name: str) -> None:
    fill(made, name.format(made.server.directory.principals.get(ANN).id))
    person = Person(made.app.test_client(), **{"X-Forwarded-For": CLIENT})
    assert person.sign_in(ANN).status_code == 303
    person.get("/device")
    assert person.send("/device", user_code="BCDF-GHJK").status_code == 422


@pytest.mark.parametrize("name", ["", f"{ANN}\0", f"\0{ANN}", f"x\0{ANN}", "known\0" + ANN])
def test_no_name_fills_the_bucket_of_another(made: MadeServer, name: str) -> None:
    if name:
        fill(made, name)
    sent = {"Authorization": basic(ANN), "X-Forwarded-For": CLIENT}
    assert made.send("GET", "/jmap/session", sent, b"").status == 200


def test_a_name_in_other_letters_has_the_same_bucket(made: MadeServer) -> None:
    statuses = []
    for number in range(14):
        name = ANN.upper() if number % 2 else f" {ANN.title()} "
        sent = {"Authorization": basic(name, "wrong"), "X-Forwarded-For": f"198.51.100.{number}"}
        statuses.append(made.send("GET", "/jmap/session", sent, b"").status)
    assert 10 <= statuses.count(401) <= 12


def test_whoever_has_stolen_a_token_guesses_no_faster(made: MadeServer) -> None:
    directory = made.server.directory
    _, token = directory.tokens.create(directory.principals.get(ANN), scopes=frozenset({ACCOUNT}))
    statuses, before = [], directory.principals.secret(ANN)
    for number in range(16):
        body = {
            "steps": [{"type": "setPassword", "password": "taken over by me"}],
            "currentPassword": f"guess {number}",
        }
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Forwarded-For": CLIENT}
        reply = made.send("POST", "/api/account/auth", headers, json.dumps(body).encode())
        statuses.append(reply.status)
    assert set(statuses) == {403, 429}, reply.body
    assert 10 <= statuses.count(403) <= 12
    assert int(reply.header("Retry-After") or "0") > 0
    assert directory.principals.secret(ANN) == before
