"""Whatever is sent to the endpoints, they answer with a refusal of the standards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flaskmail.oauth import offer as paths
from flaskmail.oauth.authorization import AuthorizationRequest, RedirectError, Refused
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.testing import MadeServer, make_server

from .conftest import FORM, ISSUER, URI

NAMES = (
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "redirect_uri",
    "refresh_token",
    "device_code",
    "scope",
    "token",
    "token_type_hint",
)
ASKED = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "code_challenge",
    "code_challenge_method",
    "id_token_hint",
    "request",
)
VALUES = st.sampled_from(
    [*GRANT_TYPES, "app", URI, "code", "S256", "openid", "none", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]
)
FREE = st.one_of(VALUES, st.text(max_size=40))
ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "temporarily_unavailable",
}


@pytest.fixture(scope="module")
def serving() -> Iterator[MadeServer]:
    with make_server(config="[oauth.client-registration]\nenable = true\nanonymous = true\n") as made:
        made.server.directory.oauth_clients.add(Client("app", "App", (URI,), GRANT_TYPES))
        yield made


def pairs(names: tuple[str, ...]):
    return st.lists(st.tuples(st.one_of(st.sampled_from(names), st.text(max_size=5)), FREE), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    path=st.sampled_from([paths.TOKEN, paths.DEVICE, paths.REVOKE, paths.INTROSPECT]),
    form=st.one_of(pairs(NAMES).map(lambda found: urlencode(found, errors="replace").encode()), st.binary(max_size=60)),
    authorization=st.one_of(st.none(), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)),
)
def test_forms(serving, path, form, authorization):
    headers = FORM if authorization is None else FORM | {"Authorization": authorization}
    reply = serving.send("POST", path, headers, form)
    if reply.status == 200:
        assert path in (paths.DEVICE, paths.REVOKE)
    else:
        assert reply.status in (400, 401, 429)
        assert reply.json()["error"] in ERRORS
    assert reply.header("Cache-Control") == "no-store"


@settings(max_examples=150, deadline=None)
@given(found=pairs(ASKED))
def test_authorization_requests(serving, found):
    text = "&".join(
        f"{quote(name, safe='', errors='replace')}={quote(value, safe='', errors='replace')}" for name, value in found
    )
    answered = serving.server.oauth.authorization_request(text.encode(), ISSUER)
    assert isinstance(answered, (AuthorizationRequest, RedirectError, Refused))
    if isinstance(answered, RedirectError):
        assert answered.url.startswith(f"{URI}?")
        assert answered.url.isascii()
        assert not set("\r\n") & set(answered.url)


@settings(max_examples=80, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=40),
        st.dictionaries(
            st.sampled_from(
                ["redirect_uris", "grant_types", "response_types", "client_name", "scope", "client_uri", "contacts"]
            ),
            st.one_of(FREE, st.lists(FREE, max_size=3), st.integers(), st.none()),
        ).map(lambda found: json.dumps(found).encode()),
    )
)
def test_registrations(serving, body):
    reply = serving.send("POST", paths.REGISTER, {"Content-Type": "application/json"}, body)
    assert reply.status in (201, 400)
    if reply.status == 400:
        assert reply.json()["error"] in ("invalid_redirect_uri", "invalid_client_metadata")
    else:
        assert all(uri == URI for uri in reply.json()["redirect_uris"])
