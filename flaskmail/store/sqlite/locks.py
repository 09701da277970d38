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
from typing import Any

from flaskmail.errors import AccountMissing, StoreError

_PAUSE = 0.0001


class Waiter:
    """One who asks for the lock. joins: takes over what the one before has open (``baton``) instead of having it closed first."""

    __slots__ = ("baton", "gate", "joins")

    def __init__(self, joins: bool = False) -> None:
        self.joins = joins
        self.baton: Any = None
        self.gate: threading.Lock | None = None


class Queue:
    """A lock that threads get in the order in which they asked."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._taken = False
        self._waiting: deque[Waiter] = deque()

    def acquire(self, deadline: float, waiter: Waiter | None = None) -> bool:
        """Waits until ``deadline`` (time.monotonic()); False when it passed. Afterwards ``waiter.baton`` is what was handed over,
        None when nothing was."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                return True
            waiter = waiter or Waiter()
            gate = waiter.gate = threading.Lock()
            gate.acquire()
            self._waiting.append(waiter)
        if gate.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return True
        with self._mutex:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                return False
        # The turn came between the deadline and here.
        return True

    def pass_on(self, baton: Any) -> bool:
        """Hands the lock and ``baton`` to the longest waiting thread, if that one joins; else the caller keeps both: False."""
        with self._mutex:
            if not (self._waiting and self._waiting[0].joins):
                return False
            waiter = self._waiting.popleft()
            waiter.baton = baton
        assert waiter.gate is not None
        waiter.gate.release()
        return True

    def release(self) -> None:
        """Hands the lock to the longest waiting thread."""
        with self._mutex:
            if not self._waiting:
                self._taken = False
                return
            waiter = self._waiting.popleft()
        assert waiter.gate is not None
        waiter.gate.release()

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
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._queues: dict[str, Queue] = {}

    def queue(self, folder: str) -> Queue:
        """The queue of this process for the account in ``folder``."""
        if self._pid != os.getpid():
            # Whoever held or waited for them is in the parent.
            self._forget()
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
        queue = self.queue(str(folder))
        if not queue.acquire(deadline):
            raise too_late(timeout)
        try:
            handle = across(str(folder), deadline, timeout)
            try:
                yield deadline
            finally:
                os.close(handle)
        finally:
            queue.release()


def across(folder: str, deadline: float, timeout: float) -> int:
    """Waits for the turn among processes and answers the locked file, whose closing ends the turn. The caller has the turn among
    its threads. StoreError when the deadline (of ``timeout`` seconds) passed, AccountMissing when the folder went away."""
    name = folder.rpartition("/")[2]
    try:
        turn = _lock_file(f"{folder}/turn", deadline, 2 * _PAUSE)
        if turn < 0:
            raise too_late(timeout)
        try:
            handle = _lock_file(f"{folder}/lock", deadline, _PAUSE)
        finally:
            os.close(turn)
    except FileNotFoundError:
        raise AccountMissing(f"there is no account {name}") from None
    except OSError as error:
        raise StoreError(f"the account's lock cannot be opened: {error.strerror}") from error
    if handle < 0:
        raise too_late(timeout)
    # A deleted account's folder is emptied under the lock: then this file has no name any more.
    if os.fstat(handle).st_nlink == 0:
        os.close(handle)
        raise AccountMissing(f"there is no account {name}")
    return handle


def too_late(timeout: float) -> StoreError:
    """What a writer is told whose turn did not come."""
    return StoreError(f"the account is busy: no turn to write within {timeout:g} s")
