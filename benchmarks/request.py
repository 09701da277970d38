"""What a whole request costs, and where: CPU microseconds of its stages, measured in one run.

    python benchmarks/request.py [messages]

One account with 5,000 messages unless told otherwise, made as by ``scale.py``. Columns: the engine alone (``Server.handle``), the
application called as gunicorn calls it, the same without the short way (Flask's routing, request and response objects), and
what gunicorn's parser, response and socket add to an application that does nothing. Each is also given as a ratio to the
engine's answer to ``Core/echo``, which is comparable between machines.
"""

from __future__ import annotations

import io
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn, ThreadWorker
from scale import Account, cpu

from flaskmail.gunicornworker import Response
from flaskmail.testing import basic, make_server
from flaskmail.web.front import Front

NAME = "ann@example.org"
TIMES = 300


def environ(body: bytes) -> dict[str, Any]:
    """The WSGI environ of ``POST /jmap/``."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/jmap/",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": basic(NAME, "correct horse battery"),
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }


def called(application: Callable[..., Iterable[bytes]], body: bytes) -> bytes:
    """The body of the application's answer, which must be a 200."""
    statuses: list[str] = []
    answer = application(environ(body), lambda status, headers, error=None: statuses.append(status))
    octets = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    assert statuses == ["200 OK"], (statuses, octets)
    return octets


class Around:
    """gunicorn around an application that answers ``size`` octets at once, over a connection of this process."""

    def __init__(self) -> None:
        config = Config()
        for name, value in (
            ("forwarded_allow_ips", ""),
            ("secure_scheme_headers", {}),
            ("keepalive", 75),
            ("threads", 8),
        ):
            config.set(name, value)
        self._worker = ThreadWorker(1, 1, [], None, 30, config, Logger(config))
        self._worker.alive, self._worker.wsgi = True, self._answer
        self._size = 0
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._client = socket.create_connection(listener.getsockname())
            served, address = listener.accept()
        self._connection = TConn(config, served, address, ("127.0.0.1", 8000))
        self._connection.data_ready = True

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(self._size))])
        return [b"x" * self._size]

    def send(self, body: bytes, size: int) -> None:
        """One request and its answer."""
        self._size = size
        head = (
            f"POST /jmap/ HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: {basic(NAME)}\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._client.sendall(head.encode() + body)
        ThreadWorker.handle(self._worker, self._connection)
        left = size
        while left > 0:
            piece = self._client.recv(1 << 20)
            left -= len(piece) - (piece.index(b"\r\n\r\n") + 4 if left == size else 0)

    def close(self) -> None:
        """Closes both ends."""
        self._client.close()
        self._connection.close()
        self._worker.tmp.close()


def main() -> None:
    """Prints one line a request."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    access = logging.getLogger("flaskmail.access")
    access.propagate = False
    wsgi.Response = Response
    with make_server(store="sqlite") as made, open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        access.addHandler(logging.StreamHandler(nowhere))
        access.setLevel(logging.INFO)
        account = Account(made, NAME, count)
        made.client.get("/healthz/live")
        application, around = made.app.wsgi_app, Around()
        front = made.app.extensions["flaskmail.front"]
        assert isinstance(front, Front)
        answers = front._answers
        echo = account.request(["Core/echo", {}])
        unit = cpu(lambda: account.send(echo), TIMES)
        print(f"{'':34} {'engine':>16} {'application':>16} {'by Flask alone':>16} {'gunicorn adds':>16}")
        for label, body in [("echo", echo), *account.requests()]:
            size = len(account.send(body))
            spent = [
                cpu(lambda body=body: account.send(body), TIMES),
                cpu(lambda body=body: called(application, body), TIMES),
            ]
            front._answers = {}
            spent.append(cpu(lambda body=body: called(application, body), TIMES))
            front._answers = answers
            spent.append(cpu(lambda body=body, size=size: around.send(body, size), TIMES))
            print(f"{label:34}" + "".join(f" {us:6.0f} us x{us / unit:5.1f}" for us in spent))
        around.close()
        access.handlers.clear()


if __name__ == "__main__":
    main()
