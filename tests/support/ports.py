"""Ports for programs that have to be told theirs."""

from __future__ import annotations

import socket

_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface at which nobody listens, and that nobody else is given until this process ends.

    They stay bound here, which keeps the kernel from choosing them for whoever asks for any port. A server that sets
    SO_REUSEADDR, as all do, can listen there all the same (Linux, socket(7)): nobody listens at ours."""
    found = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
        _held.append(one)
        found.append(int(one.getsockname()[1]))
    return found
