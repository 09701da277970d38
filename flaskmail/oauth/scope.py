"""Scopes as text (RFC 6749 section 3.3). What each allows is said in :mod:`flaskmail.accounts`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from flaskmail.oauth.errors import OAuthError

OPENID, OFFLINE, PROFILE, EMAIL = "openid", "offline_access", "profile", "email"
IDENTITY = (OPENID, OFFLINE, PROFILE, EMAIL)
"""The scopes of OpenID Connect Core sections 3.1.2.1, 5.4 and 11 that are known."""

_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def parse_scope(text: str | None) -> tuple[str, ...]:
    """The scopes in their order, each once. Raises OAuthError ``invalid_scope`` for what RFC 6749 does not allow as one."""
    words = [word for word in (text or "").split(" ") if word]
    if not all(_TOKEN.fullmatch(word) for word in words):
        raise OAuthError("invalid_scope", "The scope holds characters that RFC 6749 does not allow there.")
    return tuple(dict.fromkeys(words))


def scope_text(scopes: Iterable[str]) -> str:
    """As it is sent."""
    return " ".join(scopes)


def grantable(
    asked: tuple[str, ...], supported: Collection[str], allowed: Collection[str] | None, default: Iterable[str]
) -> tuple[str, ...]:
    """What of the scopes that were asked for can be granted; ``default`` when none was asked for.

    supported: by the server; allowed: to the client, None for all. What is not known is left out, and the response says what was
    granted (RFC 6749 section 3.3). Raises OAuthError ``invalid_scope`` when nothing is left."""
    wanted = asked or tuple(default)
    left = tuple(one for one in wanted if one in supported and (allowed is None or one in allowed))
    if not left:
        raise OAuthError("invalid_scope", "None of the scopes can be granted to this client.")
    return left


def narrowed(asked: tuple[str, ...], granted: Collection[str]) -> tuple[str, ...]:
    """The scopes of a refreshed token. Raises OAuthError ``invalid_scope`` for one that was not granted."""
    if not asked:
        return tuple(granted)
    # RFC 6749 section 6: MUST NOT include any scope not originally granted.
    if not set(asked) <= set(granted):
        raise OAuthError("invalid_scope", "A scope was not granted before.")
    return asked
