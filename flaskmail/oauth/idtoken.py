"""The claims of ID tokens and of userinfo (OpenID Connect Core sections 2 and 5)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flaskmail.oauth.scope import EMAIL, PROFILE


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the claims are about. sub: the id, which nobody else ever gets; username: the name to sign in with; name: for
    people, or ""; email: the address, or None."""

    sub: str
    username: str
    name: str
    email: str | None


def about(person: Person, scopes: Collection[str]) -> dict[str, Any]:
    """The claims that the scopes let a client know (OpenID Connect Core section 5.4), ``sub`` first."""
    found: dict[str, Any] = {"sub": person.sub}
    if PROFILE in scopes:
        found["preferred_username"] = person.username
        if person.name:
            found["name"] = person.name
    if EMAIL in scopes and person.email is not None:
        # The mailbox is this server's own.
        found |= {"email": person.email, "email_verified": True}
    return found


def half_hash(token: str) -> str:
    """``at_hash`` of an access token, for signatures with SHA-256 (OpenID Connect Core section 3.1.3.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode("ascii")).digest()[:16]).rstrip(b"=").decode()


def id_token_claims(
    person: Person,
    scopes: Collection[str],
    *,
    issuer: str,
    client: str,
    now: int,
    seconds: int,
    authenticated: int,
    amr: Sequence[str],
    access_token: str,
    nonce: str | None,
) -> dict[str, Any]:
    """The claims of an ID token. client: the ``client_id`` for ``aud``; seconds: that it is good for; authenticated: when the
    user gave a credential, 0 when that is not known."""
    claims = about(person, scopes) | {
        "iss": issuer,
        "aud": client,
        "iat": now,
        "exp": now + seconds,
        "at_hash": half_hash(access_token),
    }
    if authenticated:
        claims["auth_time"] = authenticated
    if amr:
        claims["amr"] = list(amr)
    if nonce is not None:
        claims["nonce"] = nonce
    return claims
