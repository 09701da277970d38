"""What is published, and that it is true: every member of every document is tried."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from flask import Flask
from visiting import Person
from werkzeug.test import TestResponse

from flaskmail import sockets
from flaskmail.config.listening import Listener
from flaskmail.hookspecs import hookimpl
from flaskmail.oauth.clients import Client
from flaskmail.policy import HttpPolicy
from flaskmail.server import Server
from flaskmail.testing import MadeServer, Reply, basic, make_server
from flaskmail.web import discovery_blueprint, jmap_blueprint

BASE = "https://mail.example.org"
CONFIG = f"""
[server.http]
url = "{BASE}"
[session.mta-sts]
mode = "testing"
mx = ["mx.example.org"]
[discovery.security-txt]
contact = ["mailto:security@example.org"]
[discovery.autoconfig]
display-name = "Mail <&> more"
[discovery.autoconfig.imap]
hostname = "imap.example.org"
[metrics.prometheus]
enable = true
networks = ["loopback"]
[oauth.client-registration]
enable = true
anonymous = true
"""
OAUTH = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
)
TEXTS = ("/.well-known/security.txt", "/.well-known/mta-sts.txt", "/robots.txt")
XML = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
PUBLISHED = (*OAUTH, *TEXTS, *XML, "/auth/jwks.json")


@pytest.fixture
def full() -> Iterator[MadeServer]:
    with make_server(config=CONFIG) as made:
        made.account("alice@example.org")
        yield made


def get(made: MadeServer, path: str, **headers: str) -> Reply:
    return made.send("GET", path, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def document(made: MadeServer, path: str) -> dict[str, Any]:
    reply = get(made, path)
    assert reply.status == 200, reply
    found: dict[str, Any] = reply.json()
    return found


# ---- how they are served


@pytest.mark.parametrize("path", PUBLISHED)
def test_everybody_may_read_and_caches_may_keep_it(full: MadeServer, path: str) -> None:
    reply = get(full, path, Origin="https://somewhere.example")
    assert reply.status == 200
    assert reply.all("Access-Control-Allow-Origin") == ["*"]
    assert re.fullmatch(r"public, max-age=\d+", reply.header("Cache-Control") or "")
    assert reply.all("X-Content-Type-Options") == ["nosniff"]
    etag = reply.header("ETag") or ""
    again = get(full, path, If_None_Match=etag)
    assert (again.status, again.body, again.header("ETag")) == (304, b"", etag)
    assert again.all("Access-Control-Allow-Origin") == ["*"]
    assert get(full, path, If_None_Match='"other"').status == 200


@pytest.mark.parametrize("path", [*PUBLISHED, "/.well-known/change-password", "/metrics", "/healthz/live"])
def test_head_is_get_without_a_body(full: MadeServer, path: str) -> None:
    got, head = get(full, path), full.send("HEAD", path, {}, b"")
    assert (head.status, head.body) == (got.status, b"")
    assert head.header("Content-Type") == got.header("Content-Type")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = full.send(method, path, {}, b"")
        assert refused.status == 405
        assert "GET" in (refused.header("Allow") or "")


def test_a_preflight_is_granted(full: MadeServer) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    for path in PUBLISHED:
        reply = full.send("OPTIONS", path, asked, b"")
        assert (reply.status, reply.body) == (204, b"")
        assert reply.all("Access-Control-Allow-Origin") == ["*"]
        assert reply.header("Access-Control-Allow-Methods") == "GET, HEAD"
        assert full.send("OPTIONS", path, {}, b"").header("Allow") == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("settings", "origin", "granted"),
    [
        ("permissive-cors = true", "https://a.example", ["*"]),
        ('cors-origins = ["https://a.example"]', "https://a.example", ["https://a.example"]),
        ('cors-origins = ["https://a.example"]', "https://b.example", []),
        ('cors-exclude = ["/.well-known"]', "https://b.example", []),
        ('cors-origins = ["https://a.example"]\ncors-exclude = ["/.well-known"]', "https://a.example", []),
    ],
)
def test_what_settings_say_of_origins_is_said_once(settings: str, origin: str, granted: list[str]) -> None:
    """Documents are for every origin, unless the path never gets CORS; preflights are answered before it is known whether there
    is a document."""
    document = [] if "cors-exclude" in settings else ["*"]
    with make_server(config=f'[server.http]\nurl = "{BASE}"\n{settings}\n') as made:
        if document:
            assert get(made, "/jmap/session", Origin=origin).all("Access-Control-Allow-Origin") == granted
        for path in OAUTH:
            reply = get(made, path, Origin=origin)
            assert reply.all("Access-Control-Allow-Origin") == document
            assert "Origin" not in (reply.header("Vary") or "")
            unchanged = get(made, path, **{"Origin": origin, "If-None-Match": reply.header("ETag")})
            assert (unchanged.status, unchanged.all("Access-Control-Allow-Origin")) == (304, document)
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            assert made.send("OPTIONS", path, asked, b"").all("Access-Control-Allow-Origin") == granted


def test_every_url_comes_from_the_setting(full: MadeServer) -> None:
    for path in (*PUBLISHED, "/.well-known/change-password", "/.well-known/jmap", "/nowhere"):
        for evil in ("evil.example", "evil.example:8443", "mail.example.org.evil.example"):
            headers = {"Host": evil, "X-Forwarded-Host": evil, "Forwarded": f"host={evil}", "X-Original-Host": evil}
            reply = full.send("GET", path, headers, b"")
            assert evil.partition(":")[0] not in reply.body.decode()
            assert "evil" not in repr(reply.headers)
            assert b"localhost" not in reply.body


def test_what_is_not_configured_is_not_there() -> None:
    with make_server(config=f'[server.http]\nurl = "{BASE}"\n[discovery.autoconfig]\nenable = false\n') as made:
        for path in ("/.well-known/security.txt", "/.well-known/mta-sts.txt", *XML, "/metrics", "/metrics/prometheus"):
            reply = get(made, path)
            assert (reply.status, reply.header("Content-Type")) == (404, "application/problem+json"), path
        # "A Well-Known URL for Changing Passwords" (W3C) has clients try this one, to find servers that answer everything.
        assert (
            get(made, "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").status == 404
        )


def test_where_tokens_may_not_travel_there_is_no_authorization_server() -> None:
    with make_server(config='[server.http]\nurl = "http://mail.example.org"\n') as made:
        assert [get(made, path).status for path in OAUTH] == [404] * 3
        assert "resource_metadata" not in repr(get(made, "/jmap/session").headers)


# ---- the texts


def test_security_txt(full: MadeServer) -> None:
    reply = get(full, "/.well-known/security.txt")
    assert reply.header("Content-Type") == "text/plain; charset=utf-8"
    fields = dict(one.split(": ", 1) for one in reply.body.decode().splitlines())
    assert fields["Contact"] == "mailto:security@example.org"
    assert fields["Canonical"] == f"{BASE}/.well-known/security.txt"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", fields["Expires"])


def test_mta_sts_is_the_same_for_every_host(full: MadeServer) -> None:
    found = {
        full.send("GET", "/.well-known/mta-sts.txt", {"Host": f"mta-sts.{d}"}, b"").body
        for d in ("a.example", "b.example")
    }
    assert found == {b"version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\nmax_age: 604800\r\n"}


@pytest.mark.parametrize(
    ("routes", "there"),
    [(["discovery"], set()), (["oauth", "discovery"], set(OAUTH)), (["oauth"], None)],
)
def test_what_no_listener_serves_is_not_promised(routes: list[str], there: set[str] | None) -> None:
    with make_server(config=f'[server.http]\nurl = "{BASE}"\n') as made:
        sockets.opened([], {"a": Listener(routes=tuple(routes)), "b": Listener(routes=("jmap", "health"))})
        try:
            if there is not None:
                assert {path for path in OAUTH if get(made, path).status == 200} == there
            challenge = get(made, "/jmap/session").header("WWW-Authenticate")
            assert ("resource_metadata" in challenge) == bool(there)
        finally:
            sockets.opened([], {})


def test_mta_sts_names_the_hosts_that_take_mail_in() -> None:
    config = '[session.mta-sts]\nmode = "enforce"\n{}[dns]\nmx = ["10 mx1.example.org", "mx2.Example.org"]\n'
    with make_server(config=config.format("")) as made:
        hosts = [one for one in get(made, "/.well-known/mta-sts.txt").body.split(b"\r\n") if one.startswith(b"mx: ")]
        assert hosts == [b"mx: mx1.example.org", b"mx: mx2.example.org"]


def test_the_page_for_a_new_password_is_a_redirect_to_what_is_there(full: MadeServer) -> None:
    reply = get(full, "/.well-known/change-password")
    assert (reply.status, reply.header("Location")) == (303, f"{BASE}/account/password")
    assert reply.header("Cache-Control") == "no-cache"
    # Who is not signed in is sent to do so first.
    assert get(full, "/account/password").status in (200, 302, 303)


# ---- mail programs


def test_mail_programs_are_told_what_is_served(full: MadeServer) -> None:
    for path in XML:
        reply = get(full, f"{path}?emailaddress=alice%40Example.ORG&x=1")
        assert reply.header("Content-Type") == "text/xml; charset=utf-8"
        root = ElementTree.fromstring(reply.body)
        assert root.findtext("emailProvider/domain") == "example.org"
        assert root.findtext("emailProvider/displayName") == "Mail <&> more"
        servers = root.findall("emailProvider/incomingServer")
        assert [one.get("type") for one in servers] == ["jmap", "imap"]
        assert root.findall("emailProvider/outgoingServer") == []
        url = servers[0].findtext("url") or ""
        assert get(full, url.removeprefix(BASE), Authorization=basic("alice@example.org")).status == 200
        assert [one.text for one in servers[0].findall("authentication")] == ["OAuth2", "Basic"]
        metadata = document(full, OAUTH[0])
        assert root.findtext("oAuth2/issuer") == metadata["issuer"]
        assert root.findtext("oAuth2/tokenURL") == metadata["token_endpoint"]
        assert set((root.findtext("oAuth2/scope") or "").split()) <= set(metadata["scopes_supported"])


@pytest.mark.parametrize(
    "address", ["x@elsewhere.example", "<script>", "a@b@c", "@", "%00@%ff", "x@" + "a" * 5000, "''"]
)
def test_addresses_that_are_not_ours(full: MadeServer, address: str) -> None:
    reply = get(full, f"{XML[0]}?emailaddress={address}")
    assert reply.status == 404
    assert b"script" not in reply.body


def test_without_an_address_the_only_domain_is_meant(full: MadeServer) -> None:
    def domain() -> str | None:
        return ElementTree.fromstring(get(full, XML[0]).body).findtext("emailProvider/domain")

    assert domain() == "example.org"
    full.server.directory.domains.create("example.net")
    assert domain() == "mail.example.org"


@pytest.mark.parametrize(
    ("basic_allowed", "registration", "methods"),
    [("true", "false", ["Basic"]), ("true", "true", ["OAuth2", "Basic"]), ("false", "false", ["OAuth2"])],
)
def test_mail_programs_are_told_how_they_may_sign_in(basic_allowed: str, registration: str, methods: list[str]) -> None:
    config = f'[server.http]\nurl = "{BASE}"\n[authentication]\nbasic = {basic_allowed}\n'
    with make_server(
        config=f"{config}[oauth.client-registration]\nenable = true\nanonymous = {registration}\n"
    ) as made:
        root = ElementTree.fromstring(get(made, XML[0]).body)
        assert [one.text for one in root.iter("authentication")] == methods
        assert (root.find("oAuth2") is not None) == ("OAuth2" in methods)


# ---- OAuth: every member is tried


def endpoints(found: dict[str, Any]) -> dict[str, str]:
    return {name: url for name, url in found.items() if name.endswith("_endpoint") or name == "jwks_uri"}


def post(made: MadeServer, url: str, body: str, **headers: str) -> Reply:
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return made.send("POST", url.removeprefix(BASE), form, body.encode())


@pytest.mark.parametrize("path", OAUTH[:2])
def test_every_endpoint_answers(full: MadeServer, path: str) -> None:
    found = document(full, path)
    assert found["issuer"] == BASE
    assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"} <= set(endpoints(found))
    for name, url in endpoints(found).items():
        assert url.startswith(f"{BASE}/")
        there = urlsplit(url).path
        method = "GET" if name in ("authorization_endpoint", "userinfo_endpoint", "jwks_uri") else "POST"
        reply = full.send(method, there, {}, b"")
        assert reply.status in (200, 400, 401, 403, 415), (name, reply)
        other = full.send("DELETE", there, {}, b"")
        assert other.status == 405, (name, other)


@pytest.mark.parametrize("path", OAUTH[:2])
def test_grant_types_that_are_named_are_known_and_no_others(full: MadeServer, path: str) -> None:
    found = document(full, path)
    named = set(found["grant_types_supported"])
    others = {"password", "implicit", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "none"}
    assert not named & others
    client = register(full, {})["client_id"]
    for grant in named | others:
        reply = post(full, found["token_endpoint"], f"grant_type={grant}&client_id={client}")
        assert reply.status == 400
        assert (reply.json()["error"] == "unsupported_grant_type") == (grant in others), (grant, reply)


def register(made: MadeServer, more: dict[str, Any]) -> dict[str, Any]:
    body = {"redirect_uris": ["http://127.0.0.1/back"], "token_endpoint_auth_method": "none", "client_name": "Test"}
    body |= {"grant_types": ["authorization_code", "refresh_token"]} | more
    there = document(made, OAUTH[0])["registration_endpoint"].removeprefix(BASE)
    reply = made.send("POST", there, {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert reply.status == 201, reply
    registered: dict[str, Any] = reply.json()
    return registered


def test_ways_to_prove_a_client_that_are_named_work_and_no_others(full: MadeServer) -> None:
    found = document(full, OAUTH[0])
    for method in found["token_endpoint_auth_methods_supported"]:
        client = register(full, {"token_endpoint_auth_method": method})
        form = f"grant_type=refresh_token&refresh_token=wrong&client_id={client['client_id']}"
        headers = {}
        if method == "client_secret_basic":
            pair = f"{client['client_id']}:{client['client_secret']}".encode()
            headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
            form = "grant_type=refresh_token&refresh_token=wrong"
        elif method == "client_secret_post":
            form += f"&client_secret={client['client_secret']}"
        # The client is who it says, so that what is wrong is the grant.
        assert post(full, found["token_endpoint"], form, **headers).json()["error"] == "invalid_grant", method
        assert (
            post(full, found["revocation_endpoint"], form.replace("refresh_token=", "token="), **headers).status == 200
        )
    body = {"redirect_uris": ["http://127.0.0.1/b"], "token_endpoint_auth_method": "private_key_jwt"}
    there = found["registration_endpoint"].removeprefix(BASE)
    refused = full.send("POST", there, {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert 400 <= refused.status < 500


def test_introspection_is_for_clients_with_a_secret_as_the_metadata_says(full: MadeServer) -> None:
    found = document(full, OAUTH[0])
    named = found["introspection_endpoint_auth_methods_supported"]
    assert "none" not in named
    public = register(full, {})["client_id"]
    refused = post(full, found["introspection_endpoint"], f"token=x&client_id={public}")
    # RFC 6749 section 5.2 has 401 for those who came with an Authorization header, and allows it for others.
    assert refused.status in (400, 401)
    assert refused.json()["error"] == "invalid_client"
    client = register(full, {"token_endpoint_auth_method": "client_secret_post"})
    form = f"token=x&client_id={client['client_id']}&client_secret={client['client_secret']}"
    assert post(full, found["introspection_endpoint"], form).json() == {"active": False}


def test_devices_are_sent_to_a_page_that_is_there(full: MadeServer) -> None:
    found = document(full, OAUTH[0])
    device = "urn:ietf:params:oauth:grant-type:device_code"
    assert device in found["grant_types_supported"]
    client = register(full, {"grant_types": [device], "redirect_uris": []})["client_id"]
    reply = post(full, found["device_authorization_endpoint"], f"client_id={client}").json()
    for name in ("verification_uri", "verification_uri_complete"):
        assert reply[name].startswith(f"{BASE}/")
        assert get(full, reply[name].removeprefix(BASE)).status in (200, 302, 303)
    form = f"grant_type={device}&client_id={client}&device_code={reply['device_code']}"
    assert post(full, found["token_endpoint"], form).json()["error"] == "authorization_pending"


def test_the_authorization_endpoint_takes_what_is_named_and_nothing_else(full: MadeServer) -> None:
    found = document(full, OAUTH[0])
    client = full.server.directory.oauth_clients.add(Client("", "Test", ("http://127.0.0.1/back",)))[0].id
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    there = found["authorization_endpoint"].removeprefix(BASE)
    # A wrong request leads back to the application for whoever is signed in only.
    person = Person(full.app.test_client())
    person.sign_in("alice@example.org")

    def ask(response_type: str = "code", method: str = "S256", scope: str = "openid") -> TestResponse:
        return person.get(
            f"{there}?client_id={client}&redirect_uri=http://127.0.0.1/back&response_type={response_type}&state=s"
            f"&scope={scope}&code_challenge={challenge}&code_challenge_method={method}",
        )

    def error(reply: TestResponse) -> str | None:
        match = re.search(r"[?&]error=(\w+)", reply.headers.get("Location", ""))
        return match[1] if match else None

    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    for scope in found["scopes_supported"]:
        asked = ask(scope=scope)
        assert asked.status_code in (200, 302, 303)
        assert error(asked) is None, (scope, asked)
    for wrong, reply in {
        "unsupported_response_type": ask(response_type="token"),
        "invalid_request": ask(method="plain"),
        "invalid_scope": ask(scope="everything"),
    }.items():
        assert error(reply) == wrong, reply
        if found["authorization_response_iss_parameter_supported"]:
            # RFC 9207 section 2: in errors too.
            assert f"iss={BASE.replace(':', '%3A').replace('/', '%2F')}" in reply.headers["Location"]


def test_the_keys_are_of_the_algorithms_that_are_named(full: MadeServer) -> None:
    found = document(full, OAUTH[1])
    keys = get(full, found["jwks_uri"].removeprefix(BASE)).json()["keys"]
    assert {one["alg"] for one in keys} <= set(found["id_token_signing_alg_values_supported"])
    assert {one["kty"] for one in keys} <= {"RSA", "EC", "OKP"}
    assert not any({"d", "p", "q", "k"} & set(one) for one in keys)
    # OpenID Connect Discovery section 3 requires it.
    assert "RS256" in found["id_token_signing_alg_values_supported"]


def test_the_documents_of_one_server_agree(full: MadeServer) -> None:
    oauth, openid, resource = (document(full, path) for path in OAUTH)
    assert {name: openid[name] for name in oauth} == oauth
    assert resource["authorization_servers"] == [oauth["issuer"]]
    assert resource["scopes_supported"] == oauth["scopes_supported"]
    assert resource["resource"] == BASE


def test_who_is_not_known_is_told_where_to_ask(full: MadeServer) -> None:
    for path in ("/.well-known/jmap", "/jmap/session", "/jmap/"):
        reply = full.send("POST" if path == "/jmap/" else "GET", path, {}, b"")
        [url] = re.findall(r'resource_metadata="([^"]+)"', reply.header("WWW-Authenticate") or "")
        # RFC 9728 section 3.3: the name of the resource is the address that was asked.
        assert document(full, url.removeprefix(BASE))["resource"] == BASE + path
    reply = get(full, "/api/whoami")
    [url] = re.findall(r'resource_metadata="([^"]+)"', reply.header("WWW-Authenticate") or "")
    assert document(full, url.removeprefix(BASE))["resource"] == BASE
    for rest in ("/x", "/jmap", "/jmap/session/", "/healthz/live"):
        assert get(full, OAUTH[2] + rest).status == 404, rest


def test_a_server_below_a_path_is_found_there() -> None:
    with make_server(config='[server.http]\nurl = "https://example.org/mail"\n') as made:
        for path in OAUTH[:2]:
            found = document(made, path)
            assert found["issuer"] == "https://example.org/mail"
            assert found["token_endpoint"] == "https://example.org/mail/auth/token"
        # RFC 8414 section 3.1 puts the issuer's path behind the well-known part.
        assert document(made, f"{OAUTH[0]}/mail")["issuer"] == "https://example.org/mail"
        assert document(made, f"{OAUTH[2]}/mail")["resource"] == "https://example.org/mail"
        assert document(made, f"{OAUTH[2]}/mail/jmap/session")["resource"] == "https://example.org/mail/jmap/session"
        assert get(made, f"{OAUTH[0]}/other").status == 404


def test_an_application_without_the_endpoints_promises_none(tmp_path: Any) -> None:
    with make_server(config=CONFIG) as made:
        server: Server = made.server
        app = Flask("other")
        app.register_blueprint(discovery_blueprint(server))
        app.register_blueprint(jmap_blueprint(server))
        HttpPolicy(app, {"url": BASE})
        client = app.test_client()
        assert [client.get(path).status_code for path in OAUTH] == [404] * 3
        assert client.get("/.well-known/change-password").status_code == 404
        assert "resource_metadata" not in client.get("/jmap/session").headers["WWW-Authenticate"]
        assert client.get("/.well-known/security.txt").status_code == 200
        # These are not for a blueprint to say.
        assert client.get("/robots.txt").status_code == client.get("/metrics").status_code == 404


# ---- plugins


class Extra:
    seen: list[str]

    def __init__(self) -> None:
        self.seen = []

    @hookimpl
    def discovery_metadata(self, server: Any, document: Any, kind: str) -> dict[str, Any]:
        self.seen.append(kind)
        return {"issuer": "https://evil.example", "op_policy_uri": f"{document.get('issuer')}/policy"}


class Odd:
    @hookimpl
    def discovery_metadata(self, server: Any, document: Any, kind: str) -> dict[str, Any]:
        return {"service_documentation": "https://docs.example", "bad": object()}


def test_hook_discovery_metadata_of_the_authorization_server() -> None:
    extra = Extra()
    with make_server(config=f'[server.http]\nurl = "{BASE}"\n', plugins=[extra, Odd()]) as made:
        for path in OAUTH[:2]:
            found = document(made, path)
            assert (found["issuer"], found["op_policy_uri"]) == (BASE, f"{BASE}/policy")
            assert "bad" not in found
            assert "service_documentation" not in found
        document(made, OAUTH[2])
    assert extra.seen == [path.rpartition("/")[2] for path in OAUTH]


# ---- who may read the figures


METRICS = f"""
[server.http]
url = "{BASE}"
[metrics.prometheus]
enable = true
[metrics.prometheus.auth]
username = "Prometheus"
secret = "0123456789abcdef"
"""


def test_figures_are_for_those_who_may_read_them() -> None:
    with make_server(config=METRICS) as made:
        made.account("alice@example.org")
        made.server.directory.principals.set_password(
            "admin", made.server.directory.passwords.hash("correct horse battery")
        ) if made.server.ensure_admin() else None
        for path in ("/metrics", "/metrics/prometheus"):
            assert get(made, path).status == 401
            assert get(made, path, Authorization=basic("alice@example.org")).json()["permission"] == "metrics-view"
            for wrong in (basic("prometheus", "0123456789abcdeF"), basic("p", "0123456789abcdef"), "Basic !", "Basic"):
                assert get(made, path, Authorization=wrong).status in (400, 401)
            for right in (basic("prometheus", "0123456789abcdef"), basic("admin")):
                reply = get(made, path, Authorization=right)
                assert (reply.status, reply.header("Cache-Control")) == (200, "no-store")
                assert reply.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
                assert b"0123456789abcdef" not in reply.body
        text = reply.body.decode()
        assert "flaskmail_ready 1\n" in text
        assert re.search(r'flaskmail_http_requests_total\{method="GET",code="401"\} [1-9]', text)
        assert "alice" not in text


def test_a_proxy_that_does_not_name_its_client_is_not_in_the_networks() -> None:
    config = CONFIG.replace("[server.http]", "[server.http]\nuse-x-forwarded = true")
    with make_server(config=config) as made:
        assert get(made, "/metrics").status == 401
        assert get(made, "/metrics", X_Forwarded_For="192.0.2.1").status == 401
        assert get(made, "/metrics", X_Forwarded_For="127.0.0.1").status == 401
    with make_server(config=config.replace('["loopback"]', '["192.0.2.0/24"]')) as made:
        assert get(made, "/metrics", X_Forwarded_For="192.0.2.1").status == 200
