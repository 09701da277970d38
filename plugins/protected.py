"""Keeps some accounts, groups and keys from being changed or deleted over the API, whoever asks.

    [plugins.protected]
    names = ["postmaster@example.org", "backup-key"]
    allow = ["password"]      # kinds of credential that may do it all the same; default: none

The command line on the server itself is not bound by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskmail.accounts.principals import Principal
from flaskmail.hookspecs import Denied, hookimpl

ACTIONS = ("-update", "-delete")


@hookimpl
def startup(server: Any) -> None:
    """Finds mistakes in the settings before a request does."""
    options = server.settings.plugins.options.get("protected", {})
    unknown = options.keys() - {"names", "allow"}
    if unknown:
        raise ValueError(f"plugins.protected has no key {min(unknown)}")


@hookimpl
def authorize(server: Any, principal: Principal, permission: str, resource: Mapping[str, Any]) -> Denied | None:
    """Objects when one of the names is to be changed or deleted."""
    options = server.settings.plugins.options.get("protected", {})
    if not permission.endswith(ACTIONS) or resource.get("name") not in options.get("names", ()):
        return None
    if principal.grant.kind in ("local", *options.get("allow", ())):
        return None
    return Denied(f"{resource['name']} is protected: change it on the server itself.")
