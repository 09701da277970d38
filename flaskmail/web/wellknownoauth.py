"""The metadata of the authorization server (RFC 8414, OpenID Connect Discovery) and of what it protects (RFC 9728)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, Response, request

from flaskmail.errors import RequestError
from flaskmail.plugins import ask
from flaskmail.server import Server
from flaskmail.web.admission import base_url
from flaskmail.web.offered import AUTHORIZATION_SERVER, OPENID, PROTECTED_RESOURCE, RESOURCES, metadata
from flaskmail.web.publishing import publish, published

_NOTHING = "There is nothing at this address."


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the routes."""
    asked = ask(server.plugins, "discovery_metadata")

    def view(path: str) -> Callable[..., Response]:
        kind = path.rpartition("/")[2]

        def answer(rest: str = "") -> Response:
            base = base_url(server, request.environ, "")
            found = metadata(server, kind, base)
            if found is None:
                raise RequestError(404, _NOTHING)
            if rest:
                found |= _at(f"/{rest}", base, kind)
            if asked is not None:
                # A copy of all of it: what a plugin does to it stays with the plugins.
                extend(found, asked(server, deepcopy(found), kind))
            return published(msgspec.json.encode(found), "application/json")

        return answer

    for path in (AUTHORIZATION_SERVER, OPENID, PROTECTED_RESOURCE):
        publish(blueprint, path, view(path))
        if path != OPENID:
            publish(blueprint, f"{path}/<path:rest>", view(path))


def _at(rest: str, base: str, kind: str) -> Mapping[str, Any]:
    """What the document says otherwise at an address with more behind its name. Raises RequestError 404 where there is none."""
    # RFC 8414 section 3.1, RFC 9728 section 3.1: the path of the issuer or resource goes behind the well-known part.
    mounted = urlsplit(base).path
    if rest == mounted:
        return {}
    within = rest.removeprefix(mounted)
    if kind == "oauth-protected-resource" and within in RESOURCES:
        # RFC 9728 section 3.3: the resource must be the address that the client has asked.
        return {"resource": base + within}
    raise RequestError(404, _NOTHING)


def extend(document: dict[str, Any], found: list[Mapping[str, Any]]) -> None:
    """Adds what plugins say to a document; what it says itself stays, and so does what an earlier plugin says."""
    for members in found:
        for name, value in members.items():
            document.setdefault(name, value)
