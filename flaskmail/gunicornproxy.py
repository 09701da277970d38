"""The PROXY protocol under gunicorn: read from the connection before TLS and HTTP begin.

gunicorn's own reading holds for the first request of a connection only, refuses connections whose client the balancer does
not know, lets a balancer leave the header out, and looks for it within TLS.
"""

from __future__ import annotations

import socket
from typing import Any

from gunicorn.http.errors import InvalidProxyLine
from gunicorn.workers import gthread, sync

from flaskmail.decisions.addresses import Networks, read_peer
from flaskmail.decisions.proxyprotocol import read_header

PATIENCE = 5.0
"""Seconds that the header may take to come."""

UNKNOWN = ("unknown", 0)
"""The peer of a connection whose client the balancer does not know. No address: an empty one stands for a peer on a Unix socket,
which may be trusted."""


def passed_by(sock: socket.socket, peer: Any, networks: Networks) -> Any:
    """The client of a fresh connection: of its PROXY header when the peer is in the networks, else the peer itself.

    peer: as ``accept`` gives it. InvalidProxyLine (gunicorn answers 400) when the header is missing or wrong, or when a peer
    that is not in the networks sends one."""
    address = peer[0] if isinstance(peer, tuple) else ""
    ip = read_peer(address)
    if not (networks.unix if not isinstance(peer, tuple) else ip is not None and ip in networks):
        # No HTTP request begins so; what the parser of HTTP says about it helps nobody.
        return peer

    def read(count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = sock.recv(count - len(found))
            if not piece:
                raise ValueError("the connection ended within its PROXY header")
            found += piece
        return found

    def peek(count: int) -> bytes:
        piece = sock.recv(count, socket.MSG_PEEK)
        if not piece:
            raise ValueError("the connection ended within its PROXY header")
        return piece

    before = sock.gettimeout()
    sock.settimeout(PATIENCE)
    try:
        passed = read_header(read, peek)
    except (ValueError, TimeoutError) as error:
        told = "it did not come in time" if isinstance(error, TimeoutError) else str(error)
        raise InvalidProxyLine(f"{address or 'a peer on a Unix socket'}: {told}") from None
    finally:
        sock.settimeout(before)
    if passed.local:
        return peer
    return UNKNOWN if passed.address is None else (passed.address, passed.port)


def install(networks: Networks) -> None:
    """Lets the workers of this process take PROXY headers from these networks."""

    class Connection(gthread.TConn):  # type: ignore[misc]
        passed = False
        client: Any

        def wait_for_data(self, timeout: float) -> bool:
            if not super().wait_for_data(timeout):
                return False
            if not self.passed:
                # The header comes at once, the request perhaps never: a silent client must not hold a thread.
                self.take_header()
                self.data_ready = False
                return bool(super().wait_for_data(timeout))
            return True

        def init(self) -> None:
            if not self.passed:
                self.take_header()
            super().init()

        def take_header(self) -> None:
            self.passed = True
            self.sock.setblocking(True)
            self.client = passed_by(self.sock, self.client, networks)

    gthread.TConn = Connection
    plain = sync.SyncWorker.handle

    def handle(self: Any, listener: Any, client: socket.socket, addr: Any) -> None:
        try:
            found = passed_by(client, addr, networks)
        except InvalidProxyLine as error:
            self.handle_error(None, client, addr, error)
            client.close()
            return
        except OSError:
            client.close()
            return
        plain(self, listener, client, found)

    sync.SyncWorker.handle = handle
