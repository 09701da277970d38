"""What the authorization server can do, in one value. The discovery documents (RFC 8414, OpenID Connect Discovery, RFC 9728) are
derived from it, and so are the routes' own checks: neither can promise what the other does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flaskmail.oauth.pkce import METHODS

AUTHORIZE, DEVICE_PAGE = "/authorize", "/device"
"""The paths of the pages for people."""
TOKEN, DEVICE, REVOKE, INTROSPECT = "/auth/token", "/auth/device", "/auth/revoke", "/auth/introspect"
USERINFO, REGISTER, JWKS = "/auth/userinfo", "/auth/register", "/auth/jwks.json"
"""The paths of the endpoints for machines."""

CLAIMS = (
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "amr",
    "at_hash",
    "name",
    "preferred_username",
    "email",
    "email_verified",
)
"""The claims that an ID token or userinfo may have."""


@dataclass(frozen=True, slots=True)
class Offer:
    """endpoints: the metadata's name -> the path, for those that exist; grant_types, scopes, auth_methods (of the token and
    revocation endpoints), introspection_auth_methods, id_token_algs: what is accepted now."""

    endpoints: Mapping[str, str]
    grant_types: tuple[str, ...]
    scopes: tuple[str, ...]
    auth_methods: tuple[str, ...]
    introspection_auth_methods: tuple[str, ...]
    id_token_algs: tuple[str, ...]
    claims: tuple[str, ...] = CLAIMS
    response_types: tuple[str, ...] = ("code",)
    response_modes: tuple[str, ...] = ("query",)
    challenge_methods: tuple[str, ...] = METHODS
    subject_types: tuple[str, ...] = ("public",)


def authorization_server(offer: Offer, issuer: str) -> dict[str, Any]:
    """The metadata of RFC 8414 section 2. issuer: the base URL, without a final slash."""
    return {
        "issuer": issuer,
        **{name: issuer + path for name, path in offer.endpoints.items() if name != "userinfo_endpoint"},
        "scopes_supported": list(offer.scopes),
        "response_types_supported": list(offer.response_types),
        "response_modes_supported": list(offer.response_modes),
        "grant_types_supported": list(offer.grant_types),
        "token_endpoint_auth_methods_supported": list(offer.auth_methods),
        "revocation_endpoint_auth_methods_supported": list(offer.auth_methods),
        "introspection_endpoint_auth_methods_supported": list(offer.introspection_auth_methods),
        "code_challenge_methods_supported": list(offer.challenge_methods),
        # RFC 9207 section 3.
        "authorization_response_iss_parameter_supported": True,
    }


def openid_provider(offer: Offer, issuer: str) -> dict[str, Any]:
    """The metadata of OpenID Connect Discovery section 3."""
    return authorization_server(offer, issuer) | {
        "userinfo_endpoint": issuer + offer.endpoints["userinfo_endpoint"],
        "subject_types_supported": list(offer.subject_types),
        "id_token_signing_alg_values_supported": list(offer.id_token_algs),
        "claims_supported": list(offer.claims),
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        # Its default is true.
        "request_uri_parameter_supported": False,
    }


def protected_resource(offer: Offer, issuer: str) -> dict[str, Any]:
    """The metadata of RFC 9728 section 2."""
    return {
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": list(offer.scopes),
        # RFC 6750 section 2.1 only; tokens in forms and queries are not read.
        "bearer_methods_supported": ["header"],
    }
