"""Each worker of a gunicorn on its own, where a test is about what every one of them knows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flaskmail.testing import LiveServer


def worker_ids(live: LiveServer) -> list[int]:
    """The process ids of the workers that the server has now."""
    master = live.process.pid
    return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def each_worker(live: LiveServer) -> Iterator[int]:
    """The process id of each worker in turn, while it is the only one that takes requests: the others stand still.

    Asking often, and hoping that every worker took some, proves nothing: on a busy machine one of them takes twenty in a row.
    Whoever does not iterate to the end calls ``close``, or uses ``for`` without ``break``."""
    for chosen in worker_ids(live):
        with standing_still(live, but=chosen):
            yield chosen


@contextmanager
def standing_still(live: LiveServer, but: int | None = None) -> Iterator[None]:
    """While the workers, all but this one, stand still; what is sent to them waits."""
    others = [one for one in worker_ids(live) if one != but]
    try:
        for one in others:
            _stand_still(one)
        yield
    finally:
        for one in others:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def wait_for_workers(live: LiveServer, count: int, gone: Collection[int] = ()) -> list[int]:
    """The process ids of the workers, once there are so many, and none of ``gone`` is among them any more; AssertionError
    after a minute."""
    deadline = time.monotonic() + 60
    while len(found := worker_ids(live)) != count or not set(gone).isdisjoint(found):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def kill_one(live: LiveServer, chance: random.Random) -> None:
    """SIGKILL for one of the workers, as soon as there is one."""
    while True:
        for worker in chance.sample(found := worker_ids(live), len(found)):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                return
        time.sleep(0.01)


def kill_amid(live: LiveServer, answers: Callable[[], int], chance: random.Random, pause: tuple[float, float]) -> None:
    """SIGKILL for one of the workers once more was answered, after a pause of so many seconds, from and to. answers: how many
    there were so far."""
    # A worker that nobody has asked yet takes no request along; new ones need a while to begin.
    before, deadline = answers(), time.monotonic() + 120
    while answers() == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(chance.uniform(*pause))
    kill_one(live, chance)


def _stand_still(worker: int) -> None:
    with suppress(ProcessLookupError, FileNotFoundError):
        # Whoever sleeps has done with the last request, and holds no lock for which the others would have to wait.
        deadline = time.monotonic() + 30
        while _at_work(worker) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(worker, signal.SIGSTOP)
        # kill(2) may return before the process, running on another processor, has stopped.
        while _state(Path(f"/proc/{worker}/stat")) not in "TZX":
            time.sleep(0.001)


def _at_work(worker: int) -> bool:
    return any(_state(path) in "RD" for path in Path(f"/proc/{worker}/task").glob("*/stat"))


def _state(stat: Path) -> str:
    """The letter of proc(5) for what a thread does; "X", that it is gone, when it is."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
