"""Who is the client, and what did it use: from the socket's peer and, when the peer is trusted, from what it forwards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from flaskmail.decisions.addresses import LOOPBACK, NOBODY, Networks, read_authority, read_node, read_peer
from flaskmail.decisions.forwarded import BadForwarded, parse_forwarded
from flaskmail.decisions.rates import client_of

Family = Literal["x-forwarded", "forwarded", "auto"]


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe, and what. use: whether anybody. fields: of "for", "proto" and "host"."""

    use: bool = False
    networks: Networks = NOBODY
    family: Family = "x-forwarded"
    fields: frozenset[str] = frozenset({"for", "proto"})


@dataclass(frozen=True, slots=True)
class Claims:
    """The forwarded headers of a request, each with all its lines joined by commas; None when it is not there."""

    x_for: str | None = None
    x_proto: str | None = None
    x_host: str | None = None
    forwarded: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """The decision.

    address: of the client, canonical; None when nobody knows. scheme: "http" or "https", as the client sees it.
    host, port: what a trusted proxy says that the client asked for ("host[:port]" in lower case, its port), or None.
    trusted: the peer is a trusted proxy. forwarded: it forwarded for somebody. told: it said the scheme.
    local: the client is proven to be on this machine. exempt: a trusted proxy itself, never to be limited or banned.
    why: the reason, for people. key: what is limited as one client (``client_of``).
    """

    address: str | None
    scheme: str
    host: str | None = None
    port: int | None = None
    trusted: bool = False
    forwarded: bool = False
    told: bool = False
    local: bool = False
    exempt: bool = False
    why: str = ""
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", client_of(self.address))


Verdict = Literal["trusted", "client", "unidentified", "malformed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk from the right, for explanations.

    header: the field's name. text: the address as it stands there, None where the element names none. address: canonical,
    None when there is none to know. verdict: "trusted" is a proxy of ours, whose word about the address to its left counts; all
    others end the walk."""

    header: str
    text: str | None
    address: str | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Told:
    """What one family of headers says. found: whether there is a deciding element; address None in it: unidentified."""

    found: bool = False
    address: str | None = None
    trusted: bool = False
    scheme: str | None = None
    host: str | None = None
    port: int | None = None


def decide_client(
    trust: Trust, peer: str, scheme: str, claims: Claims, proxied: bool = False, steps: list[Step] | None = None
) -> Client:
    """The client of a request. peer: the socket's peer as text, "" for a Unix socket; scheme: the socket's.

    proxied: an untrusted peer sent forwarded headers, so it is no proof that the client is on this machine. steps: where the
    steps of the walk are noted, for who wants to know why.
    BadForwarded when a trusted peer's headers cannot be understood where they decide."""
    ip = read_peer(peer)
    address = None if ip is None else str(ip)
    loopback = ip is not None and ip in LOOPBACK
    if not trust.use:
        why = "the setting use-x-forwarded is off: the client is the peer of the socket"
        # A proxy on this machine that nobody configured: limiting it would limit everybody.
        return Client(address, scheme, local=loopback and not proxied, exempt=loopback, why=why)
    known = trust.networks.unix if not peer else ip is not None and ip in trust.networks
    if not known:
        why = "the peer is not in trusted-proxies: the client is the peer of the socket"
        return Client(address, scheme, local=loopback and not proxied, why=why)
    told = _listen(trust, claims, steps)
    seen = told.scheme or scheme
    if not told.found:
        why = "the peer is a trusted proxy and forwards for nobody: the client is the peer"
        return Client(address, seen, told.host, told.port, True, False, told.scheme is not None, exempt=True, why=why)
    return Client(
        told.address,
        seen,
        told.host,
        told.port,
        trusted=True,
        forwarded=True,
        told=told.scheme is not None,
        local=_is_loopback(told.address),
        exempt=told.trusted,
        why="the peer is a trusted proxy: the client is "
        + (
            "unidentified, as the proxy says"
            if told.address is None
            else "the leftmost address, as all are trusted"
            if told.trusted
            else "the rightmost address that is not trusted"
        ),
    )


def _is_loopback(address: str | None) -> bool:
    ip = None if address is None else read_peer(address)
    return ip is not None and ip in LOOPBACK


def _listen(trust: Trust, claims: Claims, steps: list[Step] | None) -> _Told:
    if trust.family == "x-forwarded":
        return _x_forwarded(trust, claims, steps)
    if trust.family == "forwarded":
        return _forwarded(trust, claims.forwarded, steps)
    # auto: both may be there, and then they must agree.
    has_x = any(text and text.strip(" \t,") for text in (claims.x_for, claims.x_proto, claims.x_host))
    if not (claims.forwarded and claims.forwarded.strip(" \t,")):
        return _x_forwarded(trust, claims, steps)
    one = _forwarded(trust, claims.forwarded, steps)
    if not has_x:
        return one
    other = _x_forwarded(trust, claims, steps)
    if (one.found, one.address) != (other.found, other.address):
        raise BadForwarded("X-Forwarded-For and Forwarded contradict each other.")
    if one.scheme and other.scheme and one.scheme != other.scheme:
        raise BadForwarded("X-Forwarded-Proto and Forwarded contradict each other.")
    if one.host and other.host and one.host != other.host:
        raise BadForwarded("X-Forwarded-Host and Forwarded contradict each other.")
    host = one if one.host else other
    return _Told(one.found, one.address, one.trusted, one.scheme or other.scheme, host.host, host.port)


def _x_forwarded(trust: Trust, claims: Claims, steps: list[Step] | None) -> _Told:
    found, address, trusted = False, None, False
    if "for" in trust.fields and claims.x_for:
        for item in reversed(claims.x_for.split(",")):
            text = item.strip(" \t")
            if not text:
                continue
            try:
                ip = read_node(text, bare=True)
            except ValueError:
                if steps is not None:
                    steps.append(Step("X-Forwarded-For", text, None, "malformed"))
                raise BadForwarded("X-Forwarded-For names no address where it decides.") from None
            found, address = True, None if ip is None else str(ip)
            trusted = ip is not None and ip in trust.networks
            if steps is not None:
                steps.append(_step("X-Forwarded-For", text, address, trusted))
            if not trusted:
                break
    scheme = _scheme(_rightmost(claims.x_proto)) if "proto" in trust.fields else None
    host, port = _host(_rightmost(claims.x_host)) if "host" in trust.fields else (None, None)
    return _Told(found, address, trusted, scheme, host, port)


def _forwarded(trust: Trust, text: str | None, steps: list[Step] | None) -> _Told:
    elements = parse_forwarded(text) if text else []
    if not elements:
        return _Told()
    found, address, trusted = False, None, False
    deciding = elements[-1]
    if "for" in trust.fields:
        for element in reversed(elements):
            deciding = element
            node = element.get("for")
            try:
                ip = None if node is None else read_node(node, bare=False)
            except ValueError:
                if steps is not None:
                    steps.append(Step("Forwarded", node, None, "malformed"))
                raise BadForwarded("Forwarded names no address where it decides.") from None
            found, address = True, None if ip is None else str(ip)
            trusted = ip is not None and ip in trust.networks
            if steps is not None:
                steps.append(_step("Forwarded", node, address, trusted))
            if not trusted:
                break
    # What another element says was said about another hop.
    scheme = _scheme(deciding.get("proto")) if "proto" in trust.fields else None
    host, port = _host(deciding.get("host")) if "host" in trust.fields else (None, None)
    return _Told(found, address, trusted, scheme, host, port)


def _step(header: str, text: str | None, address: str | None, trusted: bool) -> Step:
    return Step(header, text, address, "unidentified" if address is None else "trusted" if trusted else "client")


def _rightmost(text: str | None) -> str | None:
    if not text:
        return None
    return next((value for item in reversed(text.split(",")) if (value := item.strip(" \t"))), None)


_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


def _scheme(text: str | None) -> str | None:
    if not text:
        return None
    # ASCII alone: str.lower() knows letters that become "s" or "k".
    if not re.fullmatch(r"[A-Za-z]{2,5}", text, re.ASCII) or text.lower() not in _SCHEMES:
        raise BadForwarded("The forwarded scheme is neither http nor https.")
    return _SCHEMES[text.lower()]


def _host(text: str | None) -> tuple[str | None, int | None]:
    if not text:
        return None, None
    try:
        host, port = read_authority(text)
    except ValueError:
        raise BadForwarded("The forwarded host is no host with an optional port.") from None
    return (host if port is None else f"{host}:{port}"), port
