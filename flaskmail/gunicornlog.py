"""Where the log goes: gunicorn's logger, which also sets up the loggers ``flaskmail`` and ``flaskmail.access``, and keeps the
messages of both in files that can be searched."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from gunicorn import glogging

from flaskmail.config import Settings, current
from flaskmail.logs import Handler, Writer, happened
from flaskmail.logs.events import told
from flaskmail.logs.secrets import without_secrets
from flaskmail.web.accesslog import printable

TAKEN = "Cannot listen on %s: stop the program that does, or name another address (server.bind, gunicorn -b)"
UNFIT = (
    "Cannot listen on %s: name an address of this machine that this user may take (server.bind, gunicorn -b). Ports below 1024"
    " take the capability CAP_NET_BIND_SERVICE, Unix sockets a folder that is there and may be written to"
)


class Logger(glogging.Logger):  # type: ignore[misc]
    """What flaskmail logs goes where gunicorn's messages go, in the same form and at the same level.

    ``flaskmail.access`` carries finished lines, one for each request; they go to ``server.access-log``. SIGUSR1 opens files
    anew, after they have been rotated.
    """

    def __init__(self, cfg: Any) -> None:
        self._taken: set[object] = set()
        super().__init__(cfg)

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn at the start and after each reload. SystemExit at the start when the access log cannot be opened."""
        super().setup(cfg)
        settings = current()
        for handler in self.error_log.handlers:
            if handler.formatter is not None and not isinstance(handler, Handler):
                handler.setFormatter(_Formatter(self.error_fmt, self.datefmt))
        _keep(self.error_log, settings)
        messages = logging.getLogger("flaskmail")
        messages.setLevel(self.loglevel)
        messages.propagate = False
        for handler in list(messages.handlers):
            messages.removeHandler(handler)
        for handler in self.error_log.handlers:
            messages.addHandler(handler)
        access = logging.getLogger("flaskmail.access")
        access.propagate = False
        old = list(access.handlers)
        try:
            new = _access_handler(settings.server.access_log)
        except OSError as error:
            if not old:
                raise SystemExit(f"flaskmail cannot open its access log: {error}") from None
            self.error_log.error("The access log cannot be opened, the old one stays in use: %s", error)
            return
        for handler in old:
            access.removeHandler(handler)
            handler.close()
        access.addHandler(new)
        # Whoever writes the lines asks first: a line that nobody wants is not put together.
        access.setLevel(logging.CRITICAL + 1 if isinstance(new, logging.NullHandler) else logging.INFO)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Logs an error of gunicorn's; the last word about an address that cannot be had says what to do about it."""
        if msg == "Connection in use: %s":
            self._taken.update(args)
        elif msg == "Can't connect to %s":
            msg = TAKEN if self._taken.issuperset(args) else UNFIT
        super().error(msg, *args, **kwargs)


class _Formatter(logging.Formatter):
    """gunicorn's form, without secrets; and what is said in one sentence stands in one line, whoever put a line end into it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See logging. Messages of gunicorn's own have several lines at times, and nothing of a client's in them."""
        details = getattr(record, "details", None)
        if record.name == happened.log.name and isinstance(details, Mapping):
            # The sentences for what happens say nothing of whom and where.
            record.message = f"{record.message}: {told(details)}"
        if record.name.startswith("flaskmail") and not record.message.isprintable():
            record.message = "".join(one if one.isprintable() else printable(one) for one in record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        return without_secrets(super().format(record))


def _keep(logger: logging.Logger, settings: Settings) -> None:
    """Puts what this logger is told into the files of the settings, instead of what was said before. Nothing is opened yet."""
    for handler in [one for one in logger.handlers if isinstance(one, Handler)]:
        logger.removeHandler(handler)
        handler.close()
    if settings.log.enable:
        logger.addHandler(handler_of(settings))


def handler_of(settings: Settings) -> Handler:
    """What writes records to the log of these settings."""
    log = settings.log
    return Handler(
        Writer(
            log.folder(settings.storage.path), max_size=log.max_size, most=log.max_total, keep=max(1, log.keep // 86400)
        )
    )


def _access_handler(target: str | None) -> logging.Handler:
    handler: logging.Handler
    if target is None:
        handler = logging.NullHandler()
    elif target == "-":
        handler = logging.StreamHandler(sys.stdout)
    else:
        handler = logging.FileHandler(target, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
