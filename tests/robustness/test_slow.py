"""Clients that begin a request and do not end it."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from gunicorn.http.parser import RequestParser

from flaskmail import gunicornworker
from flaskmail.gunicornworker import PatientSocket, Unreader
from flaskmail.testing import LiveServer, basic, live_server

from ..wire.conftest import ROOT, START


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_client_that_stops_has_sent_all(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 20_000))
    reader = Unreader(ours)
    theirs.sendall(b"GET / HT")
    assert reader.read(8) == b"GET / HT"
    # Who asks without waiting is told as before.
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        reader.chunk()
    ours.setblocking(True)
    assert reader.read() == b""


def test_what_comes_after_giving_up_is_no_request(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 20_000))
    parser = RequestParser(Config(), ours, ("127.0.0.1", 1))
    parser.unreader = Unreader(ours)
    theirs.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nshort")
    assert next(parser).body.read() == b"short"
    theirs.sendall(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises((NoMoreData, StopIteration)):
        next(parser)


def test_a_client_that_trickles_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(gunicornworker.time, "monotonic", lambda: now[0])

    def arriving(octets: bytes, seconds: float) -> bytes:
        def late(self: object, size_hint: int | None = None) -> bytes:
            now[0] += seconds
            return octets

        monkeypatch.setattr(gunicornworker.SocketUnreader, "chunk", late)
        found: bytes = reader.chunk()
        return found

    reader = Unreader(pair[0])
    # Slow, but going on: for as long as it takes.
    for _ in range(100):
        assert arriving(b"x" * 2000, 3.0) == b"x" * 2000
    # A long pause is made good by what comes after it.
    assert arriving(b"x", 29.0) == b"x"
    assert arriving(b"x" * 16_000, 0.1)
    for _ in range(4):
        assert arriving(b"x", 9.0) == b"x"
    assert arriving(b"x" * 100_000, 0.0) == b""


def test_a_handshake_that_trickles_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    monkeypatch.setattr(gunicornworker, "PATIENCE", 0.3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = PatientSocket
    over = threading.Event()

    def trickle() -> None:
        # The begin of a record with a ClientHello of 512 octets, which never ends.
        for octet in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
            if over.wait(0.05):
                return
            # The other side may have closed just now.
            with suppress(OSError):
                theirs.sendall(bytes([octet]))

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        with pytest.raises(ssl.SSLEOFError):
            context.wrap_socket(ours, server_side=True)
    finally:
        over.set()
        thread.join()


def test_the_worker_bounds_the_waiting(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    monkeypatch.setattr(gunicornworker, "PATIENCE", 7)
    gunicornworker._be_patient(ours)
    assert struct.unpack("@ll", ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)) == (7, 0)


def serves(live: LiveServer) -> bool:
    try:
        return live.send("GET", "/healthz/live", {}, b"").status == 200
    except OSError:
        return False


@pytest.mark.long
@pytest.mark.parametrize("kind", ["header", "body", "upload"])
def test_threads_come_back_from_those_who_stop(kind: str) -> None:
    """All threads of the only worker wait for somebody; in little more than PATIENCE seconds they serve again."""
    with live_server("[server]\nworkers = 1\nthreads = 4\n", arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        path = f"/jmap/upload/{alice.id}/" if kind == "upload" else "/jmap/"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {basic('alice@example.org')}\r\n"
        if kind != "header":
            head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
        for sock in held:
            sock.sendall(head.encode())
        time.sleep(1)
        deadline = time.monotonic() + 3 * gunicornworker.PATIENCE
        while not serves(server) and time.monotonic() < deadline:
            pass
        assert serves(server)
        for sock in held:
            sock.settimeout(10)
            answer = sock.recv(65536)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
            sock.close()
        assert "Traceback" not in server.log()
