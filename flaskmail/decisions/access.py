"""Whether an endpoint may be reached at all: the status that ``allowed-endpoint`` gives. It fails closed."""

from __future__ import annotations

ALLOWED = 200
CLOSED = 403
"""Answered when the setting gives no status that can be used."""


def access_status(value: object) -> int:
    """The status of what the setting gives: 200 lets the request pass, every other number is the answer's.

    What is neither 200 nor a number from 400 to 599, as a number or in digits, closes."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return CLOSED
    return value if value == ALLOWED or 400 <= value <= 599 else CLOSED
