"""Writes lines to the files of the log. All workers append to the same file, each line in one piece."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flaskmail.logs.events import event, line
from flaskmail.logs.files import LogFile, day_of, files, outdated


class Writer:
    """One for each process, for one thread at a time; it opens nothing before its first line, and anew after a fork.

    folder: made with the mode 0700 when it is missing. max_size: octets after which the next file begins; most: octets of all
    files together; keep: days that a file is kept. A line that cannot be written is lost, and so many lost lines are told when
    one can be written again: nothing here ever fails."""

    def __init__(
        self,
        folder: Path,
        *,
        max_size: int = 16_000_000,
        most: int = 512_000_000,
        keep: int = 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self._max_size, self._most, self._keep, self._clock = folder, max_size, most, keep, clock
        self._file: int | None = None
        self._is: LogFile | None = None
        self._pid = 0
        self._torn = False
        self.lost = 0

    def write(self, octets: bytes) -> bool:
        """Appends a line, which ends with its line end. Whether that was possible."""
        try:
            file = self._open()
            if self.lost:
                told = event(
                    self._clock(), "ERROR", f"{self.lost} lines of the log are lost", "log.lost", {"lines": self.lost}
                )
                octets = line(told) + octets
            if self._torn:
                octets = b"\n" + octets
            # One call for each line: with O_APPEND the lines of all workers stand one behind the other.
            written = os.write(file, octets)
            self._torn = written != len(octets)
        except OSError:
            self.close()
            self.lost += 1
            return False
        if self._torn:
            self.lost += 1
            return False
        self.lost = 0
        return True

    def close(self) -> None:
        """Closes the file; the next line opens it again."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None

    def _open(self) -> int:
        today = day_of(self._clock())
        if self._file is not None and self._pid == os.getpid() and self._is is not None and self._is.day == today:
            found = os.fstat(self._file)
            # Somebody may have removed the file.
            if found.st_nlink and found.st_size < self._max_size:
                return self._file
        self.close()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = max((one for one in files(self.folder) if one.day == today), default=LogFile(today, 0))
        with suppress(FileNotFoundError):
            if (self.folder / last.name).stat().st_size >= self._max_size:
                last = LogFile(today, last.number + 1)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        path = self.folder / last.name
        try:
            self._file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self._file = os.open(path, flags)
        else:
            self._clean()
        self._is, self._pid = last, os.getpid()
        return self._file

    def _clean(self) -> None:
        """Removes what is too old or too much; whoever begins a file does it."""
        sizes: dict[LogFile, int] = {}
        for one in files(self.folder):
            with suppress(OSError):
                sizes[one] = (self.folder / one.name).stat().st_size
        for one in outdated(sizes, day_of(self._clock()), self._keep, self._most):
            with suppress(OSError):
                (self.folder / one.name).unlink()
