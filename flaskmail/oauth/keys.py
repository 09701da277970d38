"""Keys that sign ID tokens (RFC 7517, RFC 7518). The libraries are imported when the first key is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ALGORITHMS = ("RS256", "ES256")
"""How ID tokens can be signed. OpenID Connect Discovery section 3 requires RS256."""

RSA_BITS = 2048

_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """id: the thumbprint of RFC 7638, its ``kid``; public: the JWK without the private part; private: PKCS #8 in DER."""

    id: str
    algorithm: str
    public: Mapping[str, str]
    private: bytes

    def __repr__(self) -> str:
        return f"SigningKey({self.id!r}, {self.algorithm!r})"


def make_key(algorithm: str) -> SigningKey:
    """A new key for one of ``ALGORITHMS``."""
    from joserfc.jwk import ECKey, RSAKey

    made = RSAKey.generate_key(RSA_BITS) if algorithm == "RS256" else ECKey.generate_key("P-256")
    whole = made.as_dict(private=False)
    # Named one by one, so that no private member can slip in.
    public = {name: str(whole[name]) for name in _PUBLIC[str(whole["kty"])]}
    kid = made.thumbprint()
    return SigningKey(kid, algorithm, public | {"kid": kid, "use": "sig", "alg": algorithm}, made.as_der(private=True))


def sign(claims: Mapping[str, Any], key: SigningKey) -> str:
    """A JWT (RFC 7519) with these claims."""
    from joserfc import jwt
    from joserfc.jwk import ECKey, RSAKey

    private = (RSAKey if key.algorithm == "RS256" else ECKey).import_key(key.private)
    header = {"alg": key.algorithm, "kid": key.id, "typ": "JWT"}
    return jwt.encode(header, dict(claims), private, algorithms=[key.algorithm])


def verified(token: str, public: Iterable[Mapping[str, str]]) -> dict[str, Any] | None:
    """The claims of a JWT that one of these keys has signed, whether or not it is over; None for any other text. public: as they
    are published."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    published: Any = key_set(public)
    try:
        # The names come from here, not from the token: none and the symmetric ones are no algorithms of ours.
        return jwt.decode(token, KeySet.import_key_set(published), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None


def key_set(public: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """The document of ``jwks_uri`` (RFC 7517 section 5): public keys, and never a symmetric one."""
    every = [dict(one) for one in public]
    allowed = {name for names in _PUBLIC.values() for name in names} | {"kid", "use", "alg"}
    if any(one.get("kty") not in _PUBLIC or not one.keys() <= allowed for one in every):
        raise ValueError("a key that is not public")
    return {"keys": every}
