"""What the policy leaves in the WSGI environ of each request, and what WSGI is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PEER = "flaskmail.peer"
CLIENT = "flaskmail.client"
POLICY = "flaskmail.policy"
KEEP = "flaskmail.keep"
"""The address of the socket's peer as text ("" for a Unix socket), the Client, the HttpPolicy; and what a view sets whose
response is a download or a sign-in page."""

PLAN = "flaskmail.plan"
OUTGOING = "flaskmail.outgoing"
FURTHER = "flaskmail.further"
READABLE = "flaskmail.readable"
DECIDED = "flaskmail.decided"
"""For the policy itself: the Policy that decides about the request; the Outgoing; header fields of this response alone; whether a
plugin lets the origin read; (status, header fields) that :func:`flaskmail.policy.leaving.leave` has decided on."""

UNPROVEN = "flaskmail.unproven"
"""There when the request was counted as one whose credentials prove nothing."""

OUTER = "flaskmail.outer"
"""(peer, Client) of a policy around this one, which has decided already."""


def apart(environ: Environ) -> Environ:
    """A copy for an application with a policy of its own, within another that has one: without what that one left for itself."""
    decided = {POLICY, PLAN, PEER, CLIENT, KEEP, OUTGOING, FURTHER, READABLE, DECIDED, UNPROVEN}
    own = {key: value for key, value in environ.items() if key not in decided}
    own[OUTER] = environ[PEER], environ[CLIENT]
    return own
