"""What the authorization server offers in this application: what it can do, less what has no route here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from flaskmail import sockets
from flaskmail.server import Server

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"

RESOURCES = ("/.well-known/jmap", "/jmap/session", "/jmap/")
"""Protected addresses at which clients begin. Each has metadata of its own, all of it the same but for its name."""

_NEEDED = {
    "authorization_endpoint": ("authorization_code", "implicit"),
    "device_authorization_endpoint": ("urn:ietf:params:oauth:grant-type:device_code",),
}
_BESIDE = {
    "authorization_endpoint": (
        "response_types_supported",
        "response_modes_supported",
        "code_challenge_methods_supported",
        "authorization_response_iss_parameter_supported",
    ),
    "revocation_endpoint": ("revocation_endpoint_auth_methods_supported",),
    "introspection_endpoint": ("introspection_endpoint_auth_methods_supported",),
}


def has_route(path: str) -> bool:
    """Whether the application answers at this path, with whatever method, on one listener at least."""
    if not sockets.served_anywhere(path):
        return False
    adapter = current_app.url_map.bind("localhost", script_name="/")
    return bool(adapter.allowed_methods(path))


def metadata(server: Server, kind: str, base: str) -> dict[str, Any] | None:
    """A discovery document as it is true in this application; None when there is no authorization server here. kind: the last
    part of its well-known address; base: the base URL of the server."""
    found = server.oauth.metadata(kind, base)
    if found is None or not has_route(server.oauth.offer.endpoints["token_endpoint"]):
        return None
    return only_real(found, base)


def only_real(document: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The document without endpoints that have no route, and without what can only be done there."""
    mounted = urlsplit(base).path
    found = dict(document)
    for name in [name for name in found if name.endswith("_endpoint") or name == "jwks_uri"]:
        path = urlsplit(found[name]).path.removeprefix(mounted)
        if has_route(path):
            continue
        del found[name]
        if "grant_types_supported" in found:
            gone = _NEEDED.get(name, ())
            found["grant_types_supported"] = [one for one in found["grant_types_supported"] if one not in gone]
        for beside in _BESIDE.get(name, ()):
            found.pop(beside, None)
            if beside == "response_types_supported":
                # RFC 8414 section 2: required, whatever it holds.
                found[beside] = []
    return found


def resource_metadata(server: Server, base: str, path: str) -> str | None:
    """Where the metadata of the protected resource at this path is; None when there is none."""
    if not has_route(PROTECTED_RESOURCE) or metadata(server, "oauth-protected-resource", base) is None:
        return None
    return f"{base}{PROTECTED_RESOURCE}{path if path in RESOURCES else ''}"
