"""Time for guards against runaway work."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any


class _Collections(threading.local):
    began = 0.0
    seconds = 0.0


_full = _Collections()


def _watch(phase: str, info: dict[str, Any]) -> None:
    if info["generation"] < 2:
        return
    if phase == "start":
        _full.began = time.thread_time()
    else:
        _full.seconds += time.thread_time() - _full.began


gc.callbacks.append(_watch)


def work_time() -> float:
    """Seconds of the processor that this thread has worked, less its full garbage collections.

    They walk through all that a run of thousands of tests keeps, a second at times, and fall wherever they like; those of the
    younger generations belong to the work and count."""
    return time.thread_time() - _full.seconds
