"""Whether this process is about to end: answers that go on for minutes look here, and end too."""

from __future__ import annotations

_near = False


def begin() -> None:
    """Says that the process ends as soon as its requests are answered. Safe in a signal handler."""
    global _near
    _near = True


def is_near() -> bool:
    """Whether it does."""
    return _near
