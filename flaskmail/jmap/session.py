"""The Session object (RFC 8620 section 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from flaskmail.jmap.context import AccountAccess
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.storage import Record


def session_object(
    engine: Engine,
    username: str,
    accounts: Mapping[str, AccountAccess],
    base_url: str,
    complete: Callable[[Record], None] | None = None,
    allowed: frozenset[str] | None = None,
) -> Record:
    """The Session object of a user.

    accounts: every account that the user may see, own ones first. base_url: the public origin, with or without a path
    prefix and a final slash. complete: adds to everything but ``state``, which is a hash of everything else, so it changes
    when, and only when, anything else does. allowed: the capabilities that the credential may use, None for all.
    """
    limits, base = engine.limits, base_url.rstrip("/")
    shown = {urn: c for urn, c in engine.capabilities.items() if allowed is None or urn in allowed}
    of_accounts = {urn: value for urn, c in shown.items() if (value := c.account) is not None}
    session: Record = {
        "capabilities": {urn: c.session(limits) for urn, c in shown.items()},
        "accounts": {
            access.id: {
                "name": access.name,
                "isPersonal": access.is_personal,
                "isReadOnly": access.is_read_only,
                "accountCapabilities": {urn: value(access, limits) for urn, value in of_accounts.items()},
            }
            for access in accounts.values()
        },
        "primaryAccounts": _primary(of_accounts, accounts),
        "username": username,
        "apiUrl": f"{base}/jmap/",
        "downloadUrl": f"{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?accept={{type}}",
        "uploadUrl": f"{base}/jmap/upload/{{accountId}}/",
        "eventSourceUrl": f"{base}/jmap/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}",
    }
    if complete is not None:
        complete(session)
    octets = msgspec.json.encode(session, order="sorted")
    session["state"] = hashlib.sha256(octets).hexdigest()[:24]
    return session


def _primary(capabilities: Mapping[str, object], accounts: Mapping[str, AccountAccess]) -> dict[str, str]:
    """The user's first own account for each capability; none when the user has no own account."""
    for access in accounts.values():
        if access.is_personal:
            return dict.fromkeys(capabilities, access.id)
    return {}
