"""Secrets of every kind go through two workers; none of them is on the disk, in a backup, in a log or in an answer afterwards."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from visiting import forms

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.totp import code_at
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import LiveServer, basic, live_server

from ..conftest import ROOT, START
from ..test_pages import FORM, Browser

ANN, BOB = "ann@example.org", "bob@example.org"
URI = "https://app.example/cb"
SCOPE = "openid offline_access urn:ietf:params:jmap:core urn:ietf:params:jmap:mail"
PLUGIN = """
from flask import Blueprint, request
from flaskmail.hookspecs import hookimpl

blueprint = Blueprint("broken", __name__)

@blueprint.route("/broken", methods=["GET", "POST"])
def broken():
    password = request.headers["Authorization"]
    raise ValueError("Authorization: " + password)

@hookimpl
def register_blueprints(server):
    return [(blueprint, "")]
"""
CONFIG = """
[server]
log-level = "debug"
[authentication.argon2]
memory = 8192
time-cost = 1
[plugins]
paths = ["broken.py"]
[oauth.client-registration]
enable = true
anonymous = true
"""


class Canaries:
    """What was secret, by what it is. Each value is remembered in the forms in which it could be written down."""

    def __init__(self) -> None:
        self.forms: dict[str, set[bytes]] = {}

    def add(self, name: str, value: str | bytes) -> None:
        octets = value.encode() if isinstance(value, str) else value
        assert len(octets) >= 6, name
        found = {octets, octets.hex().encode(), octets.hex().upper().encode()}
        found |= {base64.b64encode(octets).rstrip(b"="), base64.urlsafe_b64encode(octets).rstrip(b"=")}
        if isinstance(value, str):
            found |= {quote(value, safe="").encode(), json.dumps(value)[1:-1].encode()}
        self.forms.setdefault(name, set()).update(found)

    def within(self, octets: bytes) -> list[str]:
        return sorted(name for name, found in self.forms.items() if any(one in octets for one in found))


class Site:
    """The server, what was secret there, and everything that it answered to those whom the secret was not for."""

    def __init__(self, live: LiveServer) -> None:
        self.live, self.canaries = live, Canaries()
        self.refusals = b""

    def api(self, name: str, password: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": basic(name, password), "Content-Type": "application/json"}
        reply = self.live.send(method, f"/api{path}", headers, b"" if body is None else json.dumps(body).encode())
        assert reply.status in (200, 201), (path, reply)
        return reply.json()["data"] if reply.body else None

    def form(self, path: str, authorization: str | None = None, **fields: str) -> Any:
        headers = FORM if authorization is None else FORM | {"Authorization": authorization}
        reply = self.live.send("POST", path, headers, urlencode(fields).encode())
        assert reply.status == 200, (path, reply)
        return reply.json() if reply.body else None


def owned_password(site: Site, name: str, canary: str) -> str:
    value = f"{secrets.token_urlsafe(18)} Pass"
    site.canaries.add(canary, value)
    site.canaries.add(canary, basic(name, value).removeprefix("Basic "))
    return value


def people(site: Site, admin: str) -> tuple[str, str]:
    """Accounts, passwords, app passwords, tokens, keys."""
    site.api("admin", admin, "POST", "/domain", {"name": "example.org"})
    ann = owned_password(site, ANN, "password")
    site.api("admin", admin, "POST", "/principal", {"type": "individual", "name": ANN, "secrets": [ann]})
    bob = owned_password(site, BOB, "password of the command line")
    done = site.live.cli("account", "create", BOB, "--password-stdin", input=bob + "\n")
    assert done.returncode == 0, done
    made = site.api(ANN, ann, "POST", "/account/auth", [{"type": "addAppPassword", "name": "phone"}])
    site.canaries.add("app password", made["appPasswords"][0]["secret"])
    made = site.api(ANN, ann, "POST", "/account/credentials", {"kind": "token", "name": "script"})
    site.canaries.add("token", made["secret"])
    assert site.live.send("GET", "/jmap/session", {"Authorization": f"Bearer {made['secret']}"}, b"").status == 200
    made = site.api("admin", admin, "POST", "/principal", {"type": "apiKey", "name": "watcher"})
    site.canaries.add("api key", made["secret"])
    text = base64.b64decode(made["secret"].removeprefix("api_")).decode()
    site.canaries.add("api key", text.partition(":")[2])
    # Passwords that are changed, right and wrong ones.
    later = owned_password(site, ANN, "changed password")
    site.api(ANN, ann, "POST", "/account/auth", [{"type": "setPassword", "password": later}])
    wrong = owned_password(site, ANN, "wrong password")
    assert site.live.send("GET", "/jmap/session", {"Authorization": basic(ANN, wrong)}, b"").status == 401
    return later, bob


def on_pages(site: Site, password: str) -> Browser:
    """A session, its forms, an app password, a second factor; answers the browser of somebody who is signed in."""
    browser = Browser(site.live)
    typo = owned_password(site, ANN, "wrong password of a form")
    assert browser.sign_in(ANN, typo).status == 422
    site.refusals += browser.page.body
    site.canaries.add("session cookie", browser.cookies["flaskmail"])
    assert browser.sign_in(ANN, password).status == 303
    site.canaries.add("session cookie", browser.cookies["flaskmail"])
    browser.get("/account/app-passwords")
    page = browser.send("/account/app-passwords", name="tablet", days="30").body.decode()
    found = re.search(r'class="secret">([^<]+)<', page)
    assert found is not None
    site.canaries.add("app password of a page", found[1].strip())
    site.canaries.add("form token", forms(browser.get("/account").body.decode())[0].fields["token"])
    browser.get("/account/second-factor")
    if browser.send("/account/second-factor/enrol").status == 303:
        browser.get("/account/second-factor/enrol")
    found = re.search(r"<code[^>]*>([A-Z2-7 ]{32,})</code>", browser.page.body.decode())
    assert found is not None, browser.page.body.decode()
    text = found[1].replace(" ", "")
    secret = base64.b32decode(text)
    site.canaries.add("TOTP secret", text)
    site.canaries.add("TOTP secret", secret)
    page = browser.send(
        "/account/second-factor/confirm", code=code_at(secret, int(time.time()) // 30 + 1)
    ).body.decode()
    codes = re.findall(r"<li>([a-z0-9]+(?:-[a-z0-9]+)+)</li>", page)
    assert len(codes) == 10, page
    for code in codes:
        site.canaries.add("recovery code", code)
    site.canaries.add("session cookie", browser.cookies["flaskmail"])
    return browser


def applications(site: Site, admin: str, browser: Browser) -> None:
    """Clients, codes, tokens."""
    body = {"name": "Web", "id": "web", "redirectUris": [URI], "authMethod": "client_secret_basic"}
    body["grantTypes"] = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    client = site.api("admin", admin, "POST", "/oauth/client", body)["secret"]
    site.canaries.add("client secret", client)
    reply = site.live.send(
        "POST",
        "/auth/register",
        {"Content-Type": "application/json"},
        json.dumps({"redirect_uris": [URI], "token_endpoint_auth_method": "client_secret_post"}).encode(),
    )
    assert reply.status == 201, reply
    site.canaries.add("registered client secret", reply.json()["client_secret"])
    own = basic("web", client)
    site.canaries.add("client secret", own.removeprefix("Basic "))

    def code() -> tuple[str, str]:
        verifier = secrets.token_urlsafe(40)
        site.canaries.add("PKCE verifier", verifier)
        query = {
            "client_id": "web",
            "redirect_uri": URI,
            "response_type": "code",
            "scope": SCOPE,
            "state": "s",
            "nonce": "n",
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        page = browser.get(f"/authorize?{urlencode(query)}")
        if page.status == 200:
            page = browser.send("/consent", decision="allow")
        else:
            assert page.status == 303, page
        found = parse_qs(urlsplit(page.header("Location") or "").query)["code"][0]
        site.canaries.add("authorization code", found)
        return found, verifier

    code()
    given, verifier = code()
    tokens = site.form(
        "/auth/token", own, grant_type="authorization_code", code=given, redirect_uri=URI, code_verifier=verifier
    )
    newer = site.form("/auth/token", own, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    for one in (tokens, newer):
        site.canaries.add("access token", one["access_token"])
        site.canaries.add("refresh token", one["refresh_token"])
        site.canaries.add("ID token", one["id_token"])
    used = {"Authorization": f"Bearer {newer['access_token']}"}
    assert site.live.send("GET", "/jmap/session", used, b"").status == 200
    assert site.live.send("GET", "/auth/userinfo", used, b"").status == 200
    assert site.form("/auth/introspect", own, token=newer["access_token"])["active"] is True
    device = site.form("/auth/device", own, scope=SCOPE)
    site.canaries.add("device code", device["device_code"])
    site.canaries.add("user code", device["user_code"])
    browser.get(f"/device?user_code={device['user_code']}")
    browser.send("/device", user_code=device["user_code"])


def keys(site: Site, admin: str) -> None:
    """Private keys: those of DKIM, and those that sign ID tokens."""
    for algorithm in ("Rsa", "Ed25519"):
        site.api("admin", admin, "POST", "/dkim", {"domain": "example.org", "algorithm": algorithm})
    directory = Directory(site.live.folder / "data")
    for one in directory.dkim.of_domain("example.org"):
        _add_key(site, "DKIM key", directory.dkim.sign_key(one.id).private)
    for algorithm in ("RS256", "ES256"):
        made = directory.oauth_keys.signing(algorithm, 10**6, 900)
        _add_key(site, "ID token key", load_der_private_key(made.private, None))
    directory.close()


def _add_key(site: Site, name: str, private: Any) -> None:
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    site.canaries.add(name, der)
    site.canaries.add(name, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if isinstance(private, RSAPrivateKey):
        site.canaries.add(name, private.private_numbers().p.to_bytes(128, "big"))
    elif hasattr(private, "private_bytes_raw"):
        site.canaries.add(name, private.private_bytes_raw())
    else:
        site.canaries.add(name, private.private_numbers().private_value.to_bytes(32, "big"))


def everywhere(site: Site) -> None:
    """Secrets where they do not belong: in headers, queries, paths, bodies, and in what a program raises."""
    for number, place in enumerate(("header", "query", "body", "traceback", "form")):
        secret = f"fmt_{secrets.token_urlsafe(32)}"
        site.canaries.add(f"secret in a {place}", secret)
        sent = {"Authorization": f"Bearer {secret}"} if place in ("header", "traceback") else {}
        if place == "header":
            sent |= {"Cookie": f"__Host-flaskmail={secret}; flaskmail={secret}", "X-Api-Key": secret}
        query = f"?access_token={secret}&password={secret}&code={secret}" if place == "query" else ""
        body = json.dumps({"password": secret, "using": secret}).encode() if place == "body" else b""
        kind = "application/json"
        if place == "form":
            kind = "application/x-www-form-urlencoded"
            body = urlencode(
                {"client_secret": secret, "code": secret, "token": secret, "refresh_token": secret}
            ).encode()
        for path in ("/broken",) if place == "traceback" else PATHS:
            for method in ("GET", "POST"):
                reply = site.live.send(method, path + query, {"Content-Type": kind, **sent}, body)
                assert reply.status != 500 or path == "/broken", (method, path, number)
                site.refusals += reply.body + repr([one for one in reply.headers if one[0] != "Location"]).encode()


PATHS = (
    "/jmap/session",
    "/jmap/",
    "/api/principal",
    "/api/account/auth",
    "/auth/token",
    "/auth/userinfo",
    "/auth/introspect",
    "/auth/register",
    "/login",
    "/login/code",
    "/device",
    "/account",
    "/nowhere",
    "/.well-known/jmap",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("rest")
    (folder / "broken.py").write_text(PLUGIN)
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as live:
        site = Site(live)
        admin = owned_password(site, "admin", "password of the administrator")
        done = live.cli("account", "set-password", "admin", "--password-stdin", input=admin + "\n")
        assert done.returncode == 0, done
        password, _ = people(site, admin)
        browser = on_pages(site, password)
        applications(site, admin, browser)
        keys(site, admin)
        everywhere(site)
        done = live.cli("backup", str(folder / "backup"))
        assert done.returncode == 0, done
        yield site


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found
    return found


def test_there_are_enough_of_them(site: Site) -> None:
    assert len(site.canaries.forms) >= 20


def test_none_lies_in_the_data(site: Site) -> None:
    files = contents(site.live.folder / "data")
    # The newest changes are still in the write-ahead log.
    assert {"control.db", "control.db-wal", "throttle.db"} <= files.keys()
    whole = b"".join(files.values())
    assert ANN.encode() in whole
    assert {name: found for name, octets in files.items() if (found := site.canaries.within(octets))} == {}
    assert site.canaries.within(whole) == []


def test_none_lies_in_a_backup(site: Site) -> None:
    files = contents(site.live.folder / "backup")
    assert ANN.encode() in b"".join(files.values())
    assert {name: found for name, octets in files.items() if (found := site.canaries.within(octets))} == {}


def test_none_was_logged(site: Site) -> None:
    told = site.live.log()
    logged = b"".join(contents(site.live.folder / "data" / "logs").values())
    assert "/auth/token" in told
    assert b"ValueError" in logged
    assert site.canaries.within(told.encode()) == []
    assert site.canaries.within(logged) == []


def test_no_refusal_says_one(site: Site) -> None:
    assert b"problem" in site.refusals or b"error" in site.refusals
    assert site.canaries.within(site.refusals) == []


def test_what_would_be_found_is_found(site: Site) -> None:
    for name, found in site.canaries.forms.items():
        for one in found:
            assert name in site.canaries.within(b"before" + one + b"after")
