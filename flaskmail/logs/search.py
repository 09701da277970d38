"""Finds events in the log: from the newest to the oldest, and no further than is worth it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from flaskmail.logs.events import LEVELS, Event, read_line, timestamp
from flaskmail.logs.files import LogFile, day_of, files

PIECE = 64 * 1024
MOST = 64 * 1024 * 1024
"""Octets that one search reads."""
PATIENCE = 2.0
"""Seconds that one search takes."""
LONGEST = 256 * 1024
"""Octets without a line end after which a file is taken for damaged there."""
_SLACK = 300.0
"""Seconds by which neighbouring lines of several workers may be out of order."""
_FIRST, _LAST = 7 * 86400.0, 250_000_000_000.0
"""Between which every event lies; days before and after them can be computed with."""
_PLAIN = re.compile(r"[A-Za-z0-9@._-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events. text: stands in the sentence, the id or the details, in upper or lower case; level: the least urgent;
    event_id: exactly this one, or those that begin with it and a dot; since, until: seconds since 1970, the second not
    included."""

    text: str = ""
    level: str = LEVELS[0]
    event_id: str = ""
    since: float | None = None
    until: float | None = None

    def test(self) -> Callable[[bytes], Event | None]:
        """What answers the event of a line when it is wanted, else None."""
        text, lowest = self.text.casefold(), LEVELS.index(self.level)
        # A text that JSON never escapes can be looked for before the line is read.
        octets = text.encode() if _PLAIN.fullmatch(text) else b""
        since = "" if self.since is None else timestamp(self.since)
        until = "\x7f" if self.until is None else timestamp(self.until)

        def wanted(line: bytes) -> Event | None:
            if octets and octets not in line.lower():
                return None
            event = read_line(line)
            if event is None or not since <= event.timestamp < until:
                return None
            if event.level in LEVELS and LEVELS.index(event.level) < lowest:
                return None
            if self.event_id and event.event_id != self.event_id and not event.event_id.startswith(f"{self.event_id}."):
                return None
            if text and not any(text in one.casefold() for one in (event.event, event.event_id, event.told())):
                return None
            return event

        return wanted


@dataclass(frozen=True, slots=True)
class Found:
    """events: of the page, newest first. total: those found in all; complete: whether everything was looked at, else there may be
    more."""

    events: list[Event]
    total: int
    complete: bool


def search(
    folder: Path, wanted: Wanted, *, page: int = 1, limit: int = 100, most: int = MOST, seconds: float = PATIENCE
) -> Found:
    """One page of what is wanted. page: from 1 on; limit: events of a page."""
    wanted = replace(wanted, since=_within(wanted.since), until=_within(wanted.until))
    test, first = wanted.test(), (max(1, page) - 1) * limit
    found: list[Event] = []
    total, left, until = 0, most, time.monotonic() + seconds
    oldest = "" if wanted.since is None else timestamp(wanted.since - _SLACK)
    for one in _worth_reading(folder, wanted):
        for number, line in enumerate(backwards(folder / one.name)):
            left -= len(line) + 1
            if left < 0 or (number % 64 == 0 and time.monotonic() > until):
                return Found(found, total, False)
            event = test(line)
            if event is not None:
                if first <= total < first + limit:
                    found.append(event)
                total += 1
            elif oldest and number % 64 == 0:
                other = read_line(line)
                if other is not None and other.timestamp < oldest:
                    return Found(found, total, True)
    return Found(found, total, True)


def _within(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, _FIRST), _LAST)


def _worth_reading(folder: Path, wanted: Wanted) -> list[LogFile]:
    """The files that may hold what is wanted, newest first. A line may stand in the file of the day beside its own."""
    day = timedelta(days=1)
    return [
        one
        for one in reversed(files(folder))
        if (wanted.since is None or one.day >= day_of(wanted.since) - day)
        and (wanted.until is None or one.day <= day_of(wanted.until) + day)
    ]


def backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file from the last to the first, without their ends, empty ones left out. What others append meanwhile
    is not looked at; a file that is gone has none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        position, rest = os.fstat(file).st_size, b""
        while position > 0:
            start = max(0, position - PIECE)
            piece = os.pread(file, position - start, start)
            position = start
            head, end, tail = piece.partition(b"\n")
            if not end:
                rest = piece + rest
                if len(rest) > LONGEST:
                    rest = b""
                continue
            lines = (tail + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            rest = head
        if rest:
            yield rest
    except OSError:
        return
    finally:
        os.close(file)
