"""The blueprint ``oauth``: the endpoints of the authorization server for machines, under ``/auth``. The pages for people are
elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from flaskmail.errors import RequestError
from flaskmail.oauth import offer as paths
from flaskmail.oauth.errors import OAuthError, invalid_request
from flaskmail.oauth.parameters import MAX_FORM
from flaskmail.oauthservice import Incoming
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import POLICY
from flaskmail.server import Server
from flaskmail.web.admission import (
    Environ,
    announced_length,
    base_url,
    drop,
    install,
    refuse_encoding,
    spend_unproven,
    who,
)
from flaskmail.web.mounting import prefix_of
from flaskmail.web.publishing import publish, published

log = logging.getLogger("flaskmail.oauth")

FORM, JSON = "application/x-www-form-urlencoded", "application/json"

SECRET = {
    "Cache-Control": "no-store",
    # RFC 6749 section 5.1 wants both.
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
"""Header fields of whatever carries a secret, or says something about one."""

KEYS_SECONDS = 900
"""For how long clients may keep the public keys; a new key is found by those who meet its id."""


def oauth_blueprint(server: Server, *, self_reliant: bool = True) -> Blueprint:
    """``/auth/…``, ready for ``app.register_blueprint``; belongs at the root of the host. self_reliant: as for
    :func:`flaskmail.web.jmap_blueprint`."""
    blueprint = Blueprint("flaskmail-oauth", __name__)
    prefix = prefix_of(blueprint)
    if self_reliant:
        install(blueprint, server)
    blueprint.register_error_handler(OAuthError, counted)
    endpoints = server.oauth.endpoints
    # Never a redirect: it would name the server by the client's Host header.
    plain = {"strict_slashes": False, "merge_slashes": False}

    def incoming() -> Incoming:
        environ = request.environ
        return Incoming(
            form=read_form(environ),
            authorization=environ.get("HTTP_AUTHORIZATION"),
            address=address_of(environ),
            issuer=issuer(),
        )

    def issuer() -> str:
        return base_url(server, request.environ, prefix()).rstrip("/")

    @blueprint.post(paths.TOKEN, **plain)
    def token() -> Response:
        return secret(endpoints.token(incoming()))

    @blueprint.post(paths.DEVICE, **plain)
    def device() -> Response:
        return secret(endpoints.device(incoming()))

    @blueprint.post(paths.REVOKE, **plain)
    def revoke() -> Response:
        endpoints.revoke(incoming())
        return Response(b"", 200, SECRET)

    @blueprint.post(paths.INTROSPECT, **plain)
    def introspect() -> Response:
        return secret(endpoints.introspect(incoming()))

    # OpenID Connect Core section 5.3.1: both methods.
    @blueprint.route(paths.USERINFO, methods=("GET", "POST"), **plain)
    def userinfo() -> Response:
        return secret(endpoints.userinfo(who(server, request.environ)))

    @blueprint.post(paths.REGISTER, **plain)
    def register() -> Response:
        if "registration_endpoint" not in server.oauth.offer.endpoints:
            raise RequestError(404, "There is nothing at this address.")
        environ = request.environ

        def may(permission: str) -> bool:
            access = server.access_of(who(server, environ))
            # A client asks people of every domain.
            return access.may(permission) and access.domain is None

        if server.settings.oauth.client_registration.anonymous:
            spend_unproven(environ)
        body = read_body(environ, JSON, "invalid_client_metadata")
        # RFC 7591 section 3.2.1.
        return secret(endpoints.register(body, issuer(), may), 201)

    def keys() -> Response:
        # RFC 7517 section 8.5.1 has a type of its own, which some clients do not know.
        return published(msgspec.json.encode(endpoints.keys()), JSON, seconds=KEYS_SECONDS)

    # Clients come from the metadata to the keys: both are for everybody.
    publish(blueprint, paths.JWKS, keys)
    return blueprint


def secret(members: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON object that nobody may keep."""
    return Response(msgspec.json.encode(members), status, SECRET, content_type=JSON)


def refused(error: OAuthError) -> Response:
    """The response for an OAuthError (RFC 6749 section 5.2)."""
    # No colon behind the path: what looks like "token: …" is taken out of the log.
    log.info("refused with %s at %s", error.error, request.path)
    response = secret(error.wire(), error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


UNPROVEN = ("invalid_client", "invalid_request", "unsupported_grant_type")
"""Errors that are found before a client has proved which one it is."""


def counted(error: OAuthError) -> Response:
    """The same, or 429 when the sender has come with too many credentials that proved nothing."""
    try:
        if error.error in UNPROVEN:
            spend_unproven(request.environ)
    except RequestError as limited:
        told = OAuthError("temporarily_unavailable", limited.detail, status=limited.status)
        return refused(told)
    return refused(error)


def address_of(environ: Environ) -> str:
    """The client's address, by which wrong credentials are counted."""
    policy: HttpPolicy | None = environ.get(POLICY)
    return environ.get("REMOTE_ADDR") or "" if policy is None else policy.limited_address(environ)


def read_form(environ: Environ) -> bytes:
    """The form of a request. Raises OAuthError ``invalid_request`` for any other body, and for parameters in the URL."""
    if environ.get("QUERY_STRING"):
        # RFC 6749 section 2.3.1: credentials MUST NOT be in the URI, where logs and histories keep them.
        raise invalid_request("The parameters belong into the body, and none into the URL.")
    return read_body(environ, FORM, "invalid_request")


def read_body(environ: Environ, content_type: str, error: str) -> bytes:
    """A body of this type. Raises OAuthError ``error`` when it is another, encoded, larger than MAX_FORM, or cut short."""
    try:
        refuse_encoding(environ)
        length = announced_length(environ)
    except RequestError as wrong:
        raise OAuthError(error, wrong.detail, status=wrong.status, headers=wrong.headers) from None
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != content_type:
        raise OAuthError(error, f"The Content-Type has to be {content_type}.")
    body: bytes = b""
    if length is None or 0 < length <= MAX_FORM:
        body = environ["wsgi.input"].read(MAX_FORM + 1 if length is None else length)
    if (length or 0) > MAX_FORM or len(body) > MAX_FORM:
        drop(environ, length, MAX_FORM)
        raise OAuthError(error, f"The body is larger than {MAX_FORM} octets.", status=413)
    if length is not None and len(body) < length:
        raise OAuthError(error, "The body is shorter than its Content-Length.")
    return body
