"""Refresh tokens (RFC 6749 section 6): each works once, and one that is used twice ends its family (RFC 9700 section 4.14.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["rotate", "replayed", "over"]


@dataclass(frozen=True, slots=True)
class RefreshState:
    """A refresh token. used: whether a newer one was given out for it; expires: its own end; family_expires: the end of what the
    user allowed, however often it is renewed. Seconds since 1970."""

    used: bool
    expires: int
    family_expires: int


def judge(state: RefreshState, now: float) -> Verdict:
    """What to do with a refresh token that its client presents: give a new one for it, end the family, or refuse it."""
    if state.used:
        return "replayed"
    if now >= state.expires or now >= state.family_expires:
        return "over"
    return "rotate"


def lifetime(now: float, idle: int, family_expires: int) -> int:
    """When a refresh token that is made now ends, unless it is used: after ``idle`` seconds, and never later than its family."""
    return min(int(now) + idle, family_expires)
