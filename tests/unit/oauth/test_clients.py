from __future__ import annotations

import base64

import pytest

from flaskmail.oauth.clients import Client, check_grant_type, read_credentials
from flaskmail.oauth.errors import OAuthError


def header(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def refusal(authorization: str | None, form: dict[str, str]) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        read_credentials(authorization, form)
    return caught.value


def test_the_three_ways_to_say_who_one_is():
    none = read_credentials(None, {"client_id": "a"})
    assert (none.id, none.secret, none.method) == ("a", None, "none")
    post = read_credentials(None, {"client_id": "a", "client_secret": "s"})
    assert (post.id, post.secret, post.method) == ("a", "s", "client_secret_post")
    basic = read_credentials(header("a:s"), {})
    assert (basic.id, basic.secret, basic.method) == ("a", "s", "client_secret_basic")
    assert read_credentials(header("a:s"), {"client_id": "a"}) == basic


def test_both_parts_of_basic_are_form_encoded():
    found = read_credentials(header("a%3Ab:s+%C3%A9%25:x"), {})
    assert (found.id, found.secret) == ("a:b", "s é%:x")


def test_a_secret_is_not_shown():
    assert "s3cret" not in repr(read_credentials(None, {"client_id": "a", "client_secret": "s3cret"}))


@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        (header("a:s"), {"client_secret": "s"}),
        (header("a:s"), {"client_id": "b"}),
    ],
)
def test_nobody_authenticates_twice(authorization, form):
    assert refusal(authorization, form).error == "invalid_request"


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Basic", "Basic !", header("no colon"), "Basic /w==", header("%FF:x")]
)
def test_a_bad_header_is_answered_with_a_challenge(authorization):
    error = refusal(authorization, {})
    assert (error.error, error.status) == ("invalid_client", 401)
    assert error.headers["WWW-Authenticate"].startswith("Basic ")


def test_who_says_nothing_is_nobody():
    error = refusal(None, {})
    assert (error.error, error.status, error.headers) == ("invalid_client", 400, {})


def test_a_client_uses_only_the_grants_it_registered():
    check_grant_type(Client("a", "A"), "authorization_code")
    with pytest.raises(OAuthError) as caught:
        check_grant_type(Client("a", "A"), "refresh_token")
    assert caught.value.error == "unauthorized_client"
