"""Time for guards against runaway work."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


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


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """What the work gives; AssertionError when it takes longer, in `work_time`, three times in a row.

    What a busy host takes from a virtual processor counts as the work of whoever has it, a tenth of a second or more at once.
    Work that runs away does so each time; so does what is asked for here, which must remember nothing from one time to the
    next."""
    for _ in range(3):
        started = work_time()
        found = work()
        took = work_time() - started
        if took < seconds:
            return found
    raise AssertionError(f"{took:.3g} s of the processor, three times more than {seconds:.3g} s")
