"""The settings of the authorization server (OAuth 2.0, OpenID Connect)."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting


@dataclass(frozen=True, slots=True)
class OAuthExpiry:
    """How long what the authorization server gives out is good for."""

    token: int = setting(kinds.duration(60, 86400), 3600, "Access tokens.")
    refresh_token: int = setting(
        kinds.duration(3600, 3650 * 86400),
        30 * 86400,
        "Refresh tokens that are not used. Each use gives the application a new one.",
    )
    authorization: int = setting(
        kinds.duration(3600, 3650 * 86400),
        365 * 86400,
        "What a user has allowed an application, however often it renews its tokens: then the user is asked again.",
    )
    auth_code: int = setting(kinds.duration(10, 600), 60, "Authorization codes.")
    user_code: int = setting(
        kinds.duration(60, 3600), 1800, "The codes that a device shows, to be typed in on another one."
    )


@dataclass(frozen=True, slots=True)
class OAuthClientRegistration:
    """Applications that register themselves (RFC 7591). Others are registered by an administrator."""

    enable: bool = setting(kinds.BOOLEAN, False, "Let applications register themselves at /auth/register.")
    anonymous: bool = setting(
        kinds.BOOLEAN,
        False,
        "Whether they may do so without credentials; else an account with the permission oauth-client-create does it.",
    )


@dataclass(frozen=True, slots=True)
class OAuthOidcExpiry:
    """How long what belongs to OpenID Connect is good for."""

    id_token: int = setting(kinds.duration(60, 86400), 900, "ID tokens.")
    key: int = setting(
        kinds.duration(86400, 3650 * 86400),
        90 * 86400,
        "A key signs ID tokens for so long, then a new one does. Its public half is kept until all that it signed is over.",
    )


@dataclass(frozen=True, slots=True)
class OAuthOidc:
    """OpenID Connect."""

    signature_algorithm: str = setting(
        kinds.choice("RS256", "ES256"),
        "RS256",
        "How ID tokens are signed for a client that is registered without a wish.",
    )
    expiry: OAuthOidcExpiry = OAuthOidcExpiry()


@dataclass(frozen=True, slots=True)
class OAuth:
    """The authorization server: applications act for a user without ever seeing the password."""

    expiry: OAuthExpiry = OAuthExpiry()
    client_registration: OAuthClientRegistration = OAuthClientRegistration()
    oidc: OAuthOidc = OAuthOidc()
