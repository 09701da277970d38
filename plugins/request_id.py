"""Gives every request an id: in the response as X-Request-Id, in the events that plugins observe, in the environ for views.

What a trusted proxy sends under that name is kept, so that its log and ours tell of the same request.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from flaskmail.hookspecs import Client, Leaving, hookimpl

KEY = "flaskmail.request-id"
HEADER = "X-Request-Id"


@hookimpl(tryfirst=True)
def refuse_request(request: Any, client: Client) -> None:
    """Refuses nothing: this is asked before everything else."""
    sent = request.headers.get(HEADER, "")
    if client.trusted and re.fullmatch(r"[A-Za-z0-9._-]{8,128}", sent, re.ASCII):
        request.environ[KEY] = sent


@hookimpl
def response_headers(request: Any, response: Leaving) -> list[tuple[str, str]]:
    """The id; requests that never came further get theirs here."""
    return [(HEADER, request.environ.setdefault(KEY, secrets.token_hex(16)))]
