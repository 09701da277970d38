"""The writer's turn: one writer an account, first come, first served, among threads and processes.

SQLite's busy timeout alone starves writers, so a writer queues before it begins. Within a process threads wait in a row.
Among processes there are two locked files: whoever wants ``lock`` must hold ``turn`` first, and gives ``turn`` back once it has
``lock``. So a process that has just finished cannot snatch ``lock`` from the one that already waits for it. The kernel frees both
when a process dies.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import random

from flaskmail.errors import AccountMissing, StoreError

_PAUSE = 0.0002


class Queue:
    """A lock that threads get in the order in which they asked."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, deadline: float) -> bool:
        """Waits until ``deadline`` (time.monotonic()); False when it passed."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        if gate.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return True
        with self._mutex:
            if gate in self._waiting:
                self._waiting.remove(gate)
                return False
        # The turn came between the deadline and here.
        return True

    def release(self) -> None:
        """Hands the lock to the longest waiting thread."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    @property
    def idle(self) -> bool:
        """Whether nobody has it or waits for it."""
        return not self._taken


def _lock_file(path: Path | str, deadline: float, pause: float) -> int:
    """An open, exclusively locked file; -1 when the deadline passed. FileNotFoundError when its folder is gone."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(handle)
                    return -1
                # Not in step with the others who wait.
                time.sleep(pause * (0.5 + random()))
    except BaseException:
        os.close(handle)
        raise


class Locks:
    """The writers' queues of all accounts of this process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._queues: dict[str, Queue] = {}

    def _queue(self, folder: str) -> Queue:
        with self._mutex:
            queue = self._queues.get(folder)
            if queue is None:
                if len(self._queues) >= 1000:
                    self._queues = {name: each for name, each in self._queues.items() if not each.idle}
                queue = self._queues[folder] = Queue()
            return queue

    @contextmanager
    def held(self, folder: Path, timeout: float) -> Iterator[float]:
        """Holds the turn of the account in ``folder``; gives the deadline (time.monotonic()) by which the caller must have begun.

        StoreError when ``timeout`` seconds passed, AccountMissing when the folder went away meanwhile."""
        deadline = time.monotonic() + timeout
        queue = self._queue(str(folder))
        if not queue.acquire(deadline):
            raise _too_late(timeout)
        try:
            handle = self._across(folder, deadline, timeout)
            try:
                # A deleted account's folder is emptied under the lock: then this file has no name any more.
                if os.fstat(handle).st_nlink == 0:
                    raise AccountMissing(f"there is no account {folder.name}")
                yield deadline
            finally:
                os.close(handle)
        finally:
            queue.release()

    def _across(self, folder: Path, deadline: float, timeout: float) -> int:
        try:
            turn = _lock_file(f"{folder}/turn", deadline, 2 * _PAUSE)
            if turn < 0:
                raise _too_late(timeout)
            try:
                handle = _lock_file(f"{folder}/lock", deadline, _PAUSE)
            finally:
                os.close(turn)
        except FileNotFoundError:
            raise AccountMissing(f"there is no account {folder.name}") from None
        except OSError as error:
            raise StoreError(f"the account's lock cannot be opened: {error.strerror}") from error
        if handle < 0:
            raise _too_late(timeout)
        return handle


def _too_late(timeout: float) -> StoreError:
    return StoreError(f"the account is busy: no turn to write within {timeout:g} s")
