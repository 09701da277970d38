"""Where rate limits are counted: a small table in memory that all workers share, with one number for each client."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
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
            self._table = mmap.mmap(self._file, SIZE)
        except BaseException:
            os.close(self._file)
            raise
        self._lock, self._clock = threading.Lock(), clock

    def spend(self, limit: Limit, client: str) -> Spent:
        """Counts one request of a client and says what is left."""
        digest = hashlib.blake2b(f"{limit.name}\0{client}".encode(), digest_size=16).digest()
        row = int.from_bytes(digest[:4], "little") % ROWS * _ROW.size
        tag = int.from_bytes(digest[8:], "little") or 1
        # The lock of the file is between processes, the other one between threads.
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _ROW.size, row)
            try:
                slots = _ROW.unpack_from(self._table, row)
                tags = slots[::2]
                if tag in tags:
                    place = tags.index(tag)
                    due = slots[2 * place + 1]
                else:
                    place, due = min(range(WAYS), key=slots[1::2].__getitem__), 0.0
                due, spent = spend(limit, due, self._clock())
                _SLOT.pack_into(self._table, row + place * _SLOT.size, tag, due)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _ROW.size, row)
        return spent

    def close(self) -> None:
        """Lets go of the table."""
        self._table.close()
        os.close(self._file)
