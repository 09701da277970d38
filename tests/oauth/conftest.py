from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from flaskmail.accounts.grants import Grant
from flaskmail.accounts.principals import Principal
from flaskmail.oauth.authorization import AuthorizationRequest
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import MadeServer, Reply, make_server

ISSUER = "http://localhost"
URI = "https://app.example/cb"
VERIFIER = "v" * 43
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAIL = "urn:ietf:params:jmap:mail"
SCOPE = f"openid offline_access profile email urn:ietf:params:jmap:core {MAIL}"


def client_basic(id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{id}:{secret}".encode()).decode()}


@dataclass
class Party:
    """A client that speaks to the endpoints in this process; public unless it has a secret."""

    made: MadeServer
    client: Client
    secret: str | None

    def post(self, path: str, *, headers: dict[str, str] | None = None, **form: str | None) -> Reply:
        sent = {name: value for name, value in form.items() if value is not None}
        own = dict(headers or {})
        if self.secret is None:
            sent.setdefault("client_id", self.client.id)
        else:
            own = client_basic(self.client.id, self.secret) | own
        return self.made.send("POST", path, FORM | own, urlencode(sent).encode())

    def token(self, **form: str | None) -> Reply:
        return self.post("/auth/token", **form)

    def query(self, **changes: str | None) -> bytes:
        parameters = {
            "client_id": self.client.id,
            "redirect_uri": URI,
            "response_type": "code",
            "scope": SCOPE,
            "state": "s",
            "nonce": "n",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        } | changes
        return urlencode({name: value for name, value in parameters.items() if value is not None}).encode()

    def code(self, principal: Principal, **changes: str | None) -> str:
        """A code, as the pages get one when the user says yes."""
        oauth = self.made.server.oauth
        request = oauth.authorization_request(self.query(**changes), ISSUER)
        assert isinstance(request, AuthorizationRequest), request
        code: str = dict(parse_qsl(urlsplit(oauth.approve(request, principal)).query))["code"]
        return code

    def redeem(self, code: str, **changes: str | None) -> Reply:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": URI, "code_verifier": VERIFIER}
        return self.token(**(form | changes))

    def tokens(self, principal: Principal, **changes: str | None) -> dict[str, Any]:
        reply = self.redeem(self.code(principal, **changes))
        assert reply.status == 200, reply
        found: dict[str, Any] = reply.json()
        return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server() as made:
        yield made


@pytest.fixture
def ann(made: MadeServer) -> Principal:
    """Somebody who signed in with a browser."""
    made.account("ann@example.org")
    principal = made.server.directory.principals.get("ann@example.org")
    return replace(principal, grant=Grant("session", authenticated=int(time.time())))


@pytest.fixture
def app(made: MadeServer) -> Party:
    """A public client."""
    client, secret = made.server.directory.oauth_clients.add(
        Client("app", "App", (URI,), GRANT_TYPES, native=True, id_token_alg="ES256")
    )
    return Party(made, client, secret)


@pytest.fixture
def web(made: MadeServer) -> Party:
    """A client with a secret."""
    client, secret = made.server.directory.oauth_clients.add(
        Client("web", "Web", (URI,), GRANT_TYPES, "client_secret_basic", id_token_alg="ES256")
    )
    return Party(made, client, secret)
