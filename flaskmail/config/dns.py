"""The settings of what domains publish in the DNS."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from flaskmail.config import kinds
from flaskmail.config.declaring import setting
from flaskmail.config.kinds import Kind, quote
from flaskmail.values.hostnames import to_ascii

_EXCHANGER = re.compile(r"(?:([0-9]{1,5}) +)?(\S+)", re.ASCII)
_ADDRESS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)", re.ASCII)


def read_exchanger(text: str) -> tuple[int | None, str]:
    """(preference, host name) of one entry of ``dns.mx``; None when it says no preference. ValueError when it is wrong."""
    match = _EXCHANGER.fullmatch(text)
    if match is None or (match[1] and int(match[1]) > 65535):
        raise ValueError("a host name, perhaps after a preference from 0 to 65535")
    return (int(match[1]) if match[1] else None), to_ascii(match[2])


def read_resolver(text: str) -> tuple[str, int]:
    """(address, port) of one entry of ``dns.resolver``; port 53 when it says none. ValueError when it is wrong."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("an IP address, perhaps with a port")
    port = int(match[2] or match[4] or 53)
    if not 1 <= port <= 65535:
        raise ValueError("a port from 1 to 65535")
    return str(ipaddress.ip_address(match[1] or match[3] or match[5])), port


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError
    return value


def _parse_exchangers(value: object, folder: Path) -> tuple[str, ...]:
    for one in _texts(value):
        read_exchanger(one)
    return tuple(_texts(value))


def _parse_resolvers(value: object, folder: Path) -> tuple[str, ...]:
    for one in _texts(value):
        read_resolver(one)
    return tuple(_texts(value))


def _parse_spf(value: object, folder: Path) -> str:
    # RFC 7208 section 4.5: the version ends at a space or at the end; section 3.1: US-ASCII only.
    if not isinstance(value, str) or not re.fullmatch(r"v=spf1(?: [!-~]+)*", value):
        raise ValueError
    return value


def _parse_address(value: object, folder: Path) -> str:
    if not isinstance(value, str):
        raise ValueError
    local, _, domain = value.rpartition("@")
    # RFC 5322 section 3.2.3: dot-atom-text.
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", local):
        raise ValueError
    return f"{local}@{to_ascii(domain)}"


def _write_list(values: tuple[str, ...]) -> str:
    return f"[{', '.join(quote(value) for value in values)}]"


EXCHANGERS: Kind[tuple[str, ...]] = Kind(
    "a list of host names, each perhaps after a preference, like ['10 mx1.example.org', '20 mx2.example.org']",
    _parse_exchangers,
    _write_list,
)
RESOLVERS: Kind[tuple[str, ...]] = Kind(
    "a list of addresses like '192.0.2.53', '127.0.0.1:5353' or '[2001:db8::53]:53'", _parse_resolvers, _write_list
)
SPF: Kind[str] = Kind("an SPF record, like 'v=spf1 mx -all'", _parse_spf, quote)
ADDRESS: Kind[str] = Kind("an email address", _parse_address, quote)


@dataclass(frozen=True, slots=True)
class Dns:
    """What the domains of this server should publish in the DNS, and how it is looked up there. docs/dns.md explains the
    records."""

    mx: tuple[str, ...] = setting(
        EXCHANGERS,
        (),
        "The hosts that take in the mail of all domains, each perhaps after its preference; without one they are 10, 20, ... in "
        "their order. Unset: the host of server.http.url, or lookup.default.hostname.",
        example='["10 mx1.example.org", "20 mx2.example.org"]',
    )
    spf: str = setting(
        SPF,
        "v=spf1 mx -all",
        "Which hosts send mail from the domains (RFC 7208). Mail that leaves by a relay needs what the relay says, like "
        "include:relay.example.net.",
        example='"v=spf1 mx include:relay.example.net -all"',
    )
    dmarc_policy: str = setting(
        kinds.choice("none", "quarantine", "reject"),
        "none",
        "What receivers should do with mail in the name of the domains that neither SPF nor DKIM confirms (DMARC, RFC 7489). "
        "Begin with none, and go on to reject when the reports name no mail of your own.",
    )
    reports: str | None = setting(
        kinds.optional(ADDRESS),
        None,
        "Where others send their reports about DMARC and TLS (RFC 8460). Unset: postmaster at each domain.",
        example='"reports@example.org"',
    )
    resolver: tuple[str, ...] = setting(
        RESOLVERS,
        (),
        "The DNS resolvers that are asked whether domains publish their records. Unset: those of the machine.",
        example='["127.0.0.1:53"]',
    )
    timeout: int = setting(
        kinds.duration(1, 60),
        10,
        "How long the check of a domain's records may take; what has no answer by then is unknown.",
    )
