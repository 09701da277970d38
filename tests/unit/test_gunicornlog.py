from __future__ import annotations

import errno
import logging
import os
from typing import Any

import pytest
from gunicorn import sock
from gunicorn.config import Config

from flaskmail.gunicornlog import Logger


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> Logger:
    """gunicorn's own set-up of logs holds for the whole process, and is none of this."""
    monkeypatch.setattr(Logger, "setup", lambda self, cfg: None)
    made = Logger(Config())
    monkeypatch.setattr(made, "error_log", logging.getLogger("gunicorn-as-tested"))
    return made


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EADDRINUSE, "stop the program that does"),
        (errno.EACCES, "Ports below 1024 take the capability"),
        (errno.EADDRNOTAVAIL, "name an address of this machine"),
        (errno.ENOENT, "a folder that is there"),
    ],
)
def test_the_last_word_about_an_address_that_cannot_be_had_helps(
    number: int, advice: str, logger: Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of gunicorn's but the socket, which it would leave to the garbage collector.
    def refused(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sock, "_sock_type", lambda address: refused)
    monkeypatch.setattr(sock.time, "sleep", lambda seconds: None)
    config = Config()
    config.set("bind", ["127.0.0.1:8080"])
    with pytest.raises(SystemExit):
        sock.create_sockets(config, logger)
    said = caplog.messages[-1]
    assert said.startswith("Cannot listen on ('127.0.0.1', 8080): ")
    assert advice in said
