"""Events of the log, and their one line each: ASCII only, so that nothing in it can end a line or move a terminal's cursor."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from flaskmail.logs.secrets import HIDDEN, is_secret, without_secrets

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
"""From the least urgent to the most."""

LONGEST_TEXT = 6000
"""Characters of one text in an event."""
LONGEST_LINE = 16 * 1024
"""Octets of a line. So much is written in one piece, whoever else writes to the same file."""
MOST_MEMBERS = 50
DEEPEST = 4

START = b'{"timestamp":"'
"""How every line begins, and what stands nowhere else in it: quotes within texts are escaped."""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Something that the server has to say. timestamp: UTC with milliseconds, as in RFC 3339; level: of LEVELS; event: a
    sentence; event_id: a dotted name that stays the same whatever the sentence says; details: JSON values by name."""

    timestamp: str
    level: str
    event: str
    event_id: str
    details: dict[str, Any]

    def told(self) -> str:
        """The details as one text, ``name = value, …``."""
        return told(self.details)


def event(seconds: float, level: str, text: str, event_id: str, details: Mapping[str, Any] | None = None) -> Event:
    """An event without secrets, of values that JSON has and of a bounded size. seconds: since 1970."""
    return Event(
        timestamp=timestamp(seconds),
        level=level,
        event=_text(text),
        event_id=_text(event_id),
        details={} if not details else _members(details, 1),
    )


def told(details: Mapping[str, Any]) -> str:
    """Values as one text, ``name = value, …``; None is left out."""
    return ", ".join(f"{name} = {_shown(value)}" for name, value in details.items() if value is not None)


def timestamp(seconds: float) -> str:
    """The time as it stands in an event. Texts of this form sort by time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def line(event: Event) -> bytes:
    """The line, with its end, in at most LONGEST_LINE octets."""
    found = _line(event)
    if len(found) > LONGEST_LINE:
        # The longest texts go first; what is left says that something is missing.
        room = LONGEST_LINE // 4
        while len(found) > LONGEST_LINE and room > 100:
            found = _line(_shorter(event, room))
            room //= 2
    if len(found) > LONGEST_LINE:
        found = _line(Event(event.timestamp, event.level, event.event[:1000], event.event_id[:100], {"cut": True}))
    return found


def read_line(octets: bytes) -> Event | None:
    """The event of a line; None when there is none in it. Before the event there may be the beginning of another one, which
    was cut short when the disk was full."""
    start = octets.rfind(START)
    if start < 0:
        return None
    try:
        return _DECODER.decode(octets[start:])
    except (msgspec.MsgspecError, ValueError):
        return None


_DECODER = msgspec.json.Decoder(Event)
_DEL = re.compile("\x7f")


def _line(event: Event) -> bytes:
    members = {
        "timestamp": event.timestamp,
        "level": event.level,
        "event": event.event,
        "eventId": event.event_id,
        "details": event.details,
    }
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=True)
    return _DEL.sub(r"\\u007f", text).encode("ascii") + b"\n"


def _shorter(event: Event, room: int) -> Event:
    def cut(value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) <= room else value[:room] + "…"
        if isinstance(value, (dict, list)):
            text = json.dumps(value)
            return value if len(text) <= room else text[:room] + "…"
        return value

    details = {name[:100]: cut(value) for name, value in event.details.items()}
    return Event(event.timestamp, event.level, cut(event.event), event.event_id[:100], details)


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        # Of a traceback the end says most.
        text = text[: LONGEST_TEXT // 3] + " … " + text[-2 * LONGEST_TEXT // 3 :]
    # Half a surrogate pair is no Unicode: no reader would take the line.
    return without_secrets(text.encode("utf-8", "backslashreplace").decode())


def _members(found: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in found.items():
        if len(out) >= MOST_MEMBERS:
            out["cut"] = True
            break
        key = _text(str(name))[:100]
        out[key] = HIDDEN if is_secret(key) and isinstance(value, (str, bytes)) else _value(value, depth)
    return out


def _value(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int)):
        # Larger numbers are not the same to every reader of JSON (RFC 7493 section 2.2).
        return value if value is None or -(2**53) < value < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping) and depth < DEEPEST:
        return _members(value, depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)) and depth < DEEPEST:
        return [_value(one, depth + 1) for one in list(value)[:MOST_MEMBERS]]
    return _text(str(value))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
