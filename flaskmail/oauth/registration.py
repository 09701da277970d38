"""Dynamic client registration (RFC 7591, OpenID Connect Dynamic Client Registration): a client's words about itself, checked.

Authlib checks the members that it knows; redirection URIs are ours, because they hold the rules of RFC 8252 and RFC 9700.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, cast

import msgspec

from flaskmail.oauth import redirects
from flaskmail.oauth.clients import CODE, AuthMethod, Client
from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.offer import Offer
from flaskmail.oauth.scope import parse_scope, scope_text

MAX_REDIRECTS, MAX_NAME, MAX_TEXT = 20, 100, 500

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2066-\u2069\ufeff]")


class Metadata(msgspec.Struct, frozen=True):
    """The members of RFC 7591 section 2 that mean something here; others are ignored, as it says there."""

    redirect_uris: list[str] = []
    token_endpoint_auth_method: str | None = None
    grant_types: list[str] | None = None
    response_types: list[str] | None = None
    client_name: str | None = None
    client_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    scope: str | None = None
    contacts: list[str] | None = None
    software_id: str | None = None
    software_version: str | None = None
    application_type: str | None = None
    id_token_signed_response_alg: str | None = None


def read_registration(body: bytes, offer: Offer, allowed: Collection[str], default_alg: str) -> Client:
    """The client that a registration asks for, without an id. offer: what exists; allowed: the scopes that such a client may
    ask for; default_alg: of ID tokens.

    Raises OAuthError ``invalid_redirect_uri`` or ``invalid_client_metadata`` (RFC 7591 section 3.2.2) that names the member."""
    try:
        said = msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(str(error)) from None
    grants = tuple(dict.fromkeys(said.grant_types if said.grant_types is not None else [CODE]))
    responses = said.response_types if said.response_types is not None else ["code"] if CODE in grants else []
    # RFC 7591 section 2.1: the two go together.
    if (CODE in grants) != (responses == ["code"]) or not grants:
        raise _refused("response_types: expected code together with the grant type authorization_code, else none")
    _check_values(said, grants, responses, offer)
    native = _native(said)
    _check_redirects(said, native, CODE in grants)
    scopes = _scopes(said.scope)
    kept = tuple(one for one in scopes if one in allowed) if scopes else tuple(allowed)
    if not kept:
        raise _refused("scope: none of these can be granted to a client that registers itself")
    return Client(
        id="",
        name=_text("client_name", said.client_name, MAX_NAME),
        redirect_uris=tuple(dict.fromkeys(said.redirect_uris)),
        grant_types=grants,
        # RFC 7591 section 2: the default.
        auth_method=cast(AuthMethod, said.token_endpoint_auth_method or "client_secret_basic"),
        native=native,
        scopes=kept,
        id_token_alg=said.id_token_signed_response_alg or default_alg,
        uri=_link("client_uri", said.client_uri),
        policy_uri=_link("policy_uri", said.policy_uri),
        tos_uri=_link("tos_uri", said.tos_uri),
        contacts=tuple(_text("contacts", one, MAX_TEXT) for one in said.contacts or [])[:10],
        software_id=_text("software_id", said.software_id, MAX_TEXT),
        software_version=_text("software_version", said.software_version, MAX_TEXT),
        dynamic=True,
    )


def check_client(client: Client, offer: Offer) -> None:
    """The same rules for a client that an administrator makes. Raises OAuthError that names the member."""
    said = Metadata(
        redirect_uris=list(client.redirect_uris),
        token_endpoint_auth_method=client.auth_method,
        grant_types=list(client.grant_types),
        application_type="native" if client.native else "web",
        id_token_signed_response_alg=client.id_token_alg,
    )
    if not client.grant_types:
        raise _refused("grant_types: expected at least one")
    _check_values(said, client.grant_types, ["code"] if CODE in client.grant_types else [], offer)
    _check_redirects(said, client.native, CODE in client.grant_types)
    unknown = [one for one in client.scopes or () if one not in offer.scopes]
    if unknown or client.scopes == ():
        raise _refused(f"scope: expected some of {', '.join(offer.scopes)}")
    _text("client_name", client.name, MAX_NAME)
    for name, link in (("client_uri", client.uri), ("policy_uri", client.policy_uri), ("tos_uri", client.tos_uri)):
        _link(name, link)


def _check_values(said: Metadata, grants: Collection[str], responses: list[str], offer: Offer) -> None:
    from authlib.oauth2.rfc7591 import ClientMetadataClaims
    from joserfc.errors import JoseError

    # Its idea of a redirect URI has a host, which a scheme of one's own has not; scopes that are unknown are left out, not
    # refused; links have to be https.
    ours = ("redirect_uris", "scope", "client_uri", "policy_uri", "tos_uri")
    said_members = msgspec.to_builtins(said).items()
    claims = {name: value for name, value in said_members if value is not None and name not in ours}
    claims |= {"grant_types": list(grants), "response_types": responses}
    options = ClientMetadataClaims.get_claims_options(
        {
            "grant_types_supported": list(offer.grant_types),
            "response_types_supported": list(offer.response_types),
            "token_endpoint_auth_methods_supported": list(offer.auth_methods),
        }
    )
    try:
        ClientMetadataClaims(claims, {}, options).validate()
    except JoseError as error:
        name = str(getattr(error, "claim", None) or "a member")
        raise _refused(f"{name}: expected what the metadata of this server says it supports") from None
    if said.id_token_signed_response_alg not in (None, *offer.id_token_algs):
        raise _refused(f"id_token_signed_response_alg: expected one of {', '.join(offer.id_token_algs)}")
    if said.application_type not in (None, "web", "native"):
        raise _refused("application_type: expected web or native")


def _scopes(text: str | None) -> tuple[str, ...]:
    try:
        return parse_scope(text)
    except OAuthError as error:
        raise _refused(f"scope: {error.description}") from None


def _native(said: Metadata) -> bool:
    if said.application_type is not None:
        return said.application_type == "native"
    # RFC 7591 does not know the member: such URIs lead to the user's own device.
    return any(not uri.startswith("https://") for uri in said.redirect_uris)


def _check_redirects(said: Metadata, native: bool, needed: bool) -> None:
    if needed != bool(said.redirect_uris):
        wanted = "at least one" if needed else "none without the grant type authorization_code"
        raise OAuthError("invalid_redirect_uri", f"redirect_uris: expected {wanted}")
    if len(said.redirect_uris) > MAX_REDIRECTS:
        raise OAuthError("invalid_redirect_uri", f"redirect_uris: expected {MAX_REDIRECTS} at most")
    for uri in said.redirect_uris:
        wrong = redirects.mistake(uri, native)
        if wrong is not None:
            raise OAuthError("invalid_redirect_uri", f"redirect_uris: {wrong}")


def _text(name: str, value: str | None, most: int) -> str:
    if value is not None and (len(value) > most or _CONTROL.search(value)):
        raise _refused(f"{name}: expected at most {most} characters, and no control characters")
    return value or ""


def _link(name: str, value: str | None) -> str:
    if value and (redirects.mistake(value, False) is not None or not value.startswith("https://")):
        raise _refused(f"{name}: expected an https URL")
    return value or ""


def _refused(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", re.sub(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]", "'", description))


def client_information(client: Client, secret: str | None) -> dict[str, Any]:
    """What a client is told about itself (RFC 7591 section 3.2.1). secret: when it was made just now."""
    found: dict[str, Any] = {"client_id": client.id, "client_id_issued_at": client.created}
    if secret is not None:
        # 0: it does not expire.
        found |= {"client_secret": secret, "client_secret_expires_at": 0}
    found |= {
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if CODE in client.grant_types else [],
        "token_endpoint_auth_method": client.auth_method,
        "application_type": "native" if client.native else "web",
        "id_token_signed_response_alg": client.id_token_alg,
    }
    if client.scopes is not None:
        found["scope"] = scope_text(client.scopes)
    optional = {
        "client_uri": client.uri,
        "policy_uri": client.policy_uri,
        "tos_uri": client.tos_uri,
        "contacts": list(client.contacts),
        "software_id": client.software_id,
        "software_version": client.software_version,
    }
    return found | {name: value for name, value in optional.items() if value}
