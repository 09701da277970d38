"""The short way answers as Flask does, and steps aside for whoever hooks into the application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request_started
from werkzeug.test import Client

from flaskmail.hookspecs import hookimpl
from flaskmail.testing import PASSWORD, Jmap, MadeServer, basic, make_server
from flaskmail.web import jmap
from flaskmail.web.front import Front

CORE = ["urn:ietf:params:jmap:core"]
ECHO = json.dumps({"using": CORE, "methodCalls": [["Core/echo", {"a": 1}, "0"]]}).encode()
SIGNED_IN = {"Authorization": basic("alice@example.org")}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def unused(made: MadeServer) -> MadeServer:
    """A server with an account, whose application has had no request."""
    made.server.create_account("alice@example.org", PASSWORD)
    return made


@pytest.fixture
def front(made: MadeServer, alice: Jmap) -> Front:
    """The front of an application that has had its first request."""
    made.client.get("/healthz/live")
    found = made.app.extensions["flaskmail.front"]
    assert isinstance(found, Front)
    return found


@pytest.fixture
def on_the_long_way(front: Front, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths of the requests that Flask gets."""
    paths: list[str] = []
    following = front._next

    def noted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        paths.append(environ["PATH_INFO"])
        return following(environ, start_response)

    monkeypatch.setattr(front, "_next", noted)
    return paths


REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("POST", "/jmap/", SIGNED_IN | JSON, ECHO),
    ("POST", "/jmap/?a=b", SIGNED_IN | {"Content-Type": "application/json; charset=utf-8"}, ECHO),
    ("POST", "/jmap/", SIGNED_IN | JSON, b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["no","such","c"]]}'),
    ("POST", "/jmap/", SIGNED_IN | JSON, b"{"),
    ("POST", "/jmap/", SIGNED_IN | JSON, b"x" * 2001),
    ("POST", "/jmap/", SIGNED_IN, ECHO),
    ("POST", "/jmap/", SIGNED_IN | JSON | {"Content-Encoding": "gzip"}, ECHO),
    ("POST", "/jmap/", JSON, ECHO),
    ("POST", "/jmap/", JSON | {"Authorization": "Bearer no"}, ECHO),
    ("POST", "/jmap/", SIGNED_IN | JSON | {"Host": "a b"}, ECHO),
    ("GET", "/jmap/", SIGNED_IN, b""),
    ("OPTIONS", "/jmap/", SIGNED_IN, b""),
    ("GET", "/jmap/session", SIGNED_IN, b""),
    ("HEAD", "/jmap/session", SIGNED_IN, b""),
    ("GET", "/jmap/session", SIGNED_IN | {"If-None-Match": "*"}, b""),
    ("GET", "/.well-known/jmap", SIGNED_IN, b""),
    ("GET", "/.well-known/jmap", {"Sec-Fetch-Mode": "cors"}, b""),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS)
def test_both_ways_answer_the_same(front: Front, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    answers = []
    for application in (front, front._next):
        with Client(application).open(path, method=method, headers=headers, data=body) as response:
            answers.append((response.status_code, sorted(response.headers.items()), response.get_data()))
    assert answers[0] == answers[1]


UPLOADS: list[tuple[str, dict[str, str], bytes]] = [
    ("/jmap/upload/{}/", SIGNED_IN | {"Content-Type": "text/plain"}, b"octets"),
    ("/jmap/upload/{}/", SIGNED_IN, b""),
    ("/jmap/upload/{}/?a=b", SIGNED_IN | {"Content-Type": "no type"}, b"x" * 1500),
    ("/jmap/upload/{}", SIGNED_IN, b"octets"),
    ("/jmap/upload/{}//", SIGNED_IN, b"octets"),
    ("/jmap/upload/nobody/", SIGNED_IN, b"octets"),
    ("/jmap/upload/%20/", SIGNED_IN, b"octets"),
    ("/jmap/upload//", SIGNED_IN, b"octets"),
    ("/jmap/upload/{}/", {}, b"octets"),
    ("/jmap/upload/{}/", SIGNED_IN | {"Content-Encoding": "gzip"}, b"octets"),
    ("/jmap/upload/{}/", SIGNED_IN, b"x" * 100_000),
]


@pytest.mark.parametrize(("path", "headers", "body"), UPLOADS)
def test_uploads_are_answered_the_same(
    front: Front, alice: Jmap, path: str, headers: dict[str, str], body: bytes
) -> None:
    answers = []
    for application in (front, front._next):
        with Client(application).post(path.format(alice.id), headers=headers, data=body) as response:
            answers.append((response.status_code, sorted(response.headers.items()), response.get_data()))
    assert answers[0] == answers[1]


def test_only_what_goes_well_is_short(made: MadeServer, on_the_long_way: list[str]) -> None:
    assert made.client.post("/jmap/", data=ECHO, headers=SIGNED_IN | JSON).status_code == 200
    assert made.client.get("/.well-known/jmap", headers=SIGNED_IN).status_code == 200
    alice = made.server.directory.principals.get("alice@example.org").id
    assert made.client.post(f"/jmap/upload/{alice}/", data=b"octets", headers=SIGNED_IN).status_code == 201
    assert on_the_long_way == []
    assert made.client.post("/jmap/", data=ECHO, headers=JSON).status_code == 401
    assert made.client.get("/healthz/live").status_code == 200
    assert on_the_long_way == ["/jmap/", "/healthz/live"]


def _post(made: MadeServer) -> Response:
    made.client.get("/healthz/live")
    return made.client.post("/jmap/", data=ECHO, headers=SIGNED_IN | JSON)


def test_a_hook_of_somebody_else_sees_every_request(unused: MadeServer) -> None:
    @unused.app.after_request
    def marked(response: Response) -> Response:
        response.headers["X-Mark"] = "seen"
        return response

    assert _post(unused).headers["X-Mark"] == "seen"


def test_a_view_of_somebody_else_takes_the_route(unused: MadeServer) -> None:
    unused.app.view_functions["jmap.call"] = lambda: Response("mine")
    assert _post(unused).text == "mine"


def test_a_more_exact_rule_of_somebody_else_is_honoured() -> None:
    class Special:
        @hookimpl
        def register_blueprints(self, server: object) -> list[tuple[Blueprint, str]]:
            blueprint = Blueprint("special", __name__)
            blueprint.post("/jmap/upload/special/")(lambda: Response("mine"))
            return [(blueprint, "")]

    with make_server([Special()]) as made:
        made.client.get("/healthz/live")
        assert made.client.post("/jmap/upload/special/").text == "mine"


def test_the_configuration_of_flask_counts(unused: MadeServer) -> None:
    unused.app.config["TRUSTED_HOSTS"] = ["example.org"]
    assert _post(unused).status_code == 400


def test_signals_are_sent(front: Front, made: MadeServer) -> None:
    seen: list[Flask] = []

    def receive(app: Flask, **more: object) -> None:
        seen.append(app)

    _post(made)
    with request_started.connected_to(receive):
        _post(made)
    assert len(seen) == 2


def test_the_number_of_requests_at_once_is_counted_over_both_ways(
    made: MadeServer, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []

    def nested(environ: Any, limit: int) -> bytes:
        application = front._next if len(statuses) % 2 else front
        statuses.append(0)
        if len(statuses) < 3:
            reply = Client(application).open("/jmap/", method="POST", data=ECHO, headers=SIGNED_IN | JSON)
            statuses.append(reply.status_code)
        return ECHO

    monkeypatch.setattr(jmap, "read_body", nested)
    assert _post(made).status_code == 200
    # Two at once are allowed (conftest.py); the third, within the second, is refused.
    assert [status for status in statuses if status] == [400, 200]


def test_a_hook_of_another_blueprint_is_no_reason_for_the_long_way(unused: MadeServer) -> None:
    pages = Blueprint("others", __name__)
    pages.before_request(lambda: None)
    pages.add_url_rule("/others", "others", lambda: "other")
    unused.app.register_blueprint(pages)
    assert _post(unused).status_code == 200
    assert unused.app.extensions["flaskmail.front"]._is_plain


def test_a_hook_of_our_blueprint_is(unused: MadeServer) -> None:
    unused.app.before_request_funcs.setdefault("jmap", []).append(lambda: None)
    assert _post(unused).status_code == 200
    assert not unused.app.extensions["flaskmail.front"]._is_plain
