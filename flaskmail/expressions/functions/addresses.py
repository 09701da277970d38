"""Functions of addresses, and those that ask what a value is."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.functions.declaration import Function, Parameter
from flaskmail.expressions.types import Type, Value, numeral, octets, shortened

_TEXT, _ANY = Parameter("text"), Parameter("value", Type.ANY)

# RFC 5322 section 3.2.3: a dot-atom; RFC 6532 adds what is not ASCII. Said by what they may not hold, which compiles in no time.
_ATOM = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]+'
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_ALNUM, _INNER = r"[^\x00-/:-@\[-`{-\x7f]", r"[^\x00-,./:-@\[-`{-\x7f]"
_LABEL = rf"{_ALNUM}(?:{_INNER}{{0,61}}{_ALNUM})?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


def _is_email(text: str) -> int:
    local, at, domain = text.rpartition("@")
    if not at or len(octets(local)) > 64 or len(octets(domain)) > 253:
        return 0
    return int(bool(_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)))


def _check_part(part: str) -> None:
    if part not in ("local", "domain"):
        raise Refusal(f"{shortened(part)} is no part of an address: 'local' and 'domain' are")


def _email_part(text: str, part: str) -> str:
    _check_part(part)
    local, at, domain = text.rpartition("@")
    return "" if not at else local if part == "local" else domain


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if len(text) > 45 or "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _ip_reverse_name(text: str) -> str:
    address = _address(text)
    if address is None:
        return ""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


@lru_cache(256)
def _network(text: str) -> IPv4Network | IPv6Network:
    """Refusal for what is no network."""
    try:
        if len(text) > 49 or "%" in text:
            raise ValueError
        return ip_network(text)
    except ValueError as error:
        detail = ": bits are set behind the prefix" if "host bits" in str(error) else ""
        raise Refusal(f"{shortened(text)} is no network like 192.0.2.0/24 or 2001:db8::/32{detail}") from None


def _is_ip_in_cidr(text: str, cidr: str) -> int:
    address, network = _address(text), _network(cidr)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and network.version == 4:
        address = address.ipv4_mapped
    return int(address is not None and address in network)


def _check_algorithm(algorithm: str) -> None:
    if algorithm not in _ALGORITHMS:
        raise Refusal(f"{shortened(algorithm)} is none of {', '.join(_ALGORITHMS)}")


def _hash(text: str, algorithm: str) -> str:
    _check_algorithm(algorithm)
    return hashlib.new(algorithm, octets(text), usedforsecurity=False).hexdigest()


def _is_number(value: Value) -> int:
    return int(isinstance(value, (int, float)) or (isinstance(value, str) and numeral(value) is not None))


ADDRESSES: tuple[Function, ...] = (
    Function(
        "is_email",
        _is_email,
        (_TEXT,),
        Type.INTEGER,
        "Whether it looks like an email address: `local@domain`, the domain with a dot.",
        (("is_email('jane@example.org')", 1), ("is_email('jane@localhost')", 0)),
    ),
    Function(
        "email_part",
        _email_part,
        (_TEXT, Parameter("part", check=_check_part)),
        Type.TEXT,
        "What precedes (`'local'`) or follows (`'domain'`) the last `@`; an empty text without one.",
        (("email_part('jane@example.org', 'domain')", "example.org"),),
    ),
    Function(
        "is_ip_addr",
        lambda text: int(_address(text) is not None),
        (_TEXT,),
        Type.INTEGER,
        "Whether it is an IP address.",
        (("is_ip_addr('2001:db8::1')", 1), ("is_ip_addr('[::1]')", 0)),
    ),
    Function(
        "is_ipv4_addr",
        lambda text: int(isinstance(_address(text), IPv4Address)),
        (_TEXT,),
        Type.INTEGER,
        "Whether it is an IPv4 address.",
        (("is_ipv4_addr('192.0.2.1')", 1),),
    ),
    Function(
        "is_ipv6_addr",
        lambda text: int(isinstance(_address(text), IPv6Address)),
        (_TEXT,),
        Type.INTEGER,
        "Whether it is an IPv6 address.",
        (("is_ipv6_addr('::1')", 1),),
    ),
    Function(
        "is_ip_in_cidr",
        _is_ip_in_cidr,
        (Parameter("address"), Parameter("network", check=_network)),
        Type.INTEGER,
        "Whether an address is in a network; 0 for what is no address.",
        (("is_ip_in_cidr('192.0.2.9', '192.0.2.0/24')", 1),),
    ),
    Function(
        "ip_reverse_name",
        _ip_reverse_name,
        (Parameter("address"),),
        Type.TEXT,
        "The address as DNS lists are asked for it: backwards, without the zone; an empty text for what is no address.",
        (("ip_reverse_name('192.0.2.1')", "1.2.0.192"),),
    ),
    Function(
        "is_empty",
        lambda value: int(value in ("", ())),
        (_ANY,),
        Type.INTEGER,
        "Whether it is an empty text or list. Numbers are not.",
        (("is_empty('')", 1), ("is_empty(0)", 0)),
    ),
    Function(
        "is_number",
        _is_number,
        (_ANY,),
        Type.INTEGER,
        "Whether it is a number, or a text that spells one.",
        (("is_number('-1.5')", 1), ("is_number('1e3')", 0)),
    ),
    Function(
        "hash",
        _hash,
        (_TEXT, Parameter("algorithm", check=_check_algorithm)),
        Type.TEXT,
        "The hash in lower-case hexadecimal; `md5`, `sha1`, `sha256` or `sha512`.",
        (("hash('abc', 'md5')", "900150983cd24fb0d6963f7d28e17f72"),),
    ),
)
"""Functions of addresses, and those that ask what a value is."""
