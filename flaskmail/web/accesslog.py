"""One line for each request, to the logger ``flaskmail.access``."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

log = logging.getLogger("flaskmail.access")

STARTED = "flaskmail.started"
ACCOUNT = "flaskmail.account"
"""Keys of the WSGI environ: when the request came in (seconds, monotonic), and whose it is."""


_PLAIN = re.compile(r"[!#-\[\]-~]+")


def printable(text: str) -> str:
    """The text as one word: blanks, quotes, backslashes, control and non-ASCII characters are escaped; "-" for none."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if _PLAIN.fullmatch(c) else _escaped(c) for c in text) or "-"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def line(environ: dict[str, Any], status: int, length: int | None, seconds: float) -> str:
    """time client peer scheme method path status bytes duration account; ``-`` for what is not known.

    The path is without its query, which may carry secrets. length: octets of the body."""
    peer = printable(environ.get("REMOTE_ADDR") or "")
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace")
    return " ".join(
        (
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            peer,
            peer,
            printable(environ.get("wsgi.url_scheme", "")),
            printable(environ.get("REQUEST_METHOD", "")),
            printable(path.decode("utf-8", "backslashreplace")),
            str(status),
            "-" if length is None else str(length),
            f"{seconds * 1000:.1f}ms",
            printable(environ.get(ACCOUNT, "")),
        )
    )


def note(response: Response) -> Response:
    """Writes the line of the present request; for ``after_request``."""
    if log.isEnabledFor(logging.INFO):
        environ = request.environ
        seconds = time.perf_counter() - environ.get(STARTED, time.perf_counter())
        log.info(line(environ, response.status_code, response.content_length, seconds))
    return response
