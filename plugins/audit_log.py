"""Writes what happens as one JSON object a line.

    [plugins.audit_log]
    file = "/var/log/flaskmail/audit.jsonl"
    events = ["authentication", "account"]    # first parts of names; "http" has every request

Without a file the lines go to the logger ``flaskmail.audit``. Several processes may write into one file.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

from flaskmail.hookspecs import Event, hookimpl

log = logging.getLogger("flaskmail.audit")
EVENTS = ["server", "authentication", "account"]


@hookimpl
def observe(server: Any, event: Event) -> None:
    """Writes one line."""
    options = {} if server is None else server.settings.plugins.options.get("audit_log", {})
    if event.name.partition(".")[0] not in options.get("events", EVENTS):
        return
    text = line(event)
    if "file" not in options:
        log.info("%s", text)
        return
    # What is appended by one write stays in one piece, whoever else writes.
    place = os.open(
        server.settings.folder / options["file"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        os.write(place, f"{text}\n".encode())
    finally:
        os.close(place)


def line(event: Event) -> str:
    """The event as JSON: ``at``, ``event`` and its data."""
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # Escapes leave no control character and no line end in what clients sent.
    return json.dumps({"at": at, "event": event.name, **event.data}, default=str)
