"""Counting what the workers do: each counts in a small file of its own, whoever asks adds them up.

A file belongs to the process that holds its lock. A worker that ends leaves its file with its counts behind, and the next one
goes on counting there: nothing is lost, and there are never more files than there were workers at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flaskmail.formats.exposition import Family, Sample, histogram

log = logging.getLogger("flaskmail.metrics")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
_KNOWN = (
    *(
        200,
        201,
        202,
        204,
        206,
        301,
        302,
        303,
        304,
        307,
        308,
        400,
        401,
        403,
        404,
        405,
        406,
        408,
        409,
        412,
        413,
        414,
        415,
    ),
    *(416, 417, 422, 423, 428, 429, 431, 500, 501, 502, 503, 504, 507),
)
STATUSES = (*map(str, _KNOWN), "other")
AREAS: Sequence[tuple[str, str]] = (
    ("upload", "/jmap/upload/"),
    ("download", "/jmap/download/"),
    ("eventsource", "/jmap/eventsource/"),
    ("jmap", "/jmap/"),
    ("api", "/api/"),
    ("auth", "/auth/"),
    ("discovery", "/.well-known/"),
    ("health", "/healthz/"),
    ("metrics", "/metrics/"),
)
"""What a request is for, and how its path begins; anything else is "other"."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of times, in seconds."""

MOST = 1024
"""Files at most: more workers than that do not count."""

_METHOD = {name: number for number, name in enumerate(METHODS)}
_STATUS = {name: number for number, name in enumerate(STATUSES)}
_NAMES = (*(name for name, _ in AREAS), "other")
_TIMES = len(METHODS) * len(STATUSES)
_PER_AREA = len(BOUNDS) + 3
"""Buckets, one more than bounds; the sum of the times; octets of responses."""
_CELLS = _TIMES + len(_NAMES) * _PER_AREA
_STAMP = hashlib.sha256(repr((METHODS, STATUSES, AREAS, BOUNDS, _PER_AREA)).encode()).digest()[:8]
"""Says what the cells of a file mean. Counts of another meaning are begun anew."""
SIZE = 8 + 8 * _CELLS


def area(path: str) -> int:
    """The number of the area of a path."""
    for number, (_, prefix) in enumerate(AREAS):
        if path.startswith(prefix) or path == prefix[:-1]:
            return number
    return len(AREAS)


class Recorder:
    """Counts requests in this process. folder: of the files; it is made when it is missing. Opens nothing before its first count,
    and anew after a fork. A file that cannot be used is told once, and then nothing is counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._file: int | None = None
        self._cells: memoryview[float] | None = None

    def count(self, method: str, status: int, path: str, seconds: float, octets: int) -> None:
        """Counts one request. octets: of the response's body, 0 when not known."""
        with self._lock:
            cells = self._cells if self._pid == os.getpid() else self._open()
            if cells is None:
                return
            known = _STATUS.get(str(status), len(STATUSES) - 1)
            cells[_METHOD.get(method, len(METHODS) - 1) * len(STATUSES) + known] += 1
            first = _TIMES + area(path) * _PER_AREA
            cells[first + bisect_left(BOUNDS, seconds)] += 1
            cells[first + len(BOUNDS) + 1] += seconds
            cells[first + len(BOUNDS) + 2] += octets

    def _open(self) -> memoryview[float] | None:
        # What was inherited through a fork is the parent's.
        self._pid, self._cells = os.getpid(), None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _claim(self._folder)
            if self._file is None:
                log.error("more than %s processes count requests; this one does not", MOST)
                return None
            if os.fstat(self._file).st_size != SIZE or os.pread(self._file, 8, 0) != _STAMP:
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, SIZE)
                os.pwrite(self._file, _STAMP, 0)
            # Room is made for now: a hole that a full disk cannot fill would end the process.
            os.posix_fallocate(self._file, 0, SIZE)
            self._cells = memoryview(mmap.mmap(self._file, SIZE)).cast("d")[1:]
        except OSError as error:
            log.error("requests are not counted: %s", error)
        return self._cells

    def close(self) -> None:
        """Lets go of the file; the next count opens one again."""
        with self._lock:
            self._cells = None
            if self._file is not None and self._pid == os.getpid():
                os.close(self._file)
            self._file, self._pid = None, 0


def _claim(folder: Path) -> int | None:
    for number in range(MOST):
        file = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        except BaseException:
            os.close(file)
            raise
        return file
    return None


@dataclass(frozen=True, slots=True)
class Counts:
    """What all workers have counted together. workers: how many count now."""

    cells: Sequence[float]
    workers: int

    def families(self) -> Iterator[Family]:
        """The figures."""
        yield Family(
            "flaskmail_http_requests_total",
            "counter",
            "Requests that were answered, by method and status.",
            [
                Sample(self.cells[m * len(STATUSES) + s], {"method": method, "code": status})
                for m, method in enumerate(METHODS)
                for s, status in enumerate(STATUSES)
                if self.cells[m * len(STATUSES) + s]
            ],
        )
        times: list[Sample] = []
        octets: list[Sample] = []
        for number, name in enumerate(_NAMES):
            first = _TIMES + number * _PER_AREA
            values = self.cells[first : first + _PER_AREA]
            times += histogram(BOUNDS, values[: len(BOUNDS) + 1], values[-2], {"area": name})
            octets.append(Sample(values[-1], {"area": name}))
        yield Family(
            "flaskmail_http_request_duration_seconds",
            "histogram",
            "Time until the response was ready, by what the request is for.",
            times,
        )
        yield Family(
            "flaskmail_http_response_size_bytes_total",
            "counter",
            "Octets of the bodies of responses, as far as known beforehand, by what the request is for.",
            octets,
        )
        yield Family("flaskmail_workers", "gauge", "Processes that count requests now.", [Sample(self.workers)])


def counts(folder: Path) -> Counts:
    """The sum of all files of a folder; zeros when there is none."""
    total = array("d", bytes(8 * _CELLS))
    workers = 0
    for number in range(MOST):
        try:
            file = os.open(folder / str(number), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            # They are taken in their order, so there is none behind a gap.
            break
        try:
            content = os.pread(file, SIZE, 0)
            if len(content) == SIZE and content[:8] == _STAMP:
                for cell, value in enumerate(array("d", content[8:])):
                    total[cell] += value
            with suppress(OSError):
                workers += _is_locked(file)
        finally:
            os.close(file)
    return Counts(total, workers)


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
