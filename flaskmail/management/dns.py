"""What a domain should publish in the DNS, and whether it does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from flaskmail.config import Settings
from flaskmail.config.dns import read_exchanger, read_resolver
from flaskmail.config.publishing import AutoconfigServer, MtaSts, is_named, policy_hosts
from flaskmail.decisions.dnsrecords import (
    Facts,
    PublicKey,
    Record,
    Service,
    dns_records,
    in_order,
    no_public_name,
    zone_text,
)
from flaskmail.dnscheck.asking import check_records
from flaskmail.management.domains import found
from flaskmail.management.operation import Call, Octets, Resource
from flaskmail.management.refusals import conflict
from flaskmail.policy.plan import names, of_settings
from flaskmail.server import Server
from flaskmail.values.hostnames import to_ascii

resource = Resource("dns", "What a domain should publish in the DNS, and whether it does.")

_NAMELESS = {
    409: "The server has no name that others can look up: server.http.url and lookup.default.hostname are not set. Or it would "
    "be the MX, and session.mta-sts.mx names others only: dns.mx is not set."
}

# Service -> (its name and usual port with implicit TLS, the same with STARTTLS): RFC 6186 section 3, RFC 8314 section 5.1.
_SERVICES = {
    "imap": (("imaps", 993), ("imap", 143)),
    "pop3": (("pop3s", 995), ("pop3", 110)),
    "smtp": (("submissions", 465), ("submission", 587)),
}


class DnsRecord(msgspec.Struct):
    """One record. name: absolute, with its final dot; content: texts neither quoted nor split."""

    type: Literal["MX", "TXT", "SRV", "CNAME"]
    name: str
    content: str


class CheckedRecord(DnsRecord):
    """How one record is published. purpose: what it is for; found: the contents in its place; detail: a sentence, or ""."""

    purpose: str
    status: Literal["ok", "missing", "different", "unknown"]
    found: list[str]
    detail: str


class Checked(msgspec.Struct):
    """The records of a domain as they are published. complete: whether every one is right."""

    domain: str
    complete: bool
    items: list[CheckedRecord]
    total: int


def shown(record: Record) -> DnsRecord:
    """As answers have it."""
    return DnsRecord(record.type, record.name, record.content)  # type: ignore[arg-type]


def facts_of(server: Server, domain: str, base_url: Callable[[], str] = str) -> Facts:
    """What the records of a domain follow from. base_url: gives what the server's URLs begin with, as this request sees it.

    RequestError 409 when the server has no name that others can look up, and when it would be the MX of a domain whose MTA-STS
    policy names others."""
    settings = server.settings
    host, port = _public_place(server, settings, base_url)
    programs = settings.discovery.autoconfig
    policy = settings.session.mta_sts
    if policy.mode in ("enforce", "testing") and not settings.dns.mx and not is_named(host, policy.mx):
        raise conflict(
            f"session.mta-sts.mx does not name {host}, to which mail would be delivered: set dns.mx to the hosts that take it in."
        )
    services = [Service("jmap", port, host)]
    for name, one in (("imap", programs.imap), ("pop3", programs.pop3), ("smtp", programs.smtp)):
        services += _service(name, one)
    return Facts(
        domain=domain,
        host=host,
        exchangers=in_order(map(read_exchanger, settings.dns.mx or (host,))),
        keys=tuple(
            PublicKey(key.selector, key.algorithm, key.public) for key in server.directory.dkim.of_domain(domain)
        ),
        services=tuple(services),
        spf=settings.dns.spf,
        dmarc_policy=settings.dns.dmarc_policy,
        reports=settings.dns.reports or "",
        mta_sts=_policy_id(policy, policy_hosts(policy, settings.dns)),
        autoconfig=programs.enable,
    )


def _public_place(server: Server, settings: Settings, base_url: Callable[[], str]) -> tuple[str, int]:
    base = of_settings(settings, server).url.constant
    if base is None and settings.server.http.url is not None:
        base = base_url()
    # Without the setting the port is the listener's own, which a proxy may hide.
    parts = urlsplit(base or f"https://{names(settings)[0]['default']['hostname']}")
    try:
        host = to_ascii(parts.hostname or "")
    except ValueError:
        host = ""
    if no_public_name(host):
        raise conflict(
            "The server has no name that others can look up, so no record can lead to it:"
            " set server.http.url or lookup.default.hostname."
        )
    return host, (parts.port or 443) if parts.scheme == "https" else 443


def _service(name: str, settings: AutoconfigServer) -> Iterator[Service]:
    if settings.hostname is not None:
        label, usual = _SERVICES[name][settings.tls == "starttls"]
        yield Service(label, settings.port or usual, to_ascii(settings.hostname))


def _policy_id(policy: MtaSts, hosts: tuple[str, ...]) -> str | None:
    # RFC 8461 section 3.1: another policy has another id, of at most 32 letters and digits.
    if policy.mode is None:
        return None
    return hashlib.sha256(repr((policy.mode, policy.max_age, hosts)).encode()).hexdigest()[:20]


def _records(call: Call, domain: str) -> tuple[str, list[Record]]:
    name = found(call, domain).name
    return name, dns_records(facts_of(call.server, name, call.base_url))


@resource.operation(
    "GET",
    "/dns/records/{domain}",
    "dns.records",
    permissions=("domain-get",),
    answer=list[DnsRecord],
    refuses=_NAMELESS,
)
def records(call: Call, domain: str) -> list[DnsRecord]:
    """List the records that a domain should publish.

    docs/dns.md explains each."""
    return [shown(one) for one in _records(call, domain)[1]]


@resource.operation(
    "GET",
    "/dns/zone/{domain}",
    "dns.zone",
    permissions=("domain-get",),
    answer=Octets,
    media="text/dns",
    refuses=_NAMELESS,
)
def zone(call: Call, domain: str) -> Octets:
    """Give the same records as lines for a zone file."""
    name, wanted = _records(call, domain)
    # RFC 4027.
    return Octets(zone_text(name, wanted).encode(), "text/dns; charset=us-ascii")


@resource.operation(
    "GET", "/dns/check/{domain}", "dns.check", permissions=("domain-get",), answer=Checked, refuses=_NAMELESS
)
def check(call: Call, domain: str) -> Checked:
    """Say of each record whether it is published.

    The status is ok, missing, different, or unknown where no resolver answered within dns.timeout."""
    name, wanted = _records(call, domain)
    settings = call.server.settings.dns
    findings = check_records(wanted, [read_resolver(one) for one in settings.resolver], settings.timeout)
    items = [
        CheckedRecord(
            type=one.record.type,  # type: ignore[arg-type]
            name=one.record.name,
            content=one.record.content,
            purpose=one.record.purpose,
            status=one.status,
            found=list(one.found),
            detail=one.detail,
        )
        for one in findings
    ]
    return Checked(name, all(one.status == "ok" for one in findings), items, len(items))
