from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from flaskmail.oauth.authorization import (
    MAX_ECHO,
    AuthorizationRequest,
    RedirectError,
    Refused,
    next_step,
    read_request,
)
from flaskmail.oauth.clients import GRANT_TYPES, Client

ISSUER = "https://mail.example.org"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
SUPPORTED = ("openid", "offline_access", "email", "urn:x")
CLIENTS = {
    "one": Client("one", "One", ("https://one.example/cb",), GRANT_TYPES),
    "two": Client("two", "Two", ("https://two.example/a", "https://two.example/b")),
    "device": Client("device", "TV", ("https://tv.example/cb",), GRANT_TYPES[2:]),
    "narrow": Client("narrow", "Narrow", ("https://narrow.example/",), scopes=("email",)),
}
GOOD = {
    "client_id": "one",
    "redirect_uri": "https://one.example/cb",
    "response_type": "code",
    "scope": "openid email",
    "state": "a b&c",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def read(**changes: str | None) -> AuthorizationRequest | Refused | RedirectError:
    parameters = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return read_request(urlencode(parameters).encode(), ISSUER, CLIENTS.get, SUPPORTED, ("urn:x",))


def request(**changes: str | None) -> AuthorizationRequest:
    found = read(**changes)
    assert isinstance(found, AuthorizationRequest), found
    return found


def test_a_good_request():
    found = request(nonce="n", prompt="login consent", max_age="60", login_hint="ann@example.org", unknown="x")
    assert found.client is CLIENTS["one"]
    assert found.scopes == ("openid", "email")
    assert (found.state, found.nonce, found.max_age, found.login_hint) == ("a b&c", "n", 60, "ann@example.org")
    assert found.prompt == {"login", "consent"}
    again = read_request(found.query.encode(), ISSUER, CLIENTS.get, SUPPORTED, ())
    assert again == found


def test_the_answer_carries_state_and_issuer():
    url = urlsplit(request().answer(code="fmc_x"))
    assert url._replace(query="").geturl() == "https://one.example/cb"
    assert parse_qs(url.query) == {"code": ["fmc_x"], "state": ["a b&c"], "iss": [ISSUER]}
    assert "state" not in parse_qs(urlsplit(request(state=None).answer(code="x")).query)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "ONE"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://one.example/cb/"},
        {"client_id": "two", "redirect_uri": None},
        {"client_id": "two"},
    ],
    ids=str,
)
def test_without_a_registered_target_there_is_no_redirect(changes):
    # Whatever else is wrong with it.
    for more in ({}, {"response_type": "token"}, {"code_challenge": None}, {"prompt": "none"}):
        assert isinstance(read(**changes, **more), Refused)


@pytest.mark.parametrize(
    "again", ["client_id=two", "redirect_uri=https://evil.example/", "redirect_uri=", "client_id=%00"]
)
def test_who_repeats_where_the_answer_goes_is_refused_on_a_page(again):
    query = f"{urlencode(GOOD)}&{again}".encode()
    assert isinstance(read_request(query, ISSUER, CLIENTS.get, SUPPORTED, ()), Refused)


@pytest.mark.parametrize(
    ("more", "state"), [("scope=x", ["a b&c"]), ("x=1&x=1", ["a b&c"]), ("x=%00", ["a b&c"]), ("state=x", None)]
)
def test_a_parameter_that_is_repeated_otherwise_is_told_to_the_client(more, state):
    found = read_request(f"{urlencode(GOOD)}&{more}".encode(), ISSUER, CLIENTS.get, SUPPORTED, ("urn:x",))
    assert isinstance(found, RedirectError)
    said = parse_qs(urlsplit(found.url).query)
    # Which of two states is meant nobody knows.
    assert (said["error"], said.get("state"), said["iss"]) == (["invalid_request"], state, [ISSUER])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "nothing"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "x"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"request": "x"}, "request_not_supported"),
        ({"request_uri": "https://x"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"nonce": "n" * (MAX_ECHO + 1)}, "invalid_request"),
        ({"client_id": "device", "redirect_uri": "https://tv.example/cb"}, "unauthorized_client"),
        ({"client_id": "narrow", "redirect_uri": None, "scope": "openid"}, "invalid_scope"),
    ],
    ids=str,
)
def test_other_errors_are_redirected_with_state_and_issuer(changes, error):
    found = read(**changes)
    assert isinstance(found, RedirectError)
    said = parse_qs(urlsplit(found.url).query)
    assert (said["error"], said["state"], said["iss"]) == ([error], ["a b&c"], [ISSUER])
    assert found.url.split("?")[0] in [uri for client in CLIENTS.values() for uri in client.redirect_uris]


def test_a_state_that_is_too_long_is_not_echoed():
    found = read(state="x" * (MAX_ECHO + 1))
    assert isinstance(found, RedirectError)
    assert "state=" not in found.url


def test_the_redirect_uri_may_be_left_out_when_there_is_one():
    found = request(redirect_uri=None)
    assert (found.redirect_uri, found.redirect_given) == ("https://one.example/cb", False)


def test_scopes_are_cut_to_what_the_client_may_have_and_default_to_mail():
    assert request(client_id="narrow", redirect_uri=None).scopes == ("email",)
    assert request(scope=None).scopes == ("urn:x",)


CONFIDENTIAL = replace(CLIENTS["one"], auth_method="client_secret_basic")


def step(
    prompt: str = "", max_age: str | None = None, *, client: Client = CONFIDENTIAL, scope: str = "openid", **given
):
    found = replace(request(prompt=prompt or None, max_age=max_age, scope=scope), client=client)
    known = {"subject": "ann", "authenticated": 500, "since": 1000, "now": 1000, "agreed": False} | given
    answered = next_step(found, **known)
    return answered.error if isinstance(answered, RedirectError) else answered


def test_who_is_not_signed_in_signs_in():
    assert step(authenticated=None) == "login"
    assert step("none", authenticated=None) == "login_required"


def test_who_is_signed_in_is_asked():
    assert step() == "consent"
    assert step("none") == "consent_required"


def test_what_was_allowed_before_is_passed_on_for_clients_with_a_secret():
    assert step(agreed=True) == "approve"
    assert step("none", agreed=True) == "approve"
    assert step("consent", agreed=True) == "consent"
    assert step(agreed=True, client=CLIENTS["one"]) == "consent"
    assert step("none", agreed=True, client=CLIENTS["one"]) == "consent_required"
    assert step(agreed=True, scope="openid offline_access") == "consent"


def test_a_new_sign_in_is_asked_for_once():
    assert step("login", agreed=True) == "login"
    assert step("select_account", agreed=True) == "login"
    assert step("login", agreed=True, authenticated=1000, now=1005) == "approve"


def test_a_hint_is_about_one_person():
    query = urlencode(GOOD | {"id_token_hint": "of-ann"}).encode()
    hinted = read_request(query, ISSUER, CLIENTS.get, SUPPORTED, (), {"of-ann": "ann"}.get)
    assert isinstance(hinted, AuthorizationRequest)
    times = {"since": 1000, "now": 1000, "agreed": False}
    assert next_step(hinted, subject="ann", authenticated=500, **times) == "consent"
    assert next_step(hinted, subject=None, authenticated=None, **times) == "login"
    for authenticated in (500, 1000):
        other = next_step(hinted, subject="bob", authenticated=authenticated, **times)
        assert isinstance(other, RedirectError)
        assert other.error == "login_required"
    unknown = read_request(query, ISSUER, CLIENTS.get, SUPPORTED, (), {}.get)
    assert isinstance(unknown, RedirectError)
    assert unknown.error == "invalid_request"


def test_an_old_sign_in_is_renewed():
    assert step(max_age="499") == "login"
    assert step(max_age="500") == "consent"
    assert step("none", "0") == "login_required"
    # A slow user who has just signed in is not sent back.
    assert step(max_age="0", authenticated=1001, now=1100) == "consent"
