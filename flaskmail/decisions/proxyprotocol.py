"""The PROXY protocol, versions 1 and 2: the client's address in front of a connection that a balancer passes on."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SHORTEST = 15
"""Octets of the shortest header, ``PROXY UNKNOWN`` with its line end."""
LONGEST_LINE = 107
"""Octets of the longest header of version 1, its line end included."""
LONGEST_REST = 4096
"""Octets that a header of version 2 may have behind its first 16."""

Read = Callable[[int], bytes]
"""Reads exactly so many octets of the connection."""
Peek = Callable[[int], bytes]
"""The next octets of the connection, at least one and at most so many, which stay to be read."""


@dataclass(frozen=True, slots=True)
class Passed:
    """For whom a balancer passes a connection on.

    local: for itself, to see whether the server is alive. address, port: of the client; None when the balancer does not know.
    """

    local: bool = False
    address: str | None = None
    port: int | None = None


def read_header(read: Read, peek: Peek) -> Passed:
    """Takes the header, and not an octet more, from the begin of a connection. ValueError when there is none, or a wrong one."""
    start = read(SHORTEST)
    if start.startswith(SIGNATURE):
        return _version_2(start, read)
    if start.startswith(b"PROXY "):
        return _version_1(start, read, peek)
    raise ValueError("the connection does not begin with a PROXY header")


def _version_1(line: bytes, read: Read, peek: Peek) -> Passed:
    while not line.endswith(b"\r\n"):
        if len(line) >= LONGEST_LINE or b"\n" in line:
            raise ValueError("the PROXY line does not end where it must")
        piece = peek(LONGEST_LINE - len(line))
        line += read(piece.index(b"\n") + 1 if b"\n" in piece else len(piece))
    words = line[:-2].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        # What may follow says nothing.
        return Passed()
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("the PROXY line has not the six words of a TCP connection")
    kind = IPv4Address if words[1] == "TCP4" else IPv6Address
    kind(words[3])
    port, _ = _port(words[4]), _port(words[5])
    return Passed(address=_plain(kind(words[2])), port=port)


def _port(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65535):
        raise ValueError("a port of the PROXY line is none")
    return int(word)


def _version_2(start: bytes, read: Read) -> Passed:
    start += read(1)
    command, family, length = start[12], start[13], int.from_bytes(start[14:16], "big")
    if length > LONGEST_REST:
        raise ValueError("the PROXY header is too long")
    rest = read(length) if length else b""
    if command == 0x20:
        return Passed(local=True)
    if command != 0x21:
        raise ValueError("the PROXY header has an unknown version or command")
    if family == 0x11 and length >= 12:
        return Passed(address=_plain(IPv4Address(rest[:4])), port=struct.unpack(">H", rest[8:10])[0])
    if family == 0x21 and length >= 36:
        return Passed(address=_plain(IPv6Address(rest[:16])), port=struct.unpack(">H", rest[32:34])[0])
    if family >> 4 in (0, 3):
        # Not known, or a client of a Unix socket.
        return Passed()
    raise ValueError("the PROXY header has an unknown family of addresses, or is too short for it")


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
