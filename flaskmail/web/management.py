"""The blueprint ``management``: everything under ``/api`` (:mod:`flaskmail.management`)."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from flask import Blueprint, Response, request

from flaskmail.accounts.authorization import Access
from flaskmail.accounts.principals import Principal
from flaskmail.errors import RequestError
from flaskmail.management import api
from flaskmail.management.dispatch import JSON, Request
from flaskmail.management.refusals import invalid
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
    who_still,
)
from flaskmail.web.mounting import prefix_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that the operations answer for themselves, if only with 405."""

MAX_PARAMETERS = 50
"""Parameters of one query."""


def management_blueprint(server: Server, *, self_reliant: bool = True) -> Blueprint:
    """``/api/…``, ready for ``app.register_blueprint``. self_reliant: as for :func:`flaskmail.web.jmap_blueprint`."""
    blueprint = Blueprint("flaskmail-management", __name__)
    prefix = prefix_of(blueprint)
    if self_reliant:
        install(blueprint, server)
    plain = {"strict_slashes": False, "merge_slashes": False, "provide_automatic_options": False}

    @blueprint.route("/api/openapi.json", methods=METHODS, **plain)
    def described() -> Response:
        allowed = {"Allow": "GET, HEAD, OPTIONS"}
        if request.method == "OPTIONS":
            return Response(status=204, headers=allowed)
        if request.method not in ("GET", "HEAD"):
            raise RequestError(405, "This address is for reading alone.", headers=allowed)
        spend_unproven(request.environ)
        # Most processes are never asked for it.
        from flaskmail.management.openapi import encoded

        legacy = server.settings.management.legacy_get
        found = encoded(api(), base_url(server, request.environ, prefix()), legacy=legacy)
        # It tells nothing that the source code does not.
        return Response(found, content_type=JSON, headers={"Cache-Control": "no-cache"})

    @blueprint.route("/api/", defaults={"rest": ""}, methods=METHODS, **plain)
    @blueprint.route("/api/<path:rest>", methods=METHODS, **plain)
    def call(rest: str) -> Response:
        environ = request.environ
        legacy = server.settings.management.legacy_get
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": api().methods(segments(environ, rest), legacy)})

        asking: Principal | None = None

        def asker() -> tuple[Principal, Access]:
            nonlocal asking
            asking = who(server, environ)
            return asking, server.access_of(asking)

        def body(limit: int) -> bytes:
            found = read(environ, limit)
            if asking is not None:
                who_still(server, environ, asking)
            return found

        answer = api().answer(
            server,
            Request(
                method=request.method,
                segments=segments(environ, rest),
                query=query_of(environ),
                headers={name.lower(): value for name, value in request.headers.items()},
                read=body,
                address=client_of(environ),
                base_url=lambda: base_url(server, environ, prefix()),
            ),
            asker,
            legacy=legacy,
        )
        response = Response(answer.body, answer.status, list(answer.headers), direct_passthrough=True)
        if answer.status == 304:
            # RFC 9110 section 15.4.5: nothing about a content that does not come.
            del response.headers["Content-Type"]
        return response

    return blueprint


def client_of(environ: Environ) -> str:
    """The client's address as the policy settled it; "" when not known."""
    return str(environ.get("REMOTE_ADDR") or "")


def segments(environ: Environ, rest: str) -> tuple[str, ...]:
    """The path below ``/api`` at its slashes, each part decoded: a slash in a name is written %2F.

    rest: the same path as WSGI gives it, decoded as a whole."""
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    _, found, tail = raw.partition("/api/")
    if found:
        parts = tuple(unquote(part, errors="replace") for part in tail.split("/"))
        if "/".join(parts) == rest:
            return parts
    return tuple(rest.split("/"))


def query_of(environ: Environ) -> list[tuple[str, str]]:
    """The parameters of the query. Raises RequestError 400 when there are too many, or they are not UTF-8."""
    text = str(environ.get("QUERY_STRING") or "")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise invalid("the query", f"write at most {MAX_PARAMETERS} parameters, in UTF-8") from None


def read(environ: Environ, limit: int) -> bytes:
    """The body. Raises RequestError 413 when it is larger than ``limit`` octets, 400 when it is cut short, 415 when encoded."""
    refuse_encoding(environ)
    length = announced_length(environ)
    stream = environ["wsgi.input"]
    body: bytes = b"" if length == 0 or (length or 0) > limit else stream.read(limit + 1 if length is None else length)
    if (length or 0) > limit or len(body) > limit:
        drop(environ, length, limit)
        raise RequestError(413, f"The body is larger than {limit} octets.")
    if length is not None and len(body) < length:
        raise RequestError(400, "The body is shorter than its Content-Length.")
    return body
