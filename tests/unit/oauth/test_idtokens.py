from __future__ import annotations

import json

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from flaskmail.oauth.idtoken import Person, about, half_hash, id_token_claims
from flaskmail.oauth.keys import ALGORITHMS, SigningKey, key_set, make_key, sign

ANN = Person("a1", "ann@example.org", "Ann", "ann@example.org")
CLAIMS = {
    "issuer": "https://mail.example.org",
    "client": "c",
    "now": 1000,
    "seconds": 900,
    "authenticated": 900,
    "amr": ("pwd", "otp", "mfa"),
    "access_token": "fmo_x",
    "nonce": "n",
}


@pytest.fixture(scope="module")
def keys() -> dict[str, SigningKey]:
    return {algorithm: make_key(algorithm) for algorithm in ALGORITHMS}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_is_verified_with_the_published_key(keys, algorithm):
    token = sign(id_token_claims(ANN, ["openid"], **CLAIMS), keys[algorithm])
    published = KeySet.import_key_set(key_set([key.public for key in keys.values()]))
    found = jwt.decode(token, published, algorithms=[algorithm])
    assert found.header["kid"] == keys[algorithm].id
    assert found.claims == {
        "sub": "a1",
        "iss": "https://mail.example.org",
        "aud": "c",
        "iat": 1000,
        "exp": 1900,
        "at_hash": half_hash("fmo_x"),
        "auth_time": 900,
        "amr": ["pwd", "otp", "mfa"],
        "nonce": "n",
    }
    head, body, signature = token.split(".")
    with pytest.raises(JoseError):
        jwt.decode(f"{head}.{body}.{signature[:-4]}AAAA", published, algorithms=[algorithm])


def test_nothing_private_is_published(keys):
    text = json.dumps(key_set([key.public for key in keys.values()]))
    published = json.loads(text)
    for key in published["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
        assert key["kty"] in ("RSA", "EC")
    for key in keys.values():
        assert "private" not in repr(key)


@pytest.mark.parametrize("bad", [OctKey.generate_key(256).as_dict(private=True), {"kty": "EC", "d": "x"}, {}])
def test_what_is_not_public_cannot_be_published(bad):
    with pytest.raises(ValueError, match="not public"):
        key_set([bad])


def test_claims_follow_the_scopes():
    assert about(ANN, []) == {"sub": "a1"}
    assert about(ANN, ["profile"]) == {"sub": "a1", "name": "Ann", "preferred_username": "ann@example.org"}
    assert about(ANN, ["email"]) == {"sub": "a1", "email": "ann@example.org", "email_verified": True}
    assert about(Person("a2", "admin", "", None), ["email", "profile"]) == {"sub": "a2", "preferred_username": "admin"}


def test_the_example_of_at_hash():
    # OpenID Connect Core appendix A.3.
    assert half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


def test_what_is_not_known_is_not_claimed():
    found = id_token_claims(ANN, [], **(CLAIMS | {"authenticated": 0, "amr": (), "nonce": None}))
    assert not {"auth_time", "amr", "nonce"} & found.keys()
