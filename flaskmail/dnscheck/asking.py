"""Asks resolvers for records, all of them within one limit of time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from flaskmail.decisions.dnsrecords import Record
from flaskmail.dnscheck.comparing import Answer, Finding, compare, compare_addresses, compare_target

if TYPE_CHECKING:
    from dns.resolver import Resolver

AT_ONCE = 8
"""Questions on their way at the same time."""

TRY = 2.0
"""Seconds after which a resolver that has not answered is asked again, or the next one."""


def check_records(records: Sequence[Record], resolvers: Sequence[tuple[str, int]], seconds: float) -> list[Finding]:
    """A finding for each record, in their order, after at most about so many seconds.

    resolvers: addresses with ports; none for those of the machine. Never fails: what cannot be known is ``unknown``."""
    asking = _Asking(resolvers, time.monotonic() + seconds)
    with ThreadPoolExecutor(AT_ONCE, "dnscheck") as pool:
        return list(pool.map(asking.verdict, records))


class _Asking:
    def __init__(self, resolvers: Sequence[tuple[str, int]], deadline: float) -> None:
        self._deadline = deadline
        self._resolver = _resolver(resolvers)

    def verdict(self, record: Record) -> Finding:
        answer = self.ask(record.name, record.type)
        if record.type == "CNAME" and not answer.found and not answer.failure:
            # Where an alias cannot be, addresses do as well.
            return compare_addresses(record, self.addresses(record.name), self.addresses(record.content))
        finding = compare(record, answer)
        if record.type in ("MX", "SRV") and finding.status == "ok":
            host = record.content.rpartition(" ")[2]
            finding = compare_target(finding, self.addresses(host), self.ask(host, "CNAME"))
        return finding

    def addresses(self, name: str) -> Answer:
        both = [self.ask(name, type) for type in ("A", "AAAA")]
        found = tuple(text for answer in both for text in answer.found)
        return Answer(found) if found else next((answer for answer in both if answer.failure), Answer())

    def ask(self, name: str, type: str) -> Answer:
        # Only whoever checks pays for the import.
        import dns.exception
        import dns.resolver

        left = self._deadline - time.monotonic()
        if self._resolver is None:
            return Answer(failure="This machine names no resolver: set dns.resolver.")
        if left <= 0:
            return Answer(failure="There was no time left to ask.")
        try:
            answer = self._resolver.resolve(name, type, search=False, lifetime=left, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return Answer()
        except dns.exception.Timeout:
            return Answer(failure="No resolver answered in time.")
        except dns.resolver.NoNameservers:
            return Answer(failure="No resolver gave a usable answer.")
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return Answer(failure=f"The resolvers could not be asked: {error.__class__.__name__}.")
        return Answer(tuple(map(_content, answer.rrset or ())))


def _resolver(resolvers: Sequence[tuple[str, int]]) -> Resolver | None:
    import dns.exception
    import dns.nameserver
    import dns.resolver

    try:
        found = dns.resolver.Resolver(configure=not resolvers)
    except (dns.exception.DNSException, ValueError):
        # There is no resolv.conf, or nobody can read it.
        return None
    if resolvers:
        found.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in resolvers]
    found.timeout = TRY
    return found


def _content(rdata: Any) -> str:
    # As Record.content has it; octets that are no UTF-8 are shown by their numbers.
    if rdata.rdtype.name == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "backslashreplace")
    return str(rdata.to_text())
