"""The worker: connections that stay with a thread, and those that do not; responses in one piece."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from gunicorn.config import Config
from workers import worker_ids

from flaskmail.gunicornworker import JOINED, Response
from flaskmail.testing import LiveServer, live_server

from .conftest import ROOT, START

LIVE = b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One worker with two threads, of which one may linger."""
    folder = tmp_path_factory.mktemp("narrow")
    with live_server(
        "[server]\nworkers = 1\nthreads = 2\n", folder=folder, arguments=START, python_path=ROOT
    ) as server:
        yield server


def connect(live: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", live.port), timeout=60)


def answers(sock: socket.socket, count: int) -> list[bytes]:
    """The heads of so many answers, whose bodies are those of /healthz/live."""
    body, seen = b'{"status":"ok"}', b""
    while seen.count(body) < count:
        piece = sock.recv(65536)
        assert piece, seen
        seen += piece
    return seen.split(body)[:count]


def test_more_busy_connections_than_threads_are_all_served(narrow: LiveServer) -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(narrow)) for _ in range(12)]
        for _ in range(20):
            for sock in socks:
                sock.sendall(LIVE)
            for sock in socks:
                (head,) = answers(sock, 1)
                assert head.startswith(b"HTTP/1.1 200 ")
                assert b"Connection: keep-alive" in head


def test_requests_sent_together_are_answered_in_order(narrow: LiveServer) -> None:
    other = LIVE.replace(b"GET ", b"HEAD ")
    with connect(narrow) as sock:
        sock.sendall(LIVE * 5 + other + LIVE)
        heads = answers(sock, 6)
    assert [head.count(b"HTTP/1.1 200 ") for head in heads] == [1, 1, 1, 1, 1, 2]


def test_connections_that_never_pause_leave_threads_to_others(narrow: LiveServer) -> None:
    """As many connections as there are threads ask without waiting for answers; a newcomer is served all the same."""
    over = threading.Event()

    def ask(sock: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                sock.sendall(LIVE * 20)

    def listen(sock: socket.socket) -> None:
        with suppress(OSError):
            while sock.recv(65536):
                pass

    with ExitStack() as stack:
        busy = [stack.enter_context(connect(narrow)) for _ in range(3)]
        pool = stack.enter_context(ThreadPoolExecutor(6))
        try:
            for sock in busy:
                pool.submit(ask, sock)
                pool.submit(listen, sock)
            time.sleep(0.5)
            for _ in range(3):
                with connect(narrow) as sock:
                    sock.sendall(LIVE)
                    assert answers(sock, 1)
        finally:
            over.set()
            for sock in busy:
                sock.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_pauses_goes_on(narrow: LiveServer) -> None:
    with connect(narrow) as sock, connect(narrow) as other:
        for pause in (0, 0.05, 0.2):
            time.sleep(pause)
            for one in (sock, other):
                one.sendall(LIVE[:20])
                time.sleep(pause)
                one.sendall(LIVE[20:])
                assert len(answers(one, 1)) == 1


def test_a_client_that_leaves_takes_no_thread_along(narrow: LiveServer) -> None:
    for _ in range(8):
        with connect(narrow) as sock:
            sock.sendall(LIVE)
            answers(sock, 1)
        with connect(narrow) as sock:
            sock.sendall(LIVE)
    with connect(narrow) as sock:
        sock.sendall(LIVE)
        assert answers(sock, 1)


def comes_to_an_end(sock: socket.socket) -> bool:
    """Whether a connection on which somebody keeps asking is ended within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            sock.sendall(LIVE)
            if b"Connection: close" in answers(sock, 1)[0]:
                return True
        except (OSError, AssertionError):
            return True
    return False


def test_it_stops_while_a_connection_is_busy(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stopping")
    with (
        live_server("[server]\nworkers = 1\n", folder=folder, arguments=START, python_path=ROOT) as live,
        connect(live) as sock,
    ):
        sock.sendall(LIVE)
        answers(sock, 1)
        os.kill(live.process.pid, signal.SIGTERM)
        assert comes_to_an_end(sock)
        assert live.process.wait(60) == 0


def test_it_stops_without_its_master(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("orphaned")
    config = '[server]\nworkers = 1\ngraceful-timeout = "10m"\n'
    with (
        live_server(config, folder=folder, arguments=START, python_path=ROOT) as live,
        connect(live) as sock,
    ):
        sock.sendall(LIVE)
        answers(sock, 1)
        (worker,) = worker_ids(live)
        live.process.kill()
        live.process.wait(60)
        try:
            assert comes_to_an_end(sock)
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


class Wire:
    """A socket that notes what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(bytes(data))


class Request:
    version = (1, 1)

    def __init__(self, method: str = "GET") -> None:
        self.method = method

    def should_close(self) -> bool:
        return False


def sent(pieces: list[bytes], length: int | None, method: str = "GET", status: str = "200 OK") -> list[bytes]:
    wire = Wire()
    response: Any = Response(Request(method), wire, Config())
    response.start_response(status, [] if length is None else [("Content-Length", str(length))])
    for piece in pieces:
        response.write(piece)
    response.close()
    return wire.sent


def test_a_short_answer_is_sent_at_once() -> None:
    (one,) = sent([b"hello"], 5)
    head, _, body = one.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 5" in head
    assert body == b"hello"


@pytest.mark.parametrize(
    ("pieces", "length", "method", "status", "body"),
    [
        ([b"he", b"llo"], 5, "GET", "200 OK", b"hello"),
        ([b"hello"], 3, "GET", "200 OK", b"hel"),
        ([b"hello", b"more"], 5, "GET", "200 OK", b"hello"),
        ([b"hello"], None, "GET", "200 OK", b"5\r\nhello\r\n0\r\n\r\n"),
        ([b""], 0, "GET", "200 OK", b""),
        ([], 0, "GET", "200 OK", b""),
        ([], 5, "HEAD", "200 OK", b""),
        ([], None, "GET", "304 Not Modified", b""),
        ([b"x" * (JOINED + 1)], JOINED + 1, "GET", "200 OK", b"x" * (JOINED + 1)),
    ],
)
def test_other_answers_are_what_gunicorn_makes_of_them(
    pieces: list[bytes], length: int | None, method: str, status: str, body: bytes
) -> None:
    head, _, rest = b"".join(sent(pieces, length, method, status)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status.encode())
    assert rest == body
