"""What leaves with every response: decided once Flask has made it, appended where it starts."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from flaskmail.decisions.headers import Header, Outgoing
from flaskmail.policy.environ import DECIDED, FURTHER, KEEP, OUTGOING, PLAN, Environ, StartResponse
from flaskmail.policy.hooks import request_of, with_headers
from flaskmail.policy.plan import Policy

_request: Any = request


def leave(response: Response) -> Response:
    """The after_request function of every application with a policy: decides what leaves with the response.

    Fields that give way are taken off it. The ready list goes to where the response starts: Werkzeug checks and copies each
    field of a response one by one, and these have been checked at the start."""
    # Through `request` each attribute would ask anew for the request; this asks once.
    now = _request._get_current_object()
    environ = now.environ
    out: Outgoing | None = environ.get(OUTGOING)
    if out is not None:
        headers: list[Header] = response.headers._list
        policy: Policy = environ[PLAN]
        if policy.hooks.response_headers is not None:
            out = with_headers(policy, now, out, response.status_code, headers)
        added = out.added(headers)
        if added is None:
            headers[:] = out.merged(headers, keep=KEEP in environ, limited=FURTHER in environ)
            added = ()
        if FURTHER in environ:
            added = (*added, *environ[FURTHER])
        environ[DECIDED] = response.status, added
    return response


def joined(out: Outgoing, status: str, headers: list[Header], environ: Environ) -> list[Header]:
    """The header fields of a response that Flask has not made, with what leaves with every response. out: before plugins are
    asked; headers: those set already."""
    further = environ.get(FURTHER, ())
    policy: Policy = environ[PLAN]
    if policy.hooks.response_headers is not None:
        out = with_headers(policy, request_of(environ), out, int(status[:3]), headers)
    added = out.added(headers)
    if added is None:
        return [*out.merged(headers, keep=KEEP in environ, limited=FURTHER in environ), *further]
    return [*headers, *added, *further]


class Starting:
    """The ``start_response`` that an application is given. start_response: the server's; out: as for ``joined``.

    What it starts goes to the server when the application has returned, or writes: until then it may still fail, and servers do
    not take a response back that was started. begun: whether the server knows of it."""

    __slots__ = ("_environ", "_held", "_out", "_start", "_write", "begun")

    def __init__(self, start_response: StartResponse, environ: Environ, out: Outgoing) -> None:
        self._start, self._environ, self._out = start_response, environ, out
        self._held: tuple[str, list[Header]] | None = None
        self._write: Any = None
        self.begun = False

    def __call__(self, status: str, headers: list[Header], exc_info: Any = None) -> Any:
        """See PEP 3333."""
        decided = self._environ.get(DECIDED)
        # Of another response, one that never came to be, nothing counts.
        if decided is not None and decided[0] == status:
            headers = [*headers, *decided[1]]
        else:
            headers = joined(self._out, status, headers, self._environ)
        if not self.begun:
            self._held = status, headers
            return self.write
        return self._start(status, headers) if exc_info is None else self._start(status, headers, exc_info)

    def begin(self) -> None:
        """The application has returned: from now on everything goes to the server at once."""
        self.begun, held, self._held = True, self._held, None
        if held is not None:
            self._write = self._start(*held)

    def write(self, piece: bytes) -> None:
        """See PEP 3333."""
        if not self.begun:
            self.begin()
        self._write(piece)
