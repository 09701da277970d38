"""The files of the log: ``flaskmail-<day>-<number>.log``, a day in UTC, numbered from 0 on as each becomes full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

_NAME = re.compile(r"flaskmail-([0-9]{4}-[0-9]{2}-[0-9]{2})-([0-9]{1,6})\.log", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class LogFile:
    """One file. Later files are greater. day: its day; number: its place among those of the day."""

    day: date
    number: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"flaskmail-{self.day.isoformat()}-{self.number:03}.log"


def day_of(seconds: float) -> date:
    """The day of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()


def files(folder: Path) -> list[LogFile]:
    """The log files of a folder in the order of time; none when it cannot be read. Other files do not count."""
    found = []
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            try:
                one = LogFile(date.fromisoformat(match[1]), int(match[2]))
            except ValueError:
                continue
            if one.name == name:
                found.append(one)
    return sorted(found)


def outdated(sizes: dict[LogFile, int], today: date, keep: int, most: int) -> list[LogFile]:
    """Those to be removed: older than ``keep`` days, and the oldest while all together have more than ``most`` octets. The newest
    file always stays."""
    gone: list[LogFile] = []
    left = sum(sizes.values())
    for one in sorted(sizes)[:-1]:
        if (today - one.day).days >= keep or left > most:
            gone.append(one)
            left -= sizes[one]
    return gone
