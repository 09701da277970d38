"""OAuth clients that nobody here wrote, against gunicorn with two workers behind nginx with TLS: Authlib's (Python) and
oauth4webapi (JavaScript). What a person does is done over HTTP too."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
import trustme
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet
from ports import free_ports
from proxies import RECIPES, changed, nginx
from visiting import Form, forms
from workers import each_worker

from flaskmail.accounts.directory import Directory
from flaskmail.oauth.clients import DEVICE, GRANT_TYPES, Client
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import PASSWORD, LiveServer, live_server

NODE = Path(__file__).parent / "node"
URI = "https://app.example/cb"
MAIL = "urn:ietf:params:jmap:mail"
SCOPE = f"openid offline_access profile email urn:ietf:params:jmap:core {MAIL}"


@dataclass
class Site:
    """issuer: nginx's base URL; authority: the file with its authority; secret: of the client "web"; "app" has none."""

    server: LiveServer
    issuer: str
    authority: Path
    secret: str

    def session(self, client_id: str = "web", **more: Any) -> OAuth2Session:
        public = client_id == "app"
        session = OAuth2Session(
            client_id,
            None if public else self.secret,
            redirect_uri=URI,
            scope=more.pop("scope", SCOPE),
            code_challenge_method="S256",
            token_endpoint_auth_method="none" if public else "client_secret_basic",
            **more,
        )
        # The environment's certificates would win over ours.
        session.trust_env = False
        session.verify = str(self.authority)
        return session

    def metadata(self, name: str = "openid-configuration") -> dict[str, Any]:
        answer = requests.get(f"{self.issuer}/.well-known/{name}", verify=str(self.authority), timeout=60)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


class Person:
    """Somebody with a browser that knows cookies and forms."""

    def __init__(self, site: Site, name: str) -> None:
        self._site, self._name = site, name
        self._browser = requests.Session()
        self._browser.trust_env = False
        self._browser.verify = str(site.authority)

    def close(self) -> None:
        self._browser.close()

    def visit(self, url: str, decision: str = "allow", **typed: str) -> str:
        """Opens an address and answers whatever is asked; where the browser leaves the server, or the last page."""
        answer = self._browser.get(url, allow_redirects=False, timeout=60)
        for _ in range(12):
            if answer.is_redirect:
                url = urljoin(answer.url, answer.headers["Location"])
                if not url.startswith(f"{self._site.issuer}/"):
                    # RFC 9700 section 4.12: 303, so that no form follows the browser.
                    assert answer.status_code == 303
                    return url
                answer = self._browser.get(url, allow_redirects=False, timeout=60)
                continue
            assert answer.status_code == 200, answer.text
            form = self._next(answer.text)
            if form is None:
                return answer.url
            known = {"name": self._name, "password": PASSWORD, **typed}
            fields = form.fields | {name: value for name, value in known.items() if name in form.fields}
            if not {"password", "user_code"} & fields.keys() or form.action.endswith("/answer"):
                fields["decision"] = decision
            answer = self._browser.post(
                urljoin(answer.url, form.action),
                data=fields,
                headers={"Origin": self._site.issuer, "Sec-Fetch-Site": "same-origin"},
                allow_redirects=False,
                timeout=60,
            )
        raise AssertionError("the pages have no end")

    def _next(self, html: str) -> Form | None:
        wanted = ("/login", "/consent", "/device", "/device/answer")
        return next((form for form in forms(html) if form.action.endswith(wanted)), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("oauth")
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    https, http = free_ports(2)
    issuer = f"https://localhost:{https}"
    config = f'[server.http]\nurl = "{issuer}"\nuse-x-forwarded = true\n'
    with live_server(config) as server:
        text = changed(
            (RECIPES / "nginx.conf").read_text(),
            [
                ("server 127.0.0.1:8080;", f"server 127.0.0.1:{server.port};"),
                ("listen 80;", f"listen 127.0.0.1:{http};"),
                ("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
                ("server_name mail.example.org;", "server_name localhost;"),
                ("/etc/ssl/mail.example.org/cert.pem", str(folder / "server.pem")),
                ("/etc/ssl/mail.example.org/key.pem", str(folder / "server.pem")),
            ],
        )
        server.account("ann@example.org")
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        directory = Directory(server.folder / "data")
        directory.oauth_clients.add(Client("app", "App", (URI, "http://127.0.0.1/cb"), GRANT_TYPES, native=True))
        _, secret = directory.oauth_clients.add(
            Client("web", "Webmail", (URI,), GRANT_TYPES, "client_secret_basic", id_token_alg="ES256")
        )
        directory.close()
        assert secret is not None
        proxy = folder / "nginx"
        proxy.mkdir()
        with nginx(proxy, text, (https, http)):
            yield Site(server, issuer, folder / "authority.pem", secret)


@pytest.fixture
def ann(site: Site) -> Iterator[Person]:
    person = Person(site, "ann@example.org")
    yield person
    person.close()


def signed_in(site: Site, person: Person, session: OAuth2Session, **more: str) -> dict[str, Any]:
    """The tokens of a whole authorization code flow."""
    found = site.metadata()
    verifier = secrets.token_urlsafe(48)
    url, state = session.create_authorization_url(found["authorization_endpoint"], code_verifier=verifier, **more)
    ended = person.visit(url)
    assert ended.startswith(f"{URI}?")
    token: dict[str, Any] = session.fetch_token(
        found["token_endpoint"], authorization_response=ended, state=state, code_verifier=verifier
    )
    return token


def test_the_metadata_is_as_authlib_wants_it(site):
    AuthorizationServerMetadata(site.metadata("oauth-authorization-server")).validate()
    OpenIDProviderMetadata(site.metadata()).validate()


def test_authlib_signs_in_refreshes_introspects_and_revokes(site, ann):
    found = site.metadata()
    with site.session() as session:
        nonce = secrets.token_hex(8)
        token = signed_in(site, ann, session, nonce=nonce)
        keys = KeySet.import_key_set(session.get(found["jwks_uri"], withhold_token=True).json())
        decoded = jwt.decode(token["id_token"], keys, algorithms=found["id_token_signing_alg_values_supported"])
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {"iss": {"essential": True, "value": site.issuer}, "aud": {"essential": True, "value": "web"}},
            {"nonce": nonce, "client_id": "web", "access_token": token["access_token"], "max_age": 600},
        )
        claims.validate()
        assert session.get(found["userinfo_endpoint"]).json()["sub"] == claims["sub"]

        # A JMAP client works with the token.
        jmap = session.get(f"{site.issuer}/.well-known/jmap").json()
        account = jmap["primaryAccounts"][MAIL]
        call = ["Mailbox/get", {"accountId": account, "ids": None}, "0"]
        body = {"using": ["urn:ietf:params:jmap:core", MAIL], "methodCalls": [call]}
        answered = session.post(jmap["apiUrl"], json=body).json()
        assert answered["methodResponses"][0][0] == "Mailbox/get"

        again = session.refresh_token(found["token_endpoint"], refresh_token=token["refresh_token"])
        assert again["refresh_token"] != token["refresh_token"]
        told = session.introspect_token(found["introspection_endpoint"], token=again["access_token"]).json()
        assert (told["active"], told["username"], told["client_id"]) == (True, "ann@example.org", "web")
        gone = session.revoke_token(found["revocation_endpoint"], token=again["refresh_token"])
        assert gone.status_code == 200
        assert session.introspect_token(found["introspection_endpoint"], token=again["access_token"]).json() == {
            "active": False
        }
        assert session.get(f"{site.issuer}/.well-known/jmap").status_code == 401


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jmap_clients_of_others_work_with_the_token(site, ann, monkeypatch):
    jmapc = pytest.importorskip("jmapc", reason="jmapc is not installed: pip install -e '.[test]'")
    methods = pytest.importorskip("jmapc.methods")
    # The variable wins over what a session is told.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(site.authority))
    with site.session() as session:
        token = signed_in(site, ann, session)["access_token"]
    client = jmapc.Client.create_with_api_token(site.issuer.removeprefix("https://"), token)
    try:
        mailboxes = client.request(methods.MailboxGet(ids=None)).data
        assert "inbox" in {one.role for one in mailboxes}
        made = client.request(methods.MailboxSet(create={"m": jmapc.Mailbox(name="Made with a token")}))
        assert made.created["m"].id
    finally:
        client.requests_session.close()

    node = NODE / "node_modules" / "jmap-jam"
    if shutil.which("node") is None or not node.exists():
        pytest.skip("jmap-jam is not installed: npm ci --prefix tests/wire/node")
    done = subprocess.run(
        ["node", "jam.mjs", f"{site.issuer}/.well-known/jmap", token],
        cwd=NODE,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(site.authority)},
        input=b"From: ann@example.net\r\nSubject: token\r\n\r\nA quokka sends its regards.\r\n",
        capture_output=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert seen["username"] == "ann@example.org"
    assert seen["found"]
    assert seen["flagged"]


def test_authlib_with_a_public_client_on_the_loopback_interface(site, ann):
    found = site.metadata()
    with site.session("app") as session:
        session.redirect_uri = "http://127.0.0.1:49152/cb"
        verifier = secrets.token_urlsafe(48)
        url, state = session.create_authorization_url(found["authorization_endpoint"], code_verifier=verifier)
        ended = ann.visit(url)
        assert ended.startswith("http://127.0.0.1:49152/cb?")
        token = session.fetch_token(
            found["token_endpoint"],
            authorization_response=ended.replace("http:", "https:"),
            state=state,
            code_verifier=verifier,
        )
        assert token["scope"] == SCOPE


def test_a_user_who_says_no(site, ann):
    with site.session() as session:
        url, _ = session.create_authorization_url(site.metadata()["authorization_endpoint"], code_verifier="v" * 43)
        ended = ann.visit(url, "deny")
    said = parse_qs(urlsplit(ended).query)
    assert (said["error"], said["iss"]) == (["access_denied"], [site.issuer])


def test_the_management_api_takes_a_token_with_its_scope(site):
    with site.session(scope="openid urn:flaskmail:management") as session:
        admin = Person(site, "admin")
        signed_in(site, admin, session)
        admin.close()
        assert session.get(f"{site.issuer}/api/domain").status_code == 200
    with site.session(scope="openid") as session:
        admin = Person(site, "admin")
        signed_in(site, admin, session)
        admin.close()
        assert session.get(f"{site.issuer}/api/domain").status_code == 403


def test_a_device_over_the_wire(site, ann):
    found = site.metadata()
    with site.session("app") as session:
        begun = session.request(
            "POST",
            found["device_authorization_endpoint"],
            withhold_token=True,
            data={"client_id": "app", "scope": SCOPE},
        ).json()

        ann.visit(begun["verification_uri"], user_code=begun["user_code"].lower())
        session.fetch_token(found["token_endpoint"], grant_type=DEVICE, device_code=begun["device_code"])
        assert session.get(f"{site.issuer}/.well-known/jmap").json()["username"] == "ann@example.org"


def test_of_20_at_once_one_gets_tokens_and_they_end(site, ann):
    found = site.metadata()
    verifier = "v" * 43
    with site.session() as session:
        url, _ = session.create_authorization_url(
            found["authorization_endpoint"], code_challenge=challenge_of(verifier), code_challenge_method="S256"
        )
        code = ann.visit(url).split("code=")[1].split("&")[0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": URI, "code_verifier": verifier}
    answers = at_once(site, found["token_endpoint"], form)
    good = [one for one in answers if one.status_code == 200]
    assert len(good) == 1
    assert {one.json()["error"] for one in answers if one.status_code != 200} == {"invalid_grant"}
    assert enters(site, good[0].json()["access_token"]) == {401}


def test_of_20_refreshes_at_once_none_lasts(site, ann):
    with site.session() as session:
        token = signed_in(site, ann, session)
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    answers = at_once(site, site.metadata()["token_endpoint"], form)
    good = [one for one in answers if one.status_code == 200]
    assert len(good) == 1
    assert enters(site, good[0].json()["access_token"]) == {401}
    assert enters(site, token["access_token"]) == {401}


def test_what_ends_an_account_ends_its_tokens_in_every_worker(site):
    site.server.account("bob@example.org")
    bob = Person(site, "bob@example.org")
    with site.session() as session:
        token = signed_in(site, bob, session)
    bob.close()
    assert enters(site, token["access_token"]) == {200}
    assert site.server.cli("account", "disable", "bob@example.org").returncode == 0
    assert enters(site, token["access_token"]) == {401}


def test_no_token_is_in_the_logs_or_on_the_disk(site, ann):
    with site.session() as session:
        token = signed_in(site, ann, session)
        session.refresh_token(site.metadata()["token_endpoint"], refresh_token=token["refresh_token"])
    stored = b"".join(path.read_bytes() for path in site.server.folder.rglob("*") if path.is_file())
    assert b"ann@example.org" in stored
    for canary in (token["access_token"], token["refresh_token"], token["id_token"], site.secret):
        assert canary.encode() not in stored


def at_once(site: Site, url: str, form: dict[str, str], count: int = 20) -> list[requests.Response]:
    """What so many requests of the client "web" get that are sent at the same time, each over a connection of its own."""
    header = "Basic " + base64.b64encode(f"web:{site.secret}".encode()).decode()
    answers: list[requests.Response] = []
    barrier = threading.Barrier(count)

    def one() -> None:
        barrier.wait()
        answers.append(
            requests.post(url, form, headers={"Authorization": header}, verify=str(site.authority), timeout=60)
        )

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == count
    return answers


def enters(site: Site, token: str) -> set[int]:
    """What each worker answers to a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return {site.server.send("GET", "/jmap/session", headers, b"").status for _ in each_worker(site.server)}


def test_oauth4webapi_does_all_of_it(site, ann):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "oauth4webapi").is_dir():
        pytest.skip("oauth4webapi is not installed: make test installs it with npm")
    command = [node, str(NODE / "oauth.mjs"), site.issuer, "web", site.secret, URI, SCOPE]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"NODE_EXTRA_CA_CERTS": str(site.authority), "PATH": "/usr/bin:/bin"},
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        seen: dict[str, Any] = {}
        for line in process.stdout:
            said = json.loads(line)
            seen = said.get("seen", {})
            if "visit" in said:
                print(ann.visit(said["visit"]), file=process.stdin, flush=True)
        trouble = process.stderr.read()
    assert process.returncode == 0, trouble
    claims = seen.pop("claims")
    assert (claims["iss"], claims["aud"]) == (site.issuer, "web")
    assert seen == {
        "plain": site.issuer,
        "email": "ann@example.org",
        "username": "ann@example.org",
        "rotated": True,
        "told": {"active": True, "username": "ann@example.org", "client_id": "web"},
        "afterRevocation": False,
        "waiting": "authorization_pending",
        "device": "ann@example.org",
    }
