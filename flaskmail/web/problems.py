"""Errors become problem details (RFC 9457, RFC 8620 section 3.6.1); nothing of the inside ever shows."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from flaskmail.errors import OverQuota, RequestError, StoreError

log = logging.getLogger("flaskmail.web")

LIMIT = "urn:ietf:params:jmap:error:limit"
OVER_QUOTA = "urn:ietf:params:jmap:error:overQuota"

_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method; the Allow header names those that it does.",
}


def limit_error(name: str, detail: str, status: int = 400, **headers: str) -> RequestError:
    """The refusal of a request that exceeds a limit of the session (RFC 8620 section 3.6.1)."""
    return RequestError(status, detail, LIMIT, extra={"limit": name}, headers=headers)


def problem(
    status: int,
    detail: str,
    type: str = "about:blank",
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An ``application/problem+json`` response. The arguments are those of RequestError."""
    body: dict[str, Any] = {"type": type, "status": status, "detail": detail, **(extra or {})}
    if type == "about:blank":
        # RFC 9457 section 4.2.1: then the title is the status phrase.
        body["title"] = _phrase(status)
    response = Response(msgspec.json.encode(body), status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def challenges(headers: Mapping[str, str] | Headers, basic: bool, metadata: str | None = None) -> list[str]:
    """The values of ``WWW-Authenticate`` for a 401. headers: the request's; basic: whether passwords are accepted; metadata:
    where the protected resource is described, None for nowhere."""
    bearer = 'Bearer realm="flaskmail"'
    if metadata is not None:
        # RFC 9728 section 5.1.
        bearer += f', resource_metadata="{metadata}"'
    if headers.get("Authorization", "")[:7].lower() == "bearer ":
        # RFC 6750 section 3.1.
        bearer += ', error="invalid_token"'
    # A browser would answer a Basic challenge to a script's request with a password prompt of its own.
    if not basic or "Sec-Fetch-Mode" in headers or "Origin" in headers:
        return [bearer]
    # RFC 7617 section 2.1.
    return [bearer, 'Basic realm="flaskmail", charset="UTF-8"']


def refused(error: RequestError, basic: bool, metadata: Callable[[], str | None] = lambda: None) -> Response:
    """The response for a RequestError. basic: whether a 401 may offer Basic authentication; metadata: asked for a 401, see
    ``challenges``."""
    response = problem(error.status, error.detail, error.type, extra=error.extra, headers=error.headers)
    if error.status == 401:
        for value in challenges(request.headers, basic, metadata()):
            response.headers.add("WWW-Authenticate", value)
    return response


def unavailable(error: StoreError) -> Response:
    """The response when the store cannot do it."""
    if isinstance(error, OverQuota):
        return problem(413, "There is no room left in this account.", OVER_QUOTA)
    log.error("%s %s: %s", request.method, ascii(request.path), error)
    return problem(503, "The server cannot do this now. Try again later.", headers={"Retry-After": "5"})


def routing_failed(error: HTTPException) -> Response:
    """The response for what Werkzeug refuses: no such address, wrong method, malformed request."""
    status = error.code or 500
    kept = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After", "Content-Range")}
    return problem(status, _DETAILS.get(status, error.description or _phrase(status)), headers=kept)


def failed(error: Exception) -> Response:
    """The response for an error of ours: an id that stands in the log beside the traceback, and nothing else."""
    id = secrets.token_hex(8)
    told = {"errorId": id, "method": request.method, "path": request.path}
    extra = {"event_id": "http.error", "details": told}
    log.error("error %s: %s %s", id, request.method, ascii(request.path), exc_info=error, extra=extra)
    return problem(500, f"An error of the server's. Its log knows more under the id {id}.", extra={"errorId": id})
