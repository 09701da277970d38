"""Jobs: work that takes longer than a request, in a thread of the worker that was asked.

One of a kind runs at once, whichever workers are asked: who runs one holds a lock on a file in ``<data>/jobs``. The kernel frees
it when the process dies, and so everybody can tell a job that runs from one that was interrupted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from flaskmail import ending
from flaskmail.accounts.jobtable import Job, JobTable
from flaskmail.errors import FlaskmailError, StoreError
from flaskmail.upkeep import Cancelled, Tell

log = logging.getLogger("flaskmail.jobs")

Work = Callable[[Tell], Any]
"""Does the work, tells how far it is, and answers JSON."""

KINDS = ("backup", "purge", "reindex", "verify")
_OFTEN = 0.25
"""Seconds between two looks at whether a job is to stop."""
_PATIENCE = 5.0
_BRIEF = 10.0
_PAUSE = 0.02


class JobRunning(FlaskmailError):
    """One of this kind runs already. job: its id, "" when it has just begun."""

    def __init__(self, kind: str, job: str) -> None:
        self.kind, self.job = kind, job
        super().__init__(f"a {kind} is running already" + (f": the job {job}" if job else ""))


class UnknownJob(FlaskmailError):
    """There is no job of this id (any more)."""


class Jobs:
    """The jobs of a data folder. Opened at first use; safe among threads, processes, and across fork."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "jobs"
        self._table = JobTable(data)
        self._mutex = threading.Lock()
        self._mine: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._pid = os.getpid()

    def start(self, kind: str, work: Work, *, by: str = "", about: dict[str, Any] | None = None) -> Job:
        """Begins a job and answers at once. by: who wants it; about: what it works on, for people.

        Raises JobRunning, or StoreError when that cannot be noted."""
        handle = self._lock_or_refuse(kind)
        try:
            now = time.time()
            # Of a process that died.
            self._clear(kind, now)
            job = Job("j" + token_hex(8), kind, about or {}, by, "running", now, now, None, 0, 0, "", False, None, None)
            self._table.add(job)
            stop = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(job.id, work, stop, handle), name=f"job-{job.id}", daemon=True
            )
            with self._mutex:
                if self._pid != os.getpid():
                    self._pid, self._mine = os.getpid(), {}
                self._mine[job.id] = thread, stop
            thread.start()
        except BaseException:
            os.close(handle)
            raise
        return job

    def get(self, id: str) -> Job:
        """A job as it is now. Raises UnknownJob."""
        job = self._table.get(id)
        if job is None:
            raise UnknownJob(f"there is no job {id}")
        return self._judged(job)

    def all(self) -> list[Job]:
        """All jobs that are remembered, the newest first."""
        return [self._judged(job) for job in self._table.all()]

    def cancel(self, id: str) -> Job:
        """Tells a job to stop, which it does within seconds; one that has ended stays as it is. Raises UnknownJob."""
        self._table.cancel(id)
        return self.get(id)

    def close(self) -> None:
        """Stops this process's jobs, and closes what is open."""
        with self._mutex:
            mine = list(self._mine.values()) if self._pid == os.getpid() else []
        for _, stop in mine:
            stop.set()
        deadline = time.monotonic() + _PATIENCE
        for thread, _ in mine:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._table.close()

    # ---- the lock of a kind

    def _lock_or_refuse(self, kind: str) -> int:
        deadline = time.monotonic() + _BRIEF
        while (handle := self._lock(kind)) < 0:
            running = [job.id for job in self._table.running() if job.kind == kind]
            # Without one somebody only looks, or is about to let go.
            if running or time.monotonic() > deadline:
                raise JobRunning(kind, "".join(running[:1]))
            time.sleep(_PAUSE)
        return handle

    def _lock(self, kind: str) -> int:
        """The locked file of a kind; -1 when somebody else has it."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._folder / kind, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return -1
        return handle

    def _judged(self, job: Job) -> Job:
        """A job that says that it runs does so only while its kind's lock is held."""
        if job.state != "running":
            return job
        handle = self._lock(job.kind)
        if handle < 0:
            return job
        try:
            # It may have ended between the two looks.
            found = self._table.get(job.id) or replace(job, state="interrupted")
            if found.state == "running":
                self._clear(job.kind, time.time())
                found = self._table.get(job.id) or replace(job, state="interrupted")
            return found
        finally:
            os.close(handle)

    def _clear(self, kind: str, now: float) -> None:
        for job in self._table.running():
            if job.kind == kind:
                self._table.end(job.id, "interrupted", now, error="the process that worked on it has ended")

    # ---- the thread

    def _run(self, id: str, work: Work, stop: threading.Event, handle: int) -> None:
        looked, last = 0.0, (0, 0)

        def tell(done: int, total: int, at: str) -> None:
            nonlocal looked
            if stop.is_set() or ending.is_near():
                raise _Ending
            if time.monotonic() - looked >= _OFTEN:
                if self._table.progress(id, done, total, at, time.time()):
                    raise Cancelled(f"the job {id} was cancelled")
                looked = time.monotonic()

        def told(done: int, total: int, at: str) -> None:
            nonlocal last
            last = done, total
            tell(done, total, at)

        try:
            result = work(told)
            self._table.progress(id, *last, "", time.time())
            self._table.end(id, "done", time.time(), result=result)
        except _Ending:
            self._end(id, "interrupted", "the process that worked on it has ended")
        except Cancelled:
            self._end(id, "cancelled", None)
        except FlaskmailError as error:
            self._end(id, "failed", str(error))
        except Exception:
            log.exception("the job %s failed", id)
            self._end(id, "failed", "the server made a mistake; its log says more")
        finally:
            with self._mutex:
                self._mine.pop(id, None)
            os.close(handle)

    def _end(self, id: str, state: Any, error: str | None) -> None:
        try:
            self._table.end(id, state, time.time(), error=error)
        except StoreError:
            # Nobody holds the lock from here on, which says the same.
            log.exception("the end of the job %s could not be noted", id)


class _Ending(Exception):
    """This process ends."""
