"""The Host header and its forwarded kin never reach an answer: every route, every method, every kind of evil host."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from visiting import forms

from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import PASSWORD, MadeServer, Reply, basic, make_server

MARK = "evil-canary"
BASE = "https://mail.example.org"
CONFIG = f"""
[server.http]
url = "{BASE}"
[session.mta-sts]
mode = "testing"
mx = ["mx.example.org"]
[discovery.security-txt]
contact = ["mailto:security@example.org"]
[metrics.prometheus]
enable = true
[oauth.client-registration]
enable = true
anonymous = true
"""
EVIL = [
    {"Host": f"{MARK}.example"},
    {"Host": f"{MARK}.example:8443"},
    {"Host": f"mail.example.org.{MARK}.example"},
    {"X-Forwarded-Host": f"{MARK}.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "8443"},
    {"X-Forwarded-Prefix": f"/{MARK}", "X-Script-Name": f"/{MARK}"},
    {"Forwarded": f"for=192.0.2.1;host={MARK}.example;proto=http"},
    {"X-Original-Host": f"{MARK}.example", "X-Host": f"{MARK}.example", "X-HTTP-Host-Override": f"{MARK}.example"},
    {"X-Original-URL": f"/{MARK}", "X-Rewrite-URL": f"/{MARK}"},
    {"Referer": f"https://{MARK}.example/", "Origin": f"https://{MARK}.example"},
]
MALFORMED = [
    "a b",
    f"x@{MARK}.example",
    f"{MARK}.example/path",
    f"{MARK}.example:x",
    "[::1",
    f"{MARK} ,b",
    "[v1.x]",
    "\\",
]


@pytest.fixture(scope="module")
def made() -> Iterator[MadeServer]:
    with make_server(config=CONFIG) as made:
        made.server.create_account("ann@example.org", PASSWORD)
        made.server.ensure_admin()
        made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
        made.server.directory.oauth_clients.add(Client("app", "App", ("https://app.example/cb",), GRANT_TYPES))
        yield made


def routes(made: MadeServer) -> list[tuple[str, str]]:
    """Each method of each route, with something in the place of variables."""
    query = urlencode(
        {
            "client_id": "app",
            "redirect_uri": "https://app.example/cb",
            "response_type": "code",
            "code_challenge": challenge_of("v" * 43),
            "code_challenge_method": "S256",
        }
    )
    fill = {
        "<path:rest>": "principal",
        "<account_id>": "a",
        "<blob_id>": "b",
        "<flaskmail_name:name>": "n",
        "<int:since>": "1",
        "<file>": "x",
    }
    found = []
    for rule in made.app.url_map.iter_rules():
        path = rule.rule
        for name, value in fill.items():
            path = path.replace(name, value)
        assert "<" not in path, path
        for method in sorted((rule.methods or set()) | {"HEAD", "OPTIONS"}):
            found.append((method, path))
            if path == "/authorize" and method == "GET":
                found.append((method, f"{path}?{query}"))
    found += [("GET", path) for path in ("/", "/nowhere", "//", "/api", "/jmap", "/account/", "/.well-known/jmap/")]
    return [(method, path) for method, path in found if "logs/live" not in path]


def shown(reply: Reply) -> str:
    return reply.body.decode("utf-8", "replace") + "".join(f"{name}: {value}\n" for name, value in reply.headers)


@pytest.mark.parametrize("evil", EVIL, ids=lambda one: "+".join(one))
@pytest.mark.parametrize("who", [None, "ann@example.org", "admin"])
def test_no_answer_of_any_route_holds_it(made: MadeServer, evil: dict[str, str], who: str | None) -> None:
    known = {} if who is None else {"Authorization": basic(who)}
    for method, path in routes(made):
        reply = made.send(method, path, {**evil, **known}, b"")
        assert reply.status < 500 or reply.status == 503, (method, path)
        assert MARK not in shown(reply), (method, path, shown(reply))
        # The test client's own Host, where the table has none.
        assert "localhost" not in shown(reply) or path == "/api/openapi.json", (method, path, shown(reply))
        location = reply.header("Location")
        # A path of its own, or the configured base.
        assert (
            location is None
            or location.startswith((f"{BASE}/", "https://app.example/cb?"))
            or (location.startswith("/") and not location.startswith("//"))
        ), (method, path, location)


@pytest.mark.parametrize("evil", EVIL, ids=lambda one: "+".join(one))
def test_nor_do_pages_of_who_is_signed_in(made: MadeServer, evil: dict[str, str]) -> None:
    client, kind = made.app.test_client(), "application/x-www-form-urlencoded"
    # The cookie goes over https alone, so the browser speaks it.
    [form] = forms(client.get("/login", base_url=BASE).text)
    sent = form.fields | {"name": "ann@example.org", "password": PASSWORD}
    client.post("/login", base_url=BASE, data=urlencode(sent), content_type=kind, headers={"Origin": BASE})
    for method, path in routes(made):
        if method == "GET" and path.startswith(("/account", "/authorize", "/device", "/log")):
            with client.open(path, base_url=BASE, headers=evil) as page:
                text = page.get_data(as_text=True) + repr(list(page.headers))
            assert MARK not in text, path
    assert "ann@example.org" in client.get("/account", base_url=BASE).text


@pytest.mark.parametrize("host", MALFORMED)
def test_what_is_no_host_is_400(made: MadeServer, host: str) -> None:
    for path in (
        "/jmap/session",
        "/login",
        "/.well-known/openid-configuration",
        "/api/principal",
        "/nowhere",
        "/authorize",
    ):
        reply = made.client.get(path, environ_overrides={"HTTP_HOST": host})
        assert reply.status_code == 400, path
        assert MARK not in reply.text


def test_without_a_configured_url_it_is_not_taken_from_the_client_either() -> None:
    with make_server(config='[lookup.default]\nhostname = "mail.example.org"\n') as made:
        for path in (
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/login",
            "/account",
        ):
            for evil in EVIL:
                assert MARK not in shown(made.send("GET", path, evil, b"")), path
