"""What a reader of archives yields: messages, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """One message. source: where it stood, for people; raw: its octets, without any mbox ``From `` line; folder: names from
    the top, () for the target itself; keywords: as in RFC 8621 section 4.1.1; received: RFC 3339 UTCDate when the archive
    knows it, else None."""

    source: str
    raw: bytes
    folder: tuple[str, ...] = ()
    keywords: frozenset[str] = frozenset()
    received: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not taken in. reason: a sentence. counts: whether it stands for a message that was found (a damaged
    archive is told but is no message)."""

    source: str
    reason: str
    counts: bool = True
