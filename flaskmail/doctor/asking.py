"""One request of the doctor's, and what became of it."""

from __future__ import annotations

import hmac
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flaskmail.doctor.key import HEADER, PATH, Key

PATIENCE = 10.0
"""Seconds that one request may take to connect, and to be answered."""
LARGEST = 100_000
"""Octets of a body that are read."""


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL, taken apart. prefix: path in front of everything, without a slash at its end. connect: (host, port) to
    connect to instead, or None."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    connect: tuple[str, int] | None = None

    @property
    def authority(self) -> str:
        """The host, and the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://{self.authority}{self.prefix}"


def read_target(url: str, connect: tuple[str, int] | None = None) -> Target:
    """The parts of a base URL. ValueError, with a sentence, when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL like https://mail.example.org")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{url!r} has more than a scheme, a host, a port and a path")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return Target(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), connect)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. failure: "" or why nothing came: name, refused, timeout, network, tls, certificate, http; detail: a
    sentence about it. code: OpenSSL's number of what is wrong with a certificate. source: (address, port) that it was asked
    from. expires: when the certificate ends, in seconds since the epoch."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""
    detail: str = ""
    code: int = 0
    source: tuple[str, int] = ("", 0)
    expires: float | None = None


def ask(target: Target, path: str, headers: Mapping[str, str] | None = None, *, verify: bool = True) -> Reply:
    """One GET request; redirects are not followed. verify: whether the certificate must be right."""
    where = target.connect or (target.host, target.port)
    try:
        sock = socket.create_connection(where, timeout=PATIENCE)
    except socket.gaierror as error:
        return Reply(failure="name", detail=error.strerror or str(error))
    except ConnectionRefusedError:
        return Reply(failure="refused", detail="connection refused")
    except TimeoutError:
        return Reply(failure="timeout", detail=f"no answer within {PATIENCE:.0f} seconds")
    except OSError as error:
        return Reply(failure="network", detail=error.strerror or str(error))
    try:
        return _converse(target, path, headers or {}, sock, verify)
    except ssl.SSLCertVerificationError as error:
        return Reply(failure="certificate", detail=error.verify_message, code=error.verify_code)
    except ssl.SSLError as error:
        return Reply(failure="tls", detail=error.reason or str(error))
    except TimeoutError:
        return Reply(failure="timeout", detail=f"no answer within {PATIENCE:.0f} seconds")
    except (OSError, http.client.HTTPException) as error:
        return Reply(failure="http", detail=str(error) or type(error).__name__)
    finally:
        sock.close()


def _converse(target: Target, path: str, headers: Mapping[str, str], sock: socket.socket, verify: bool) -> Reply:
    source, expires = sock.getsockname()[:2], None
    if target.scheme == "https":
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        secured = context.wrap_socket(sock, server_hostname=target.host)
        ends = (secured.getpeercert() or {}).get("notAfter")
        expires = ssl.cert_time_to_seconds(ends) if isinstance(ends, str) else None
        sock = secured
    connection = http.client.HTTPConnection(target.host, target.port, timeout=PATIENCE)
    connection.sock = sock
    try:
        # RFC 9112 section 9.6: one request a connection.
        usual = {"Host": target.authority, "Connection": "close", "Accept": "*/*"}
        connection.request("GET", target.prefix + path, headers=usual | dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read(LARGEST), source=source, expires=expires)
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Sight:
    """What the server says that it saw of a request; the members are those of ``flaskmail.web.doctor``. inside: the client is in
    a trusted network itself. direct: no proxy stood between, the server saw the very connection that the doctor made."""

    client: str | None
    peer: str
    scheme: str
    trusted: bool
    forwarded: bool
    told: bool
    inside: bool
    base_url: str
    host: str
    listener: str
    arrived: Mapping[str, str]
    direct: bool


def look(
    target: Target, key: Key, headers: Mapping[str, str] | None = None, *, verify: bool = True
) -> tuple[Reply, Sight | None]:
    """Asks the server what it sees of a request with these headers; None when the answer is not signed by this server."""
    question, nonce = key.question()
    reply = ask(target, PATH, {HEADER: question} | dict(headers or {}), verify=verify)
    signature = reply.headers.get(HEADER.lower(), "")
    if reply.status != 200 or not hmac.compare_digest(signature.encode(), key.answer(nonce, reply.body).encode()):
        return reply, None
    said: dict[str, Any] = json.loads(reply.body)
    direct = said["peer"] == reply.source[0] and str(said["peerPort"]) == str(reply.source[1])
    return reply, Sight(
        said["client"],
        said["peer"],
        said["scheme"],
        said["trusted"],
        said["forwarded"],
        said["told"],
        said["inside"],
        said["baseUrl"],
        said["host"],
        said["listener"],
        said["arrived"],
        direct,
    )
