"""Scopes: how much of what its owner may do a credential carries. Pure.

A scope is the URN of a JMAP capability, which lets the credential use that capability, or one of ``SCOPES``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from flaskmail.accounts.grants import Grant
from flaskmail.accounts.permissions import OWN

CORE = "urn:ietf:params:jmap:core"
MANAGEMENT = "urn:flaskmail:management"
ACCOUNT = "urn:flaskmail:account"

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "openid": "See who you are.",
        "profile": "See your name.",
        "email": "See your address.",
        "offline_access": "Stay signed in while you are away.",
        ACCOUNT: "Change your password, second factor, app passwords, tokens and sessions.",
        MANAGEMENT: "Manage the server as far as you may.",
    }
)
"""Every scope that is no JMAP capability -> what it allows, in one sentence for the owner."""

# Whether somebody may sign in at all does not depend on how much he wants to do then.
_SIGN_IN = frozenset({"authenticate", "authenticate-oauth"})


def permissions_within(grant: Grant, owned: frozenset[str]) -> frozenset[str]:
    """What is left of its owner's permissions to one who comes with this grant."""
    allowed = owned & _SIGN_IN
    if grant.scopes is None:
        # An app password is for mail; it manages only what it was made for in so many words.
        return allowed if grant.kind == "app-password" else owned
    if ACCOUNT in grant.scopes:
        allowed |= owned & OWN
    if MANAGEMENT in grant.scopes:
        allowed |= owned - OWN
    return allowed


def scope_for(permission: str) -> str:
    """The scope that lets a credential use the permission."""
    return ACCOUNT if permission in OWN else MANAGEMENT


def capabilities_within(scopes: frozenset[str] | None, known: Collection[str]) -> frozenset[str] | None:
    """The JMAP capabilities that can be used, of those that the server has; None for all. Every one comes with the core, without
    which no other can be used (RFC 8620 section 2)."""
    if scopes is None:
        return None
    allowed = scopes.intersection(known)
    return allowed | {CORE} if allowed else allowed
