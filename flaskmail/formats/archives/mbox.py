"""The mbox format (RFC 4155 and its common dialects): one file, many messages."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterator
from typing import IO

from flaskmail.formats.archives.found import Found, Skipped

# RFC 4155 appendix A asks for an asctime date; many writers append a zone or leave out the seconds. A body line that merely
# begins with "From " has no time of day followed by a year.
SEPARATOR = re.compile(rb"From [^\r\n]{0,400}?\d{1,2}:\d\d(?::\d\d)?\b[^\r\n]{0,20}\b\d{4}\b[^\r\n]{0,40}\r?\n?\Z")
_DATE = re.compile(
    rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) (\d{1,2}):(\d\d)(?::(\d\d))?"
    rb"(?: ([+-]\d{4}|[A-Z]{1,5}))? (\d{4})\b"
)
_MONTHS = {m: i for i, m in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_STATUS = re.compile(rb"^(X-)?Status:[ \t]*([A-Z]*)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_FLAGS = {ord("R"): "$seen", ord("A"): "$answered", ord("F"): "$flagged", ord("T"): "$draft"}
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def from_line_date(line: bytes) -> str | None:
    """The date of a ``From `` line as a UTCDate; None when it has none that can be read. A numeric zone is honoured."""
    match = _DATE.search(line)
    if match is None:
        return None
    month, day, hour, minute, second, zone, year = match.groups()
    numbers = (int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second or 0))
    if not (numbers[0] >= 1970 and 1 <= numbers[2] <= 31 and numbers[3] < 24 and numbers[4] < 60 and numbers[5] < 61):
        return None
    seconds = timegm((*numbers, 0, 0, 0))
    if zone and zone[:1] in b"+-":
        offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * 60
        seconds += offset if zone[:1] == b"-" else -offset
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, seconds)))


def without_from_line(raw: bytes) -> tuple[bytes, str | None]:
    """A single message that may begin with an mbox ``From `` line, which is no part of it: (message, date of the line)."""
    # RFC 5322 section 4.5.1: white space may stand before the colon of a field, so "From  : …" is one.
    if not raw.startswith(b"From ") or raw[5:100].lstrip(b" \t").startswith(b":"):
        return raw, None
    end = raw.find(b"\n") + 1
    if end == 0:
        return raw, None
    return raw[end:], from_line_date(raw[:end])


def status_keywords(raw: bytes) -> frozenset[str]:
    """Keywords of the Status and X-Status header fields that mail readers keep in mbox files."""
    end = min((i for i in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if i >= 0), default=len(raw))
    if end > 262_144:
        end = 262_144
    head = raw[:end]
    if b"tatus:" not in head and b"TATUS:" not in head:
        return frozenset()
    return frozenset(_FLAGS[letter] for m in _STATUS.finditer(head) for letter in m[2].upper() if letter in _FLAGS)


def read_mbox(file: IO[bytes], source: str, folder: tuple[str, ...], max_size: int) -> Iterator[Found | Skipped]:
    """Messages of an mbox. A message longer than ``max_size`` octets is skipped without being held in memory.

    ``>From `` lines lose one ``>`` (the mboxrd rule, which undoes mboxo too)."""
    number, line_before_blank = 0, True
    lines: list[bytes] = []
    size = 0
    header = b""
    started = False

    def finish() -> Found | Skipped | None:
        name = f"{source}:{number}"
        if size > max_size:
            return Skipped(
                name, f"the message has {size:,} octets; at most {max_size:,} are taken (jmap.email.max-size)"
            )
        # RFC 4155 appendix A: the empty line before the next separator belongs to the format, not to the message.
        if lines and lines[-1] in (b"\n", b"\r\n"):
            lines.pop()
        raw = b"".join(lines)
        if not raw.strip():
            return Skipped(name, "the message is empty")
        if b">From " in raw:
            raw = _QUOTED.sub(rb"\1", raw)
        return Found(name, raw, folder, status_keywords(raw), from_line_date(header))

    while True:
        line = file.readline(1_048_576)
        if not line:
            break
        if line_before_blank and line.startswith(b"From ") and (not started or SEPARATOR.match(line)):
            if started:
                done = finish()
                if done is not None:
                    yield done
            number, started, header, size = number + 1, True, line, 0
            lines = []
            line_before_blank = False
            continue
        if not started:
            if not line.strip():
                continue
            started, number, header = True, 1, b""
        size += len(line)
        if size <= max_size:
            lines.append(line)
        else:
            lines.clear()
        line_before_blank = line in (b"\n", b"\r\n")
    if started:
        done = finish()
        if done is not None:
            yield done
