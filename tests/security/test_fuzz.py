"""Whatever is sent to the OAuth endpoints and the pages, rubbish and secrets that are good: never an error of the server's.

And never an answer that the metadata does not tell of."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from visiting import Person, forms

from flaskmail.accounts.grants import Grant
from flaskmail.config.oauth import OAuthExpiry
from flaskmail.oauth.authorization import AuthorizationRequest
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import PASSWORD, MadeServer, make_server

ANN = "ann@example.org"
URI = "https://app.example/cb"
VERIFIER = "v" * 43
SCOPE = "openid offline_access urn:ietf:params:jmap:core urn:ietf:params:jmap:mail"
CONFIG = """
[authentication]
fail-rate = "1000000/1m"
[oauth.client-registration]
enable = true
anonymous = true
"""
ASK = {
    "client_id": "app",
    "redirect_uri": URI,
    "response_type": "code",
    "scope": SCOPE,
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}
ERRORS = {
    # RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, RFC 7591 section 3.2.2, OpenID Connect Core section 3.1.2.6.
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable"),
    *("authorization_pending", "slow_down", "expired_token", "invalid_redirect_uri", "invalid_client_metadata"),
    *("login_required", "consent_required", "interaction_required", "request_not_supported"),
    *("request_uri_not_supported", "registration_not_supported", "account_selection_required"),
}


STANDS_FOR = {"@form", "@secret", "@basic", "@bearer", "@code", "@refresh", "@access", "@device", "@user_code"}


class World:
    """A server, a client with a secret and one without, somebody who is signed in, and values that are good now."""

    def __init__(self, made: MadeServer) -> None:
        self.made = made
        made.server.create_account(ANN, PASSWORD)
        directory = made.server.directory
        self.ann = replace(directory.principals.get(ANN), grant=Grant("session", authenticated=int(time.time())))
        self.app, _ = directory.oauth_clients.add(Client("app", "App", (URI,), GRANT_TYPES, native=True))
        _, secret = directory.oauth_clients.add(Client("web", "Web", (URI,), GRANT_TYPES, "client_secret_basic"))
        assert secret is not None
        self.secret = secret
        self.person = Person(made.app.test_client())
        self.sign_in()
        self.metadata = made.send("GET", "/.well-known/openid-configuration", {}, b"").json()
        self.rules = [
            (rule.rule.replace("<int:since>", "1").replace("<file>", "style.css"), method)
            for rule in made.app.url_map.iter_rules()
            if rule.endpoint.startswith(("flaskmail-oauth.", "flaskmail-pages."))
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]

    def sign_in(self) -> None:
        self.person = Person(self.made.app.test_client())
        assert self.person.sign_in(ANN).status_code == 303
        self.person.get("/account")

    def value(self, text: str) -> str:
        """What stands for a value that is good at the moment."""
        if text not in STANDS_FOR:
            return text
        oauth, directory = self.made.server.oauth, self.made.server.directory
        if text == "@form":
            if self.person.get("/account").status_code != 200:
                self.sign_in()
            return forms(self.person.page.text)[0].fields["token"]
        if text == "@secret":
            return self.secret
        if text == "@basic":
            return "Basic " + base64.b64encode(f"web:{self.secret}".encode()).decode()
        if text in ("@device", "@user_code"):
            codes = directory.oauth_devices.begin(self.app, tuple(SCOPE.split()), 600)
            return codes.device_code if text == "@device" else codes.user_code
        request = oauth.authorization_request(urlencode(ASK).encode(), "http://localhost")
        assert isinstance(request, AuthorizationRequest)
        code = parse_qs(urlsplit(oauth.approve(request, self.ann)).query)["code"][0]
        if text == "@code":
            return code
        issued = directory.oauth_tokens.redeem_code(code, self.app, URI, VERIFIER, OAuthExpiry())
        assert issued.refresh is not None
        return {"@refresh": issued.refresh, "@access": issued.access, "@bearer": f"Bearer {issued.access}"}[text]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_server(config=CONFIG) as made:
        yield World(made)


GOOD = {
    "client_id": ["app", "web"],
    "client_secret": ["@secret"],
    "redirect_uri": [URI],
    "grant_type": [*GRANT_TYPES, "password", "client_credentials", "implicit"],
    "response_type": ["code", "token", "id_token", "code id_token", "none"],
    "response_mode": ["query", "fragment", "form_post"],
    "code": ["@code", "000000"],
    "code_verifier": [VERIFIER, "v" * 42],
    "code_challenge": [challenge_of(VERIFIER)],
    "code_challenge_method": ["S256", "plain"],
    "refresh_token": ["@refresh"],
    "device_code": ["@device"],
    "user_code": ["@user_code"],
    "scope": [SCOPE, "openid", "urn:flaskmail:management", "nothing"],
    "state": ["s", "x" * 2000],
    "nonce": ["n"],
    "prompt": ["none", "login", "consent", "none login"],
    "max_age": ["0", "-1", "99999999999999999999"],
    "request": ["e30.e30.", urlencode(ASK)],
    "claims": ["{}"],
    "token": ["@access", "@refresh", "@form"],
    "token_type_hint": ["access_token", "refresh_token"],
    "decision": ["allow", "deny"],
    "since": ["1", "99999999999"],
    "next": ["/account", "//evil.example", "/authorize?" + urlencode(ASK)],
    "name": [ANN],
    "password": [PASSWORD],
    "id": ["x"],
    "days": ["30"],
    "scope-0": ["1"],
}
TEXT = st.text(max_size=12)


def one_field(name: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(name), st.one_of(st.sampled_from(GOOD[name]), st.sampled_from(GOOD[name]), TEXT))


FIELDS = st.lists(st.one_of(st.sampled_from(sorted(GOOD)).flatmap(one_field), st.tuples(TEXT, TEXT)), max_size=9)
WHOLE: list[list[tuple[str, str]]] = [
    list(ASK.items()),
    [
        ("grant_type", GRANT_TYPES[0]),
        ("client_id", "app"),
        ("code", "@code"),
        ("redirect_uri", URI),
        ("code_verifier", VERIFIER),
    ],
    [("grant_type", GRANT_TYPES[1]), ("client_id", "app"), ("refresh_token", "@refresh")],
    [("grant_type", GRANT_TYPES[2]), ("client_id", "app"), ("device_code", "@device")],
    [("client_id", "app"), ("token", "@access")],
    [("client_id", "app"), ("scope", SCOPE)],
    [("token", "@form"), ("user_code", "@user_code"), ("decision", "allow")],
    [("token", "@form"), ("request", urlencode(ASK)), ("decision", "allow"), ("since", "99999999999")],
]
"""What works as it stands; the fuzzer adds to it."""
SENT = {
    "route": st.integers(0, 999),
    "base": st.one_of(st.just([]), st.sampled_from(WHOLE)),
    "more": FIELDS,
    "drop": st.integers(0, 12),
    "form": st.sampled_from([True, True, True, False]),
    "raw": st.one_of(
        st.none(), st.none(), st.none(), st.binary(max_size=40), st.just(json.dumps({"redirect_uris": [URI]}).encode())
    ),
    "headers": st.fixed_dictionaries(
        {},
        optional={
            "Authorization": st.sampled_from(["@basic", "@bearer", "Basic !", "Bearer x", "Bearer", "DPoP x", "\xff"]),
            "Content-Type": st.sampled_from(
                ["application/json", "text/plain", "", "application/x-www-form-urlencoded;charset=x"]
            ),
            "Origin": st.sampled_from(["null", "https://evil.example"]),
            "Accept": st.sampled_from(["text/html", "*/*;q=x"]),
            "If-None-Match": st.sampled_from(["*", '"x"']),
            "Content-Encoding": st.sampled_from(["gzip", "identity"]),
        },
    ),
    "known": st.booleans(),
}


def look(world: World, **sent: Any) -> None:
    """Sends it, and looks whether the answer can be."""
    path, method = world.rules[sent["route"] % len(world.rules)]
    pairs = [*sent["base"], *sent["more"]]
    if sent["drop"] < len(pairs):
        pairs.pop(sent["drop"])
    body = urlencode([(name, world.value(value)) for name, value in pairs], errors="replace")
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if method != "GET" else {}
    headers |= {name: world.value(value) for name, value in sent["headers"].items()}
    client = world.person.client if sent["known"] else world.made.app.test_client()
    in_query = not sent["form"] or method == "GET"
    with client.open(
        path,
        method=method,
        query_string=body if in_query else "",
        data=sent["raw"] if sent["raw"] is not None else b"" if in_query else body.encode(),
        headers=headers,
    ) as answered:
        judge(world, path, method, answered.status_code, dict(answered.headers), answered.get_data())


def judge(world: World, path: str, method: str, status: int, headers: dict[str, str], body: bytes) -> None:
    metadata, which = world.metadata, (path, method, status, body[:300])
    assert status < 500 or (status == 503 and "Retry-After" in headers), which
    assert b"Traceback" not in body, which
    location = headers.get("Location")
    if location is not None:
        assert status == 303, which
        assert location.isascii(), which
        assert not set("\r\n\\") & set(location), which
        if not location.startswith("/") or location.startswith("//"):
            assert location.startswith(f"{URI}?"), (which, location)
            told = parse_qs(urlsplit(location).query)
            # RFC 9207 section 2: on success and on errors.
            assert told["iss"] == [metadata["issuer"]], (which, location)
            assert ("code" in told) != ("error" in told), (which, location)
            assert set(told.get("error", [])) <= ERRORS, (which, location)
            assert "#" not in location
            assert "query" in metadata["response_modes_supported"]
    if not path.startswith("/auth/"):
        return
    if status == 405:
        assert headers["Allow"], which
        return
    if path != "/auth/jwks.json":
        assert headers["Cache-Control"] == "no-store", which
    if not body:
        # The keys have an entity tag.
        assert (path, status) in (("/auth/revoke", 200), ("/auth/jwks.json", 304)), which
        return
    found = json.loads(body)
    if status >= 400 and "error" in found and path != "/auth/userinfo":
        assert found["error"] in ERRORS, which
        assert found["error_description"].isascii(), which
        assert status in (400, 401, 403, 413, 415, 429, 503), which
        assert (status == 401) == ("WWW-Authenticate" in headers), which
    elif status >= 400:
        assert headers["Content-Type"] == "application/problem+json", which
        assert found["status"] == status, which
    elif path == "/auth/token":
        assert found["token_type"] == "Bearer", which
        assert found["expires_in"] > 0, which
        assert set(found["scope"].split()) <= set(metadata["scopes_supported"]), which
        assert ("id_token" in found) == ("openid" in found["scope"].split()), which
        if "id_token" in found:
            head = json.loads(base64.urlsafe_b64decode(found["id_token"].split(".")[0] + "=="))
            claims = json.loads(base64.urlsafe_b64decode(found["id_token"].split(".")[1] + "=="))
            assert head["alg"] in metadata["id_token_signing_alg_values_supported"], which
            assert claims["iss"] == metadata["issuer"], which
            assert claims.keys() <= set(metadata["claims_supported"]), which
    elif path == "/auth/device":
        assert found["verification_uri"].startswith(metadata["issuer"]), which
    elif path == "/auth/introspect":
        assert found == {"active": False} or (found["active"] and found["iss"] == metadata["issuer"]), which
    elif path == "/auth/userinfo":
        assert found.keys() <= set(metadata["claims_supported"]), which
    elif path == "/auth/register":
        assert status == 201, which
        assert set(found["grant_types"]) <= set(metadata["grant_types_supported"]), which
        assert found["token_endpoint_auth_method"] in metadata["token_endpoint_auth_methods_supported"], which
        assert set(found["response_types"]) <= set(metadata["response_types_supported"]), which
        assert all(uri == URI for uri in found["redirect_uris"]), which


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(**SENT)
def test_whatever_is_sent(world: World, **sent: Any) -> None:
    look(world, **sent)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(**SENT)
def test_whatever_is_sent_for_long(world: World, **sent: Any) -> None:
    look(world, **sent)


@pytest.mark.parametrize("base", WHOLE, ids=lambda base: base[0][1][:20] + str(len(base)))
def test_what_the_fuzzer_begins_with_works(world: World, base: list[tuple[str, str]]) -> None:
    fields = dict(base)
    path = {
        "grant_type": "/auth/token",
        "redirect_uri": "/authorize",
        "scope": "/auth/device",
    }.get(next((name for name in ("grant_type", "redirect_uri", "scope") if name in fields), ""), "/auth/revoke")
    if "decision" in fields:
        path = "/consent" if "request" in fields else "/device/answer"
    method = "GET" if path == "/authorize" else "POST"
    route = world.rules.index((path, method))
    look(world, route=route, base=base, more=[], drop=99, form=True, raw=None, headers={}, known=True)
    body = {name: world.value(value) for name, value in base}
    if path == "/authorize":
        assert world.person.get(f"/authorize?{urlencode(body)}").status_code in (200, 303)
    else:
        answered = world.person.post(path, body)
        pending = b"authorization_pending" in answered.data
        assert answered.status_code in (200, 303) or pending, answered.data
