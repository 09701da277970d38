"""How long work tells how far it is, and is told to stop."""

from __future__ import annotations

from collections.abc import Callable

from flaskmail.errors import FlaskmailError

Tell = Callable[[int, int, str], None]
"""(done, total, what is worked on), called often; may raise Cancelled. total grows when it was guessed too low."""


class Cancelled(FlaskmailError):
    """Somebody wants the work to end; what it has done so far is whole."""


def silent(done: int, total: int, what: str) -> None:
    """Tells nobody."""
