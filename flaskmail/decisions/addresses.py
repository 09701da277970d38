"""IP addresses as requests carry them, networks as settings name them, and hosts with ports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from flaskmail.decisions.mistakes import Mistake, nearest

IP = IPv4Address | IPv6Address

_ZONE = r"(?:%[A-Za-z0-9._~-]{1,32})?"
_PORT = r"(?::([0-9]{1,5}))?"
_V4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_V6 = r"[0-9A-Fa-f:.]{2,45}"
_BARE_NODE = re.compile(rf"(?:({_V4})|\[({_V6}){_ZONE}\]){_PORT}|({_V6}){_ZONE}", re.ASCII)
# RFC 7239 section 6: IPv6 stands in brackets, and a port may be obfuscated too.
_NODE = re.compile(rf"(?:({_V4})|\[({_V6}){_ZONE}\])(?::(?:([0-9]{{1,5}})|_[A-Za-z0-9._-]+))?", re.ASCII)
# RFC 7239 sections 6.2 and 6.3.
_HIDDEN = re.compile(r"(?:unknown|_[A-Za-z0-9._-]+)(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?", re.ASCII | re.IGNORECASE)
_PEER = re.compile(rf"({_V4})|({_V6})(?:%.*)?", re.ASCII)


def read_peer(text: str) -> IP | None:
    """The address of a socket's peer: without its zone, an IPv4 address mapped into IPv6 as IPv4. None when it is no address."""
    match = _PEER.fullmatch(text)
    if match is None:
        return None
    try:
        return _plain(match[1], match[2])
    except ValueError:
        return None


def read_node(text: str, *, bare: bool) -> IP | None:
    """The address in an element of X-Forwarded-For (``bare``: IPv6 may stand without brackets) or in the ``for`` of
    Forwarded (RFC 7239 section 6); a port and a zone are dropped. None when the proxy does not say who it was.

    ValueError for everything else, and for addresses that no client has."""
    match = (_BARE_NODE if bare else _NODE).fullmatch(text)
    if match is None:
        if _HIDDEN.fullmatch(text):
            return None
        raise ValueError("no address")
    if match[3] is not None and int(match[3]) > 65535:
        raise ValueError("no port")
    ip = _plain(match[1], match[2] or (match[4] if bare else None))
    if ip.is_unspecified or ip.is_multicast or ip == _BROADCAST:
        raise ValueError("an address that no client has")
    return ip


_BROADCAST = IPv4Address("255.255.255.255")


def _plain(v4: str | None, v6: str | None) -> IP:
    if v4 is not None:
        return IPv4Address(v4)
    ip = IPv6Address(v6 or "")
    return ip.ipv4_mapped or ip


@dataclass(frozen=True, slots=True)
class Networks:
    """Some networks. v4, v6: (first address, mask) as numbers; unix: whether peers of Unix sockets belong to it."""

    v4: tuple[tuple[int, int], ...] = ()
    v6: tuple[tuple[int, int], ...] = ()
    unix: bool = False

    def __contains__(self, ip: IP) -> bool:
        number = int(ip)
        return any(number & mask == first for first, mask in (self.v4 if ip.version == 4 else self.v6))

    def __or__(self, other: Networks) -> Networks:
        return Networks(self.v4 + other.v4, self.v6 + other.v6, self.unix or other.unix)


NOBODY = Networks()
"""No network."""


def network(text: str) -> Networks:
    """One network like ``10.0.0.0/8``, or one address. Raises Mistake."""
    wanted = "a network like '10.0.0.0/8' or '2001:db8::/32'"
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Mistake(text, wanted) from None
    if found.prefixlen == 0:
        raise Mistake(text, "networks of proxies; this one would believe every client")
    if isinstance(found, ipaddress.IPv6Network) and int(found.network_address) >> 32 in (0xFFFF, 0):
        # Peers that come as ::ffff:10.0.0.1 are IPv4 to us.
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            hint = f"{mapped}/{found.prefixlen - 96}" if found.prefixlen > 96 else ""
            raise Mistake(text, "the network in IPv4 form", hint)
    address, _, bits = text.partition("/")
    if bits and ipaddress.ip_address(address) != found.network_address:
        raise Mistake(text, f"the network {found}, or the one address {address}", str(found))
    entry = ((int(found.network_address), int(found.netmask)),)
    return Networks(v4=entry) if found.version == 4 else Networks(v6=entry)


def _networks(*texts: str, unix: bool = False) -> Networks:
    found = Networks(unix=unix)
    for text in texts:
        found |= network(text)
    return found


LOOPBACK = _networks("127.0.0.0/8", "::1/128")
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
NAMED: Mapping[str, Networks] = {
    "loopback": LOOPBACK,
    # RFC 1918, RFC 4193, RFC 3927, RFC 4291 section 2.5.6.
    "private": LOOPBACK | _networks(*_PRIVATE, unix=True),
    "unix": Networks(unix=True),
}
"""The names that stand for networks."""


def read_networks(
    members: Iterable[str], named: Mapping[str, Networks] = NAMED
) -> tuple[Networks, list[tuple[int, Mistake]]]:
    """The networks of all members, each a network or one of the names; and what is wrong, with the index of the member."""
    found, wrong = Networks(), []
    for index, member in enumerate(members):
        try:
            if member in named:
                found |= named[member]
            elif re.fullmatch(r"[0-9A-Fa-f:.]+(?:/.*)?", member) and re.search(r"[.:/]", member):
                found |= network(member)
            else:
                wanted = f"a network like '10.0.0.0/8', or one of {', '.join(sorted(named))}"
                raise Mistake(member, wanted, nearest(member, named))
        except Mistake as mistake:
            wrong.append((index, mistake))
    return found, wrong


_AUTHORITY = re.compile(rf"(?:\[({_V6})\]|([A-Za-z0-9_](?:[A-Za-z0-9._-]{{0,252}}))){_PORT}", re.ASCII)


def read_authority(text: str) -> tuple[str, int | None]:
    """(host in lower case, IPv6 in brackets; port or None) of ``host[:port]``. ValueError for anything else."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match[3] is not None and not 0 < int(match[3]) < 65536):
        raise ValueError("no host with an optional port")
    port = None if match[3] is None else int(match[3])
    if match[1] is not None:
        return f"[{IPv6Address(match[1])}]", port
    host = match[2].lower()
    if re.fullmatch(r"[0-9.]+", host):
        return str(IPv4Address(host)), port
    if ".." in host or any(len(label) > 63 for label in host.split(".")):
        raise ValueError("no host name")
    return host, port


# RFC 9110 section 7.2, RFC 3986 section 3.2: uri-host [ ":" port ].
_HOST = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::([0-9]{0,5}))?", re.ASCII
)


def is_host_header(text: str) -> bool:
    """Whether a Host header is well-formed. What it says is never believed."""
    match = _HOST.fullmatch(text)
    if match is None or int(match[2] or 0) > 65535:
        return False
    if match[1] is None:
        return True
    try:
        IPv6Address(match[1])
    except ValueError:
        return False
    return True
