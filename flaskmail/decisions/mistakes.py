"""What is wrong with one setting."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Mistake(Exception):
    """A value that cannot be used. found: what stands there, shortened; expected: completes "expected …"; hint: the nearest
    right name, or ""."""

    def __init__(self, found: object, expected: str, hint: str = "") -> None:
        super().__init__(f"found {found}, expected {expected}")
        self.found, self.expected, self.hint = shown(found), expected, hint


def shown(value: object) -> str:
    """The value on one short line, control characters escaped."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant, or ""."""
    return next(iter(difflib.get_close_matches(name.lower(), list(known), 1, 0.6)), "")
