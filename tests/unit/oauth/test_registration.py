from __future__ import annotations

import json
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from flaskmail.oauth.clients import AUTH_METHODS, DEVICE, GRANT_TYPES, Client
from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.offer import Offer, authorization_server, openid_provider
from flaskmail.oauth.registration import check_client, client_information, read_registration

SCOPES = ("openid", "offline_access", "urn:x", "urn:secret")
OFFER = Offer(
    {
        "authorization_endpoint": "/authorize",
        "token_endpoint": "/auth/token",
        "userinfo_endpoint": "/auth/userinfo",
        "jwks_uri": "/k",
    },
    GRANT_TYPES,
    SCOPES,
    AUTH_METHODS,
    AUTH_METHODS[1:],
    ("RS256", "ES256"),
)
GOOD = {"redirect_uris": ["https://app.example/cb"], "client_name": "App"}


def read(**members: Any) -> Client:
    return read_registration(json.dumps(GOOD | members).encode(), OFFER, SCOPES[:3], "RS256")


def refusal(**members: Any) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        read(**members)
    assert caught.value.status == 400
    assert not {'"', "\\"} & set(caught.value.description)
    return caught.value


def test_the_defaults_are_those_of_the_standard():
    client = read()
    assert client.auth_method == "client_secret_basic"
    assert client.grant_types == ("authorization_code",)
    assert client.dynamic
    assert not client.native
    assert client.scopes == SCOPES[:3]
    assert client.id_token_alg == "RS256"


def test_what_is_asked_for_is_registered():
    client = read(
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
        scope="openid urn:x other",
        id_token_signed_response_alg="ES256",
        client_uri="https://app.example/",
        contacts=["ann@example.org"],
        software_id="x",
    )
    told = client_information(client, None)
    assert told["scope"] == "openid urn:x"
    assert told["token_endpoint_auth_method"] == "none"
    assert told["id_token_signed_response_alg"] == "ES256"
    assert told["client_uri"] == "https://app.example/"
    assert "client_secret" not in told


def test_members_that_mean_nothing_here_are_ignored():
    # RFC 7591 section 2.
    client = read(isAdmin=True, role="admin", client_id="mine", dynamic=False, logo_uri="https://app.example/x.png")
    assert (client.id, client.dynamic) == ("", True)


def test_uris_of_the_users_device_make_a_native_application():
    assert read(redirect_uris=["http://127.0.0.1/cb"]).native
    assert read(redirect_uris=["com.example.app:/cb"]).native
    assert refusal(redirect_uris=["http://127.0.0.1/cb"], application_type="web").error == "invalid_redirect_uri"


def test_a_device_needs_no_redirect_uri():
    assert read(redirect_uris=[], grant_types=[DEVICE]).redirect_uris == ()


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "http://app.example/cb",
        "https://app.example/cb#x",
        "data:text/html,x",
        "https://user@app.example/",
        "app:/cb",
        "",
        "cb",
    ],
)
def test_redirect_uris_are_checked(uri):
    error = refusal(redirect_uris=["https://app.example/cb", uri])
    assert error.error == "invalid_redirect_uri"


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"redirect_uris": "https://app.example/cb"}, "redirect_uris"),
        ({"redirect_uris": [1]}, "redirect_uris"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": 5}, "token_endpoint_auth_method"),
        ({"grant_types": ["password", "authorization_code"]}, "grant_types"),
        ({"grant_types": ["implicit"], "response_types": ["token"]}, "response_types"),
        ({"grant_types": []}, "response_types"),
        ({"response_types": ["code", "token"]}, "response_types"),
        ({"response_types": []}, "response_types"),
        ({"client_uri": "http://app.example/"}, "client_uri"),
        ({"client_uri": "javascript:alert(1)"}, "client_uri: expected an https URL"),
        ({"tos_uri": "x"}, "tos_uri: expected an https URL"),
        ({"client_name": "x" * 101}, "client_name"),
        ({"client_name": "a\u202eb"}, "client_name"),
        ({"client_name": "a\nb"}, "client_name"),
        ({"scope": "urn:secret"}, "scope"),
        ({"application_type": "tv"}, "application_type"),
        ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
        ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ({"contacts": "x"}, "contacts"),
    ],
    ids=str,
)
def test_other_members_are_checked_and_named(members, named):
    error = refusal(**members)
    assert error.error == "invalid_client_metadata"
    assert named in error.description


def test_too_many_or_no_redirect_uris():
    assert refusal(redirect_uris=[]).error == "invalid_redirect_uri"
    assert refusal(redirect_uris=[f"https://app.example/{n}" for n in range(21)]).error == "invalid_redirect_uri"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"client_name": "\xff"}', b"[" * 5000])
def test_a_body_that_is_no_object(body):
    with pytest.raises(OAuthError) as caught:
        read_registration(body, OFFER, SCOPES, "RS256")
    assert caught.value.error == "invalid_client_metadata"


def test_an_administrators_client_is_checked_by_the_same_rules():
    check_client(Client("web", "Web", ("https://app.example/cb",), scopes=("urn:secret",)), OFFER)
    for wrong in (
        Client("web", "Web", ("http://app.example/cb",)),
        Client("web", "Web", ("https://app.example/cb",), ()),
        Client("web", "Web", ("https://app.example/cb",), ("password",)),
        Client("web", "Web", ("https://app.example/cb",), scopes=("nothing",)),
        Client("web", "Web", ("https://app.example/cb",), scopes=()),
        Client("web", "Web\n", ("https://app.example/cb",)),
        Client("web", "Web", ("https://app.example/cb",), id_token_alg="HS256"),
        Client("web", "Web", ("https://app.example/cb",), uri="ftp://x"),
    ):
        with pytest.raises(OAuthError):
            check_client(wrong, OFFER)


def test_authlib_finds_nothing_wrong_with_the_metadata():
    AuthorizationServerMetadata(authorization_server(OFFER, "https://mail.example.org")).validate()
    OpenIDProviderMetadata(openid_provider(OFFER, "https://mail.example.org")).validate()
