from __future__ import annotations

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.pkce import challenge_of, read_challenge, verifies

# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_example_of_the_standard():
    assert challenge_of(VERIFIER) == CHALLENGE
    assert read_challenge({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}) == CHALLENGE
    assert verifies(VERIFIER, CHALLENGE)


def test_the_same_as_authlib():
    for verifier in ("a" * 43, "Z9-._~" * 20, "b" * 128):
        assert challenge_of(verifier) == create_s256_code_challenge(verifier)
        assert verifies(verifier, create_s256_code_challenge(verifier))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"code_challenge_method": "S256"},
        {"code_challenge": VERIFIER},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"code_challenge": CHALLENGE, "code_challenge_method": "s256"},
        {"code_challenge": CHALLENGE, "code_challenge_method": "S512"},
        {"code_challenge": CHALLENGE[:-1], "code_challenge_method": "S256"},
        {"code_challenge": CHALLENGE + "=", "code_challenge_method": "S256"},
        {"code_challenge": CHALLENGE[:-1] + "N", "code_challenge_method": "S256"},
        {"code_challenge": CHALLENGE.replace("-", "+"), "code_challenge_method": "S256"},
        {"code_challenge": CHALLENGE + "\n", "code_challenge_method": "S256"},
    ],
    ids=str,
)
def test_whatever_is_not_s256_is_refused(parameters):
    with pytest.raises(OAuthError) as caught:
        read_challenge(parameters)
    assert caught.value.error == "invalid_request"


@pytest.mark.parametrize(
    "verifier",
    [None, "", "a" * 42, "a" * 129, CHALLENGE, VERIFIER[:-1], VERIFIER + "\n", VERIFIER[:-1] + "é", VERIFIER.lower()],
    ids=ascii,
)
def test_any_other_verifier_fails(verifier):
    assert not verifies(verifier, CHALLENGE)


def test_a_short_verifier_fails_with_its_own_challenge():
    assert not verifies("a" * 42, challenge_of("a" * 42))
