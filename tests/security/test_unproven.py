"""A header that proves nothing is no way around the limit of anonymous requests, and no harm to those who prove something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, Response, request

from flaskmail.errors import RequestError
from flaskmail.hookspecs import RateDecision, hookimpl
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.policy import HttpPolicy
from flaskmail.testing import MadeServer, basic, make_server

LIMIT = 5
CONFIG = f"""
[server.http]
use-x-forwarded = true
[server.http.rate-limit]
anonymous = "{LIMIT}/1h"
account = false
[oauth.client-registration]
enable = true
anonymous = true
"""
PATHS = [
    ("GET", "/jmap/session"),
    ("POST", "/jmap/"),
    ("GET", "/.well-known/jmap"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/robots.txt"),
    ("GET", "/api/principal"),
    ("GET", "/api/openapi.json"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/auth/token"),
    ("POST", "/auth/device"),
    ("POST", "/auth/register"),
    ("GET", "/auth/userinfo"),
    ("GET", "/auth/jwks.json"),
    ("GET", "/nowhere"),
    ("GET", "/api/nowhere"),
    ("DELETE", "/api/principal"),
    ("PUT", "/jmap/session"),
    ("POST", "/jmap/upload/x/"),
    ("GET", "/jmap/download/x/y/z"),
    ("GET", "/jmap/eventsource/"),
    ("GET", "/.well-known/mta-sts.txt"),
    ("GET", "/.well-known/flaskmail-doctor"),
    ("POST", "/auth/userinfo"),
    ("POST", "/auth/introspect"),
    ("POST", "/auth/revoke"),
    ("GET", "/metrics"),
    ("PUT", "/login"),
]
RUBBISH = ["Bearer fmt_wrong", "Bearer api_bm9ib2R5Ong=", "Bearer fma_x", "Basic !", "Nothing", basic("app", "wrong")]


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server(config=CONFIG) as made:
        made.server.create_account("ann@example.org", "correct horse battery")
        made.server.directory.oauth_clients.add(Client("web", "Web", (), GRANT_TYPES, "client_secret_basic"))
        yield made


def statuses(made: MadeServer, method: str, path: str, headers: dict[str, str], count: int) -> list[int]:
    kind = "application/json" if path.endswith("register") else "application/x-www-form-urlencoded"
    sent = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "Content-Type": kind} | headers
    return [made.send(method, path, sent, b"").status for _ in range(count)]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_it_is_counted_wherever_it_is_sent(made: MadeServer, method: str, path: str) -> None:
    got = statuses(made, method, path, {"Authorization": "Bearer fmt_wrong"}, LIMIT + 3)
    assert 429 not in got[:LIMIT]
    assert got[LIMIT:] == [429] * 3
    # Another client has a bucket of its own, and so have requests without any credentials.
    other = {"Authorization": "Bearer fmt_wrong", "X-Forwarded-For": "203.0.113.6"}
    assert statuses(made, method, path, other, 1) == got[:1]
    assert statuses(made, "GET", "/robots.txt", {}, LIMIT) == [200] * LIMIT


def test_headers_that_are_too_long_are_counted(made: MadeServer) -> None:
    for number, one in enumerate(("Bearer " + "x" * 5000, basic("ann@example.org", "x" * 1025))):
        sent = {"Authorization": one, "X-Forwarded-For": f"203.0.113.{number}"}
        assert statuses(made, "GET", "/jmap/session", sent, LIMIT + 2) == [400] * LIMIT + [429] * 2


def test_every_kind_of_rubbish_counts_together(made: MadeServer) -> None:
    got = [statuses(made, "GET", "/jmap/session", {"Authorization": one}, 1)[0] for one in RUBBISH]
    assert got == [401] * LIMIT + [429]


def test_the_answer_says_how_long_to_wait(made: MadeServer) -> None:
    sent = {"Authorization": "Bearer fmt_wrong", "X-Forwarded-For": "203.0.113.5"}
    replies = [made.send("GET", "/jmap/session", sent, b"") for _ in range(LIMIT + 1)]
    assert int(replies[-1].header("Retry-After") or "") > 0
    assert replies[-1].header("RateLimit-Policy") == f'"unproven";q={LIMIT};w=3600'
    assert replies[-1].header("Content-Type") == "application/problem+json"
    form = {"Authorization": basic("web", "wrong"), "Content-Type": "application/x-www-form-urlencoded"}
    refused = made.send("POST", "/auth/token", form | {"X-Forwarded-For": "203.0.113.5"}, b"grant_type=refresh_token")
    assert (refused.status, refused.json()["error"]) == (429, "temporarily_unavailable")
    assert int(refused.header("Retry-After") or "") > 0


def test_what_is_right_neither_waits_nor_counts(made: MadeServer) -> None:
    ann = made.server.directory.principals.get("ann@example.org")
    _, token = made.server.directory.tokens.create(ann)
    right = {"Authorization": f"Bearer {token}"}
    assert statuses(made, "GET", "/jmap/session", right, 3 * LIMIT) == [200] * 3 * LIMIT
    wrong = {"Authorization": "Bearer fmt_wrong"}
    assert statuses(made, "GET", "/jmap/session", wrong, LIMIT + 1) == [401] * LIMIT + [429]
    assert statuses(made, "GET", "/jmap/session", right, 3) == [200] * 3
    assert statuses(made, "GET", "/api/whoami", right, 3) == [200] * 3
    # Nor has it spent anything of what strangers may ask.
    assert statuses(made, "GET", "/robots.txt", {}, LIMIT + 1) == [200] * LIMIT + [429]


def test_a_client_that_proves_its_secret_is_not_counted(made: MadeServer) -> None:
    client, secret = made.server.directory.oauth_clients.add(
        Client("other", "Other", (), GRANT_TYPES, "client_secret_basic")
    )
    assert secret is not None
    sent = {"Authorization": basic(client.id, secret), "Content-Type": "application/x-www-form-urlencoded"}
    sent |= {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    for _ in range(2 * LIMIT):
        reply = made.send("POST", "/auth/token", sent, b"grant_type=refresh_token&refresh_token=x")
        assert (reply.status, reply.json()["error"]) == (400, "invalid_grant"), reply.body


class Counting:
    """Decides about limits itself, the first times."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    @hookimpl
    def rate_limit(self, principal: object) -> RateDecision | None:
        self.asked.append(principal)
        return {1: RateDecision(), 2: RateDecision(wait=7)}.get(len(self.asked))


def test_hook_rate_limit_is_asked_as_for_strangers() -> None:
    plugin = Counting()
    with make_server([plugin], f'[server.http.rate-limit]\nanonymous = "{LIMIT}/1h"\n') as made:
        sent, environ = {"Authorization": "Bearer fmt_wrong"}, {"REMOTE_ADDR": "203.0.113.5"}

        def ask(path: str, headers: dict[str, str]) -> Response:
            return made.client.get(path, headers=headers, environ_overrides=environ)  # type: ignore[return-value]

        replies = [ask("/jmap/session", sent) for _ in range(2)]
        assert [one.status_code for one in replies] == [401, 429]
        assert replies[1].headers["Retry-After"] == "7"
        # When it leaves the decision to the built-in limits, they count in the same bucket as without it.
        assert [ask("/jmap/session", sent).status_code for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
        assert ask("/robots.txt", {}).status_code == 200
        assert set(plugin.asked) == {None}


def test_in_an_application_of_somebody_else() -> None:
    app = Flask("theirs")
    policy = HttpPolicy(app, {"rate-limit": {"anonymous": f"{LIMIT}/1h"}})

    @app.get("/")
    def view() -> str:
        policy.spend_unproven(request.environ)
        return "ok"

    @app.errorhandler(RequestError)
    def refused(error: RequestError) -> tuple[str, int]:
        return error.detail, error.status

    def got(**headers: str) -> int:
        return app.test_client().get("/", headers=headers, environ_overrides={"REMOTE_ADDR": "203.0.113.5"}).status_code

    assert [got(Authorization="Bearer x") for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
    assert got() == 200
