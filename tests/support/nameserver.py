"""A small DNS server on the loopback interface: real datagrams, answers from a zone text."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone


class NameServer:
    """address: where it listens. zone: what it answers; another one may be set at any time. silent: names that get no answer;
    failing: names that get SERVFAIL; rubbish: names that get octets that are no message. asked: (name, type) of all questions."""

    def __init__(self, text: str) -> None:
        self.serve(text)
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.rubbish: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Port 0 for both may give different ones.
        while True:
            self._udp.bind(("127.0.0.1", 0))
            try:
                self._tcp.bind(self._udp.getsockname())
                break
            except OSError:
                self._udp.close()
                self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp.listen()
        self.address: tuple[str, int] = self._udp.getsockname()

    def serve(self, text: str) -> None:
        """Answer from this zone text, which is in ``text``, from now on. Names in it are absolute."""
        self.text = text
        self.zone = dns.zone.from_text(
            ". 60 IN SOA . . 1 2 3 4 5\n. 60 IN NS localhost.\n" + text, ".", relativize=False, check_origin=False
        )

    def run(self) -> None:
        """Answers datagrams until ``close``."""
        while True:
            data, peer = self._udp.recvfrom(4096)
            if not data:
                return
            answer = self._answer(data)
            if answer is not None:
                self._udp.sendto(answer, peer)

    def run_tcp(self) -> None:
        """Answers one question on each connection until ``close``."""
        while True:
            connection, _ = self._tcp.accept()
            with connection:
                connection.settimeout(30)
                size = connection.recv(2)
                if len(size) < 2:
                    return
                data = connection.recv(int.from_bytes(size, "big"))
                answer = self._answer(data, tcp=True)
                if answer is not None:
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def close(self) -> None:
        """Lets ``run`` and ``run_tcp`` end."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"", self.address)
        with socket.create_connection(self.address):
            pass

    def release(self) -> None:
        """Closes the sockets, after both threads have ended."""
        self._udp.close()
        self._tcp.close()

    def _answer(self, data: bytes, tcp: bool = False) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        if name in self.silent:
            return None
        if name in self.rubbish:
            return b"\0rubbish"
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        self._fill(response, question.name, question.rdtype)
        wire = response.to_wire(max_size=65535)
        if not tcp and len(wire) > (query.payload if query.edns >= 0 else 512):
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(8):
            node = self.zone.get_node(name)
            if node is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return
            found = self.zone.get_rrset(name, kind)
            if found is not None:
                response.answer.append(found)
                return
            alias = self.zone.get_rrset(name, dns.rdatatype.CNAME)
            if alias is None:
                return
            response.answer.append(alias)
            name = alias[0].target


@contextmanager
def name_server(text: str = "") -> Iterator[NameServer]:
    """A running server."""
    server = NameServer(text)
    threads = [threading.Thread(target=one, daemon=True) for one in (server.run, server.run_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        server.close()
        for thread in threads:
            thread.join(30)
        server.release()
