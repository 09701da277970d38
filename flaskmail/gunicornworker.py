"""gunicorn's threaded worker with less work between two requests of a busy connection.

gunicorn hands a connection from the thread that polls to a thread that serves and back for each request, and sends the head
of a response and its body apart. Here the thread that has answered waits a moment for the connection's next request, and a
short response leaves in one piece. A client that stops in the middle of a request is given up, so that it does not keep a
thread for ever. Everything else is gunicorn's.
"""

from __future__ import annotations

import gc
import select
import socket
import ssl
import struct
import threading
import time
from typing import Any

from gunicorn.http import parser, wsgi
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from flaskmail import ending

LINGER = 20
"""Milliseconds that a thread waits for the next request of a connection before the connection goes back to be polled."""
COLLECT = (20_000, 20, 100)
"""Thresholds of the garbage collector: containers made in excess of those freed, and collections of the generation below."""
JOINED = 128 * 1024
"""Octets of a body up to which it is sent together with the head: copying it costs less than a second packet."""

PATIENCE = 30
"""Seconds that a thread waits for the next octets of a request that has begun."""
SLOWEST = 500
"""Octets a second that a request must bring: what a thread waits longer than they are worth counts towards PATIENCE."""
TURN = 0.25
"""Seconds after which a connection that goes on asking lets others have its thread."""


class Unreader(SocketUnreader):  # type: ignore[misc]
    """gunicorn's reader of a socket; a client that sends next to nothing for PATIENCE has sent all that it will."""

    waited = 0.0
    """Seconds that were waited for octets, less what those that came were worth."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        """See gunicorn. Once given up, a connection stays so: where its next request would begin is not known."""
        if self.waited > PATIENCE:
            return b""
        began = time.monotonic()
        try:
            octets: bytes = super().chunk(size_hint)
        except (BlockingIOError, ssl.SSLWantReadError):
            # A socket that blocks says this only when its patience is at an end.
            if self.sock.gettimeout() is not None:
                raise
            self.waited = float("inf")
            return b""
        self.waited = max(0.0, self.waited + time.monotonic() - began - len(octets) / SLOWEST)
        return octets


class PatientSocket(ssl.SSLSocket):
    """A socket that speaks TLS, whose handshake takes at most PATIENCE in all, however its octets trickle."""

    def do_handshake(self, block: bool = False) -> None:
        """See ssl. SSLEOFError, as for a client that went away, when it takes too long."""
        before = self.gettimeout()
        self.settimeout(PATIENCE)
        try:
            super().do_handshake(block)
        except TimeoutError:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the handshake takes too long") from None
        finally:
            self.settimeout(before)


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response; head and body leave together when the body is one short piece of known length."""

    headers_sent: bool

    def write(self, arg: bytes) -> None:
        """See gunicorn. The first piece takes the head along when it is the whole body."""
        whole = type(arg) is bytes and 0 < len(arg) <= JOINED and len(arg) == self.response_length
        if not whole or self.headers_sent or self._omits_body or self.chunked:
            super().write(arg)
            return
        lines = self.default_headers()
        lines.extend(f"{name}: {value}\r\n" for name, value in self.headers)
        lines.append("\r\n")
        self.headers_sent = True
        self.sent = len(arg)
        self.sock.sendall("".join(lines).encode("latin-1") + arg)


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's gthread worker; at most half of its threads linger, so that new connections always find one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most_lingering = self.cfg.threads // 2
        self._lingering = 0
        self._lingering_lock = threading.Lock()

    def init_process(self) -> None:
        """See gunicorn."""
        # gthread makes its responses, and its parser the readers, with these names.
        wsgi.Response = Response
        # What is there by now stays for good: no collection needs to look at it. And what requests make they hardly ever tie
        # into cycles, so there is little to find.
        gc.freeze()
        gc.set_threshold(*COLLECT)
        parser.SocketUnreader = Unreader
        super().init_process()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """See gunicorn. Called for SIGTERM; event streams end now, so that nothing waits for them."""
        ending.begin()
        super().handle_exit(sig, frame)

    def is_parent_alive(self) -> bool:
        """See gunicorn. A worker without its master stops as after SIGTERM: it keeps the address from the next master no
        longer than its requests take."""
        alive = bool(super().is_parent_alive())
        if not alive:
            ending.begin()
            # gunicorn says nothing of it to the threads, which would go on with connections that never pause.
            self.alive = False
        return alive

    def run(self) -> None:
        """See gunicorn."""
        # Some twenty times a request gunicorn looks up an option, each time through two layers; in a worker none changes.
        self.cfg.__dict__.update({name: option.get() for name, option in self.cfg.settings.items()})
        super().run()

    def handle(self, conn: TConn) -> Any:
        """Answers a request, and those that follow it closely. See gunicorn for what is returned."""
        if not conn.initialized:
            _be_patient(conn.sock)
        until = time.monotonic() + TURN
        result = super().handle(conn)
        # Whoever asks without a pause would keep the thread for ever, and a few of them all threads.
        while result is True and self.alive and time.monotonic() < until and self._more(conn):
            result = super().handle(conn)
        return result

    def _more(self, conn: TConn) -> bool:
        """Whether the connection's next request begins within LINGER."""
        if conn.parser.unreader.buf.getvalue():
            return True
        with self._lingering_lock:
            if self._lingering >= self._most_lingering:
                return False
            self._lingering += 1
        try:
            return _readable(conn.sock, LINGER)
        finally:
            with self._lingering_lock:
                self._lingering -= 1


def _be_patient(sock: socket.socket) -> None:
    """Bounds how long a receive may block. A timeout of Python's would also bound how long a long response may be sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", PATIENCE, 0))


def _readable(sock: socket.socket, milliseconds: int) -> bool:
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    waiter = select.poll()
    waiter.register(sock, select.POLLIN)
    try:
        return bool(waiter.poll(milliseconds))
    except (OSError, ValueError):
        return False
