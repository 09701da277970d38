"""Takes what Python's loggers are told into the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flaskmail.logs.events import Event, event, line
from flaskmail.logs.writer import Writer

_FORMAT = logging.Formatter()


def event_of(record: logging.LogRecord) -> Event:
    """The event of a record. Whoever logs may say more: ``extra={"event_id": "http.error", "details": {…}}``; without that
    the id is the logger's name without ``flaskmail.``."""
    details: dict[str, Any] = {"logger": record.name, "process": record.process}
    given = getattr(record, "details", None)
    if isinstance(given, Mapping):
        details.update(given)
    if record.exc_info and record.exc_info[0] is not None:
        details["exception"] = record.exc_text or _FORMAT.formatException(record.exc_info)
    id = getattr(record, "event_id", None) or record.name.removeprefix("flaskmail.")
    return event(record.created, level_of(record.levelno), record.getMessage(), str(id), details)


def level_of(number: int) -> str:
    """The level of a number of Python's."""
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARN"
    if number >= logging.INFO:
        return "INFO"
    return "DEBUG" if number >= logging.DEBUG else "TRACE"


class Handler(logging.Handler):
    """Writes every record as an event. Never raises, and never says a word itself: it would be logged."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        try:
            self.writer.write(line(event_of(record)))
        except Exception:
            # A message whose arguments do not fit, an object that cannot be shown: not worth a request.
            self.writer.lost += 1

    def close(self) -> None:
        """See logging."""
        self.writer.close()
        super().close()
