"""Where rate limits are counted: a small table in memory that all workers share, with one number for each client."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from flaskmail.decisions.rates import Limit, Spent, spend

ROWS = 8192
WAYS = 8
_SLOT = struct.Struct("<Qd")
_ROW = struct.Struct("<" + "Qd" * WAYS)
SIZE = ROWS * _ROW.size
"""Octets of the table: a row of eight places for each value of a hash. In a full row the client that has spent least is
forgotten, so memory is bounded and nothing needs sweeping."""


class Counters:
    """The table. path: a file that processes which have nothing to do with each other share; None: memory that is shared with
    processes forked after this was made. Nothing in it is worth a write to a disk, and losing it costs nobody anything.

    clock: seconds since 1970. OSError when the file cannot be used."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        if path is None:
            self._file = os.memfd_create("flaskmail-limits", os.MFD_CLOEXEC)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(self._file).st_size != SIZE:
                os.ftruncate(self._file, SIZE)
            # Room is made for now: a hole that a full disk cannot fill would end the process.
            os.posix_fallocate(self._file, 0, SIZE)
            self._table = mmap.mmap(self._file, SIZE)
        except BaseException:
            os.close(self._file)
            raise
        self._lock, self._clock = threading.Lock(), clock

    def spend(self, limit: Limit, client: str) -> Spent:
        """Counts one request of a client and says what is left. Two workers that count the same client in the same microsecond
        may count once: a lock between processes would cost more than all the rest."""
        row, tag = _place(limit.name, client)
        now = self._clock()
        with self._lock:
            slots = _ROW.unpack_from(self._table, row)
            tags = slots[::2]
            if tag in tags:
                place = tags.index(tag)
                spent = spend(limit, slots[2 * place + 1], now)
            else:
                place = min(range(WAYS), key=slots[1::2].__getitem__)
                spent = spend(limit, 0.0, now)
            _SLOT.pack_into(self._table, row + place * _SLOT.size, tag, spent.due)
        return spent

    def close(self) -> None:
        """Lets go of the table."""
        self._table.close()
        os.close(self._file)


@lru_cache(maxsize=4096)
def _place(name: str, client: str) -> tuple[int, int]:
    """The offset of the row of a client, and its tag there, which is never 0."""
    digest = hashlib.blake2b(f"{name}\0{client}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    row = int.from_bytes(digest[:8], "little") % ROWS
    return row * _ROW.size, int.from_bytes(digest[8:], "little") or 1
