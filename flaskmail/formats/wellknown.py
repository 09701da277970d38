"""The plain texts that a server publishes at well-known addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

ROBOTS = b"User-agent: *\nDisallow: /\n"
"""RFC 9309: nothing here is for search engines."""

FRESH = timedelta(days=100)
"""How far ahead security.txt expires when nobody has said. RFC 9116 section 2.5.5: less than a year."""


def security_txt(
    contact: Sequence[str],
    *,
    now: datetime,
    expires: str | None = None,
    canonical: str = "",
    policy: str | None = None,
    acknowledgments: str | None = None,
    encryption: Iterable[str] = (),
    hiring: str | None = None,
    languages: Sequence[str] = (),
) -> bytes:
    """The document of RFC 9116. contact: one at least; expires: a date-time of RFC 3339, None for FRESH from the beginning of the
    day of ``now`` on; canonical: its own address."""
    if expires is None:
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        expires = (today + FRESH).strftime("%Y-%m-%dT%H:%M:%SZ")
    # RFC 9116 section 2.5: Contact as often as there are ways, in the order of preference; Expires exactly once.
    fields = [("Contact", one) for one in contact]
    fields.append(("Expires", expires))
    fields += (("Encryption", one) for one in encryption)
    fields += (("Acknowledgments", acknowledgments),) if acknowledgments else ()
    fields += (("Preferred-Languages", ", ".join(languages)),) if languages else ()
    fields += (("Canonical", canonical),) if canonical else ()
    fields += (("Policy", policy),) if policy else ()
    fields += (("Hiring", hiring),) if hiring else ()
    return _lines(f"{name}: {value}" for name, value in fields)


def mta_sts(mode: str, max_age: int, mx: Iterable[str]) -> bytes:
    """The policy of RFC 8461 section 3.2. max_age: seconds."""
    return _lines(["version: STSv1", f"mode: {mode}", *(f"mx: {one}" for one in mx), f"max_age: {max_age}"])


def _lines(lines: Iterable[str]) -> bytes:
    # Both RFCs allow LF alone; CRLF is what every reader takes.
    return "".join(f"{line}\r\n" for line in lines).encode()
