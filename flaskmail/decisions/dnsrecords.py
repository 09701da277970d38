"""What a domain should publish in the DNS so that mail and clients find the server: from facts to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

PURPOSES: Mapping[str, str] = {
    "mx": "Where mail for the domain is delivered.",
    "spf": "Which hosts send mail from the domain.",
    "spf-host": "That the server itself is the only sender of bounces in its name.",
    "dkim": "The public key with which the domain's messages are signed.",
    "dmarc": "What becomes of mail in the domain's name that is neither from its hosts nor signed by it.",
    "dmarc-reports": "That reports about the domain may be sent to an address of another one.",
    "mta-sts": "That mail to the domain is sent over TLS with a checked certificate.",
    "mta-sts-host": "Where the policy of MTA-STS is read.",
    "tls-reports": "Where others report what went wrong with TLS.",
    "service": "Where clients find a service of the domain.",
    "autoconfig": "Where mail programs read their settings.",
}
"""What each record is for, by its ``purpose``, for people."""

TTL = 3600
"""Seconds that resolvers may keep a record of the zone file."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. type: as in ``MX``; name: absolute, with its final dot; content: as a DNS panel takes it, texts neither quoted
    nor split; purpose: one of ``PURPOSES``, or ""."""

    type: str
    name: str
    content: str
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Exchanger:
    """A host that takes mail in. preference: the smaller, the sooner it is tried (RFC 5321 section 5.1)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A DKIM key. algorithm: ``rsa`` or ``ed25519``; public: base64."""

    selector: str
    algorithm: str
    public: str


@dataclass(frozen=True, slots=True)
class Service:
    """Something that clients look up (RFC 2782). name: ``jmap`` for ``_jmap._tcp``; host: where it is."""

    name: str
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the records follow from. Names are A-labels without a final dot.

    host: the server's name; spf: the domain's whole SPF record; dmarc_policy: ``none``, ``quarantine`` or ``reject``; reports: an
    address; mta_sts: the id of the MTA-STS policy, None when there is none; autoconfig: whether the server answers
    mail programs that look for their settings."""

    domain: str
    host: str
    exchangers: tuple[Exchanger, ...]
    keys: tuple[PublicKey, ...] = ()
    services: tuple[Service, ...] = ()
    spf: str = "v=spf1 mx -all"
    dmarc_policy: str = "none"
    reports: str = ""
    mta_sts: str | None = None
    autoconfig: bool = False


def in_order(hosts: Iterable[tuple[int | None, str]]) -> tuple[Exchanger, ...]:
    """Exchangers; those without a preference have 10, 20, ... by their place."""
    return tuple(
        Exchanger(10 * place if preference is None else preference, host)
        for place, (preference, host) in enumerate(hosts, 1)
    )


def no_public_name(host: str) -> bool:
    """Whether the name is one that nobody else can look up."""
    # RFC 6761 section 6.3, RFC 6762 section 3: names of this machine and of this link.
    return "." not in host or host.endswith((".localhost", ".local"))


def dns_records(facts: Facts) -> list[Record]:
    """What to publish, in an order that people read well."""
    return list(_records(facts))


def _records(facts: Facts) -> Iterator[Record]:
    domain, host = facts.domain, facts.host
    reports = facts.reports or f"postmaster@{domain}"
    for exchanger in facts.exchangers:
        yield Record("MX", f"{domain}.", f"{exchanger.preference} {exchanger.host}.", "mx")
    yield Record("TXT", f"{domain}.", facts.spf, "spf")
    if host.endswith(f".{domain}"):
        # RFC 7208 section 2.3: bounces have no sender, so the name in EHLO is checked.
        yield Record("TXT", f"{host}.", "v=spf1 a -all", "spf-host")
    for key in facts.keys:
        yield dkim_record(domain, key)
    # RFC 7489 section 6.3.
    content = f"v=DMARC1; p={facts.dmarc_policy}; rua={_mailto(reports)}"
    yield Record("TXT", f"_dmarc.{domain}.", content, "dmarc")
    elsewhere = reports.rpartition("@")[2]
    if not _same_organisation(elsewhere, domain):
        # RFC 7489 section 7.1: reports go only to whom has agreed to take them.
        yield Record("TXT", f"{domain}._report._dmarc.{elsewhere}.", "v=DMARC1", "dmarc-reports")
    if facts.mta_sts is not None:
        # RFC 8461 sections 3.1 and 3.2.
        yield Record("TXT", f"_mta-sts.{domain}.", f"v=STSv1; id={facts.mta_sts}", "mta-sts")
        yield from _alias("mta-sts", facts, "mta-sts-host")
    # RFC 8460 section 3.
    yield Record("TXT", f"_smtp._tls.{domain}.", f"v=TLSRPTv1; rua={_mailto(reports)}", "tls-reports")
    for service in facts.services:
        # RFC 2782; RFC 8620 section 2.2 for _jmap._tcp, RFC 6186 and RFC 8314 section 5.1 for the others.
        yield Record("SRV", f"_{service.name}._tcp.{domain}.", f"0 1 {service.port} {service.host}.", "service")
    if facts.autoconfig:
        yield from _alias("autoconfig", facts, "autoconfig")


def dkim_record(domain: str, key: PublicKey) -> Record:
    """Where a key of the domain is published."""
    # RFC 6376 sections 3.6.1 and 3.6.2.1, RFC 8463 section 4.2.
    content = f"v=DKIM1; k={key.algorithm}; h=sha256; p={key.public}"
    return Record("TXT", f"{key.selector}._domainkey.{domain}.", content, "dkim")


def _alias(label: str, facts: Facts, purpose: str) -> Iterator[Record]:
    name = f"{label}.{facts.domain}"
    if name != facts.host:
        yield Record("CNAME", f"{name}.", f"{facts.host}.", purpose)


def _same_organisation(one: str, other: str) -> bool:
    # Without a list of public suffixes, only names one of which lies below the other are known to belong together.
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _mailto(address: str) -> str:
    # RFC 6068 section 2, without what RFC 7489 section 6.2 and RFC 8460 section 3 take for delimiters.
    return "mailto:" + quote(address, safe="@$'*+")


# ---- as the text of a zone file
def zone_text(domain: str, records: Sequence[Record]) -> str:
    """Lines for the zone file of the domain (RFC 1035 section 5); records of other zones stand in comments."""
    lines: list[str] = []
    purpose = ""
    for record in records:
        if record.purpose != purpose:
            purpose = record.purpose
            lines.append(f"; {PURPOSES[purpose]}")
        line = f"{record.name} {TTL} IN {record.type} {_content(record)}"
        own = record.name == f"{domain}." or record.name.endswith(f".{domain}.")
        lines.append(line if own else f"; In the zone of another domain: {line}")
    return "\n".join(lines) + "\n"


def _content(record: Record) -> str:
    return quoted(record.content) if record.type == "TXT" else record.content


def quoted(text: str) -> str:
    """A text as zone files have it: strings of at most 255 octets (RFC 1035 section 3.3.14), quoted and escaped."""
    octets = text.encode()
    # RFC 7208 section 3.3 and RFC 6376 section 3.6.2.2: readers join the strings without anything between them.
    strings = [octets[i : i + 255] for i in range(0, len(octets), 255)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, string))}"' for string in strings)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03}"
