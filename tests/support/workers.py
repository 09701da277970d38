"""Each worker of a gunicorn on its own, where a test is about what every one of them knows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
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
    everyone = worker_ids(live)
    for chosen in everyone:
        others = [one for one in everyone if one != chosen]
        try:
            for one in others:
                _stand_still(one)
            yield chosen
        finally:
            for one in others:
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGCONT)


def _stand_still(worker: int) -> None:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(worker, signal.SIGSTOP)
        # kill(2) may return before the process, running on another processor, has stopped.
        while Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] not in "TZX":
            time.sleep(0.001)
