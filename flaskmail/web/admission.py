"""What every request passes on its way in: the Host header, who it is, how large it is, how many there are at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from flaskmail import sockets
from flaskmail.accounts.principals import Principal
from flaskmail.decisions.addresses import is_host_header
from flaskmail.errors import RequestError, StoreError
from flaskmail.hookvalues import Credentials
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import POLICY, base_url_without_policy
from flaskmail.policy.hooks import request_of
from flaskmail.server import Server
from flaskmail.web import accesslog, problems
from flaskmail.web.offered import resource_metadata
from flaskmail.web.problems import limit_error

PIECE = 64 * 1024
"""Octets of a body that are in memory at once where it is not needed whole."""

Environ = dict[str, Any]
"""A request's WSGI environ."""

SLOW = 1.0
"""Seconds that a body may take to come before it is asked anew whose request it is."""

FAILED = "flaskmail.failed"
"""Key of the environ: the exception with which a request ended before it came to Flask, whose handlers answer it."""


def install(target: Flask | Blueprint, server: Server) -> tuple[Callable[..., Any], ...]:
    """Gives an application, or a blueprint in a foreign one, the checks, the error responses and the access log. Answers the
    functions that it hooked in."""

    def begin() -> None:
        failed = request.environ.pop(FAILED, None)
        if failed is not None:
            raise failed
        arrive(request.environ)

    def counted(error: RequestError) -> RequestError:
        # Who came in has a limit of the own account; what waits or is out of order has been counted.
        if error.status not in (429, 503) and accesslog.ACCOUNT not in request.environ:
            try:
                spend_unproven(request.environ)
            except RequestError as limited:
                return limited
        return error

    def refused(error: RequestError) -> Response:
        environ, error = request.environ, counted(error)

        def metadata() -> str | None:
            return resource_metadata(server, base_url(server, environ, ""), request.path)

        basic = server.settings.authentication.basic and sockets.takes_passwords(environ)
        return problems.refused(error, basic, metadata)

    def missed(error: HTTPException) -> Response:
        if accesslog.ACCOUNT not in request.environ:
            try:
                spend_unproven(request.environ)
            except RequestError as limited:
                return refused(limited)
        return problems.routing_failed(error)

    target.before_request(begin)
    target.after_request(accesslog.note)
    target.register_error_handler(RequestError, refused)
    target.register_error_handler(StoreError, problems.unavailable)
    target.register_error_handler(HTTPException, missed)
    target.register_error_handler(Exception, problems.failed)
    return begin, accesslog.note


def arrive(environ: Environ) -> None:
    """The start of every request. Raises RequestError as ``check_host``, and 404 for what its listener does not serve."""
    environ[accesslog.STARTED] = time.perf_counter()
    if POLICY not in environ:
        check_host(environ)
    if not sockets.serves(environ):
        raise RequestError(404, "There is nothing at this address.")


def check_host(environ: Environ) -> None:
    """Raises RequestError 400 for a malformed Host. A well-formed one is never used for anything either."""
    host = environ.get("HTTP_HOST")
    if host is None:
        # RFC 9112 section 3.2: required in HTTP/1.1.
        if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise RequestError(400, "The request has no Host header.")
    elif not is_host_header(host):
        raise RequestError(400, "The Host header is malformed.")


def who(server: Server, environ: Environ) -> Principal:
    """The principal of a request, which counts as one of his. Raises RequestError 400, 401, 429 or 503."""
    principal = _authenticated(server, environ)
    environ[accesslog.ACCOUNT] = principal.name
    policy: HttpPolicy | None = environ.get(POLICY)
    if policy is not None:
        policy.spend_account(environ, principal)
    return principal


def who_still(server: Server, environ: Environ, principal: Principal) -> Principal:
    """The same principal, now that the body is there; asked anew when that took a while: what ended the credential meanwhile
    counts. Raises as ``who``."""
    began = environ.get(accesslog.STARTED)
    if began is None or time.perf_counter() - began < SLOW:
        return principal
    return _authenticated(server, environ)


def _authenticated(server: Server, environ: Environ) -> Principal:
    policy: HttpPolicy | None = environ.get(POLICY)
    address = environ.get("REMOTE_ADDR") or "" if policy is None else policy.limited_address(environ)
    authorization = environ.get("HTTP_AUTHORIZATION")
    if not sockets.takes_passwords(environ) and Credentials(authorization).scheme == "basic":
        raise RequestError(401, "Passwords are not accepted here. Use a token (Bearer).")
    return server.authenticate(authorization, address, lambda: request_of(environ))


def spend_unproven(environ: Environ) -> None:
    """Counts a request that brings credentials where nobody asks for them. Else any ``Authorization`` header would be a way
    around the limit of anonymous requests. What is refused before anybody is known is counted with the refusal. Raises
    RequestError 429."""
    policy: HttpPolicy | None = environ.get(POLICY)
    if policy is not None:
        policy.spend_unproven(environ)


def base_url(server: Server, environ: Environ, prefix: str) -> str:
    """What the URLs of the session begin with: the setting ``url``, never the Host header, which is the client's word.

    prefix: the blueprint's ``url_prefix``."""
    policy: HttpPolicy | None = environ.get(POLICY)
    base = base_url_without_policy(server.settings, environ) if policy is None else policy.base_url(environ)
    return base + prefix


def refuse_encoding(environ: Environ) -> None:
    """Raises RequestError 415 for a request with a Content-Encoding: what it would unpack to has no bound."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        # RFC 9110 section 15.5.16.
        raise RequestError(415, "Requests may not have a Content-Encoding.", headers={"Accept-Encoding": "identity"})


def announced_length(environ: Environ) -> int | None:
    """Content-Length; None when the body comes in chunks; 0 when there is none. Raises RequestError 400."""
    text = environ.get("CONTENT_LENGTH")
    if text:
        if not text.isdigit() or not text.isascii() or len(text) > 18:
            raise RequestError(400, "The Content-Length is not a number.")
        return int(text)
    # A server that sets this ends the stream where the body ends; without it nothing may be read.
    return None if environ.get("wsgi.input_terminated") and "HTTP_TRANSFER_ENCODING" in environ else 0


def read_body(environ: Environ, limit: int) -> bytes:
    """The body of an API request, of at most ``limit`` octets (maxSizeRequest); not an octet more is kept in memory.

    Raises RequestError 400 when it is larger, or shorter than announced."""
    length = announced_length(environ)
    stream = environ["wsgi.input"]
    if length is not None and length > limit:
        drop(environ, length, limit)
        raise too_large_request(limit)
    body: bytes = stream.read(limit + 1 if length is None else length) if length != 0 else b""
    if length is None:
        if len(body) > limit:
            drop(environ, None, limit)
            raise too_large_request(limit)
    elif len(body) < length:
        raise cut_short()
    return body


def drop(environ: Environ, length: int | None, limit: int) -> None:
    """Reads a body that is refused for its size and forgets it, so that its sender comes to read why.

    length: announced, None when it comes in chunks; limit: the one that it exceeds. Of a body that is more than four times
    too large nothing more is read: that connection breaks."""
    most = 4 * limit
    if length is not None and length > most:
        return
    stream, left = environ["wsgi.input"], most if length is None else length
    while left > 0:
        piece = stream.read(min(PIECE, left))
        if not piece:
            return
        left -= len(piece)


def too_large_request(limit: int) -> RequestError:
    """The refusal of RFC 8620 section 3.6.1 for maxSizeRequest."""
    return limit_error("maxSizeRequest", f"The request is larger than {limit} octets.")


def cut_short() -> RequestError:
    """The refusal of a body that ended before its announced length."""
    return RequestError(400, "The body is shorter than its Content-Length.")


class BodyReader:
    """The request's body as a file that ends at ``length`` octets, and fails when it ends before."""

    def __init__(self, stream: BinaryIO, length: int) -> None:
        self._stream, self._left = stream, length

    def read(self, size: int = -1) -> bytes:
        """``size`` octets (-1: all), fewer only when no more are left. Raises RequestError when cut short."""
        wanted = self._left if size < 0 else min(size, self._left)
        pieces: list[bytes] = []
        while wanted > 0:
            try:
                piece = self._stream.read(wanted)
            except OSError:
                # The store would take it for an error of its disk's.
                raise cut_short() from None
            if not piece:
                raise cut_short()
            pieces.append(piece)
            wanted -= len(piece)
            self._left -= len(piece)
        return b"".join(pieces)


class Slots:
    """How many requests of one kind each principal has at work in this process. patience: seconds that one waits for a slot
    before it is refused."""

    def __init__(self, limit_name: str, patience: float = 0.0) -> None:
        self._limit_name, self._patience = limit_name, patience
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._taken: dict[str, int] = {}

    @contextmanager
    def slot(self, principal_id: str, limit: int) -> Iterator[None]:
        """Holds one of ``limit`` slots. Raises RequestError 400 of RFC 8620 section 3.6.1 when all are, and stay, taken."""
        with self._lock:
            if self._taken.get(principal_id, 0) >= limit and not self._freed.wait_for(
                lambda: self._taken.get(principal_id, 0) < limit, self._patience
            ):
                raise limit_error(self._limit_name, f"More than {limit} of your requests are being worked on already.")
            self._taken[principal_id] = self._taken.get(principal_id, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                left = self._taken[principal_id] - 1
                if left:
                    self._taken[principal_id] = left
                else:
                    del self._taken[principal_id]
                self._freed.notify_all()
