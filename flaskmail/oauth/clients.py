"""Clients (RFC 6749 section 2), and how they say who they are at the token endpoint (section 2.3)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_plus

from flaskmail.oauth.errors import OAuthError, invalid_client, invalid_request
from flaskmail.oauth.parameters import Parameters

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post"]
AUTH_METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_basic", "client_secret_post")
"""``token_endpoint_auth_method``: what is known."""
CODE, REFRESH, DEVICE = "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = (CODE, REFRESH, DEVICE)
"""``grant_type``: what is known."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. id: ``client_id``; name: for people; redirect_uris, grant_types, auth_method
    (``token_endpoint_auth_method``): of RFC 7591 section 2; native: its ``application_type`` is native; scopes: what it may
    ask for, None for anything; id_token_alg: ``id_token_signed_response_alg``; uri, policy_uri, tos_uri: links for people, or
    ""; contacts: mail addresses; software_id, software_version: or ""; dynamic: it registered itself (RFC 7591); created,
    used: seconds since 1970, used None for never."""

    id: str
    name: str
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = (CODE,)
    auth_method: AuthMethod = "none"
    native: bool = False
    scopes: tuple[str, ...] | None = None
    id_token_alg: str = "RS256"
    uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    software_id: str = ""
    software_version: str = ""
    dynamic: bool = False
    created: int = 0
    used: int | None = None

    @property
    def confidential(self) -> bool:
        """Whether it has a secret (RFC 6749 section 2.1)."""
        return self.auth_method != "none"


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a client presents. secret: None when it has none; method: as in ``token_endpoint_auth_method``."""

    id: str
    secret: str | None
    method: AuthMethod

    def __repr__(self) -> str:
        return f"ClientCredentials(id={self.id!r}, method={self.method!r})"


def read_credentials(authorization: str | None, form: Parameters) -> ClientCredentials:
    """Who the client says it is. authorization: the header, or None.

    Raises OAuthError: ``invalid_request`` when it says so in two ways, ``invalid_client`` when not at all."""
    in_form = form.get("client_id")
    if authorization is None:
        if in_form is None:
            raise invalid_client("The client does not say who it is: client_id is missing.")
        secret = form.get("client_secret")
        return ClientCredentials(in_form, secret, "none" if secret is None else "client_secret_post")
    if "client_secret" in form:
        # RFC 6749 section 2.3: MUST NOT use more than one authentication method in each request.
        raise invalid_request("The client authenticates twice: in the Authorization header and in the form.")
    id, secret = _basic(authorization)
    if in_form is not None and in_form != id:
        raise invalid_request("The client_id of the form is not that of the Authorization header.")
    return ClientCredentials(id, secret, "client_secret_basic")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise invalid_client("The Authorization header of a client is Basic.", basic=True)
    try:
        text = base64.b64decode(rest.strip(" "), validate=True).decode()
        id, colon, secret = text.partition(":")
        # RFC 6749 section 2.3.1: both are form-urlencoded before they are joined.
        pair = unquote_plus(id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise invalid_client("The Basic credentials are not base64 of UTF-8 text.", basic=True) from None
    if not colon:
        raise invalid_client("The Basic credentials hold no colon.", basic=True)
    return pair


def check_grant_type(client: Client, grant_type: str) -> None:
    """Raises OAuthError ``unauthorized_client`` when the client is not registered for the grant type."""
    if grant_type not in client.grant_types:
        raise OAuthError("unauthorized_client", "This client is not registered for this grant type.")
