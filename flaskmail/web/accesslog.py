"""One line for each request, to the logger ``flaskmail.access``."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from flask import Response, request

from flaskmail.metrics import Recorder
from flaskmail.policy.adapter import PEER

log = logging.getLogger("flaskmail.access")

STARTED = "flaskmail.started"
ACCOUNT = "flaskmail.account"
RECORDER = "flaskmail.recorder"
"""Keys of the WSGI environ: when the request came in (seconds, monotonic), whose it is, and what counts it, if anything does."""


_PLAIN = re.compile(r"[!#-\[\]-~]+")


@lru_cache(maxsize=256)
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
    client = environ.get("REMOTE_ADDR") or ""
    peer = environ.get(PEER, client)
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    return (
        f"{_clock(int(time.time()))} {printable(client)} {printable(peer)} "
        f"{printable(environ.get('wsgi.url_scheme', ''))} "
        f"{printable(environ.get('REQUEST_METHOD', ''))} {printable(path)} {status} {'-' if length is None else length} "
        f"{seconds * 1000:.1f}ms {printable(environ.get(ACCOUNT, ''))}"
    )


@lru_cache(maxsize=2)
def _clock(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def note(response: Response) -> Response:
    """Writes the line of the present request; for ``after_request``."""
    write(request.environ, response.status_code, response.content_length)
    return response


def write(environ: dict[str, Any], status: int, length: int | None) -> None:
    """Writes the line of a request that ends now, and counts it. status, length: of the response; None when it is not known."""
    recorder: Recorder | None = environ.get(RECORDER)
    if recorder is not None:
        now = time.perf_counter()
        seconds = now - environ.get(STARTED, now)
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        recorder.count(environ.get("REQUEST_METHOD", ""), status, path, seconds, length or 0)
    if log.isEnabledFor(logging.INFO):
        now = time.perf_counter()
        text = line(environ, status, length, now - environ.get(STARTED, now))
        # What logging would find out about the calling line takes longer than all the rest, and nobody is shown it.
        log.handle(logging.LogRecord(log.name, logging.INFO, __file__, 0, text, None, None, "write"))
