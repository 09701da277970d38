"""The device authorization grant (RFC 8628): user codes, and what a device that polls is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from flaskmail.oauth.errors import OAuthError, invalid_grant

INTERVAL = 5
"""Seconds between two polls, at first; and by how much it grows when a device polls too fast (RFC 8628 section 3.5)."""

# RFC 8628 section 6.1: consonants only: nothing looks like something else, and no words come about. Y is no consonant here.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8

_SEPARATORS = re.compile(r"[\s\-_.]+")

Status = Literal["pending", "approved", "denied", "redeemed"]


@dataclass(frozen=True, slots=True)
class Polling:
    """Where a device code stands. expires, polled: seconds since 1970 (polled 0 for never); interval: seconds."""

    status: Status
    expires: float
    interval: int = INTERVAL
    polled: float = 0.0


def make_user_code(choose: Callable[[str], str]) -> str:
    """XXXX-XXXX. choose: a character of a text, at random."""
    text = "".join(choose(ALPHABET) for _ in range(LENGTH))
    return f"{text[:4]}-{text[4:]}"


def normal_user_code(typed: str) -> str | None:
    """A user code as people type it, in the form in which it was shown; None when it cannot be one."""
    # RFC 8628 section 6.1: case and separators do not count.
    text = _SEPARATORS.sub("", typed[:64]).upper()
    if len(text) != LENGTH or not set(text) <= set(ALPHABET):
        return None
    return f"{text[:4]}-{text[4:]}"


def poll(state: Polling, now: float) -> tuple[Polling, OAuthError | None]:
    """What a poll at ``now`` makes of a device code: its new state, and the refusal; None when tokens are due (the state is then
    ``redeemed``)."""
    if state.status == "redeemed":
        return state, invalid_grant("The device code was used already.")
    if now >= state.expires:
        return state, OAuthError("expired_token", "The device code is over. Start again.")
    if state.status == "denied":
        return state, OAuthError("access_denied", "The user refused.")
    if now - state.polled < state.interval:
        slower = replace(state, interval=state.interval + INTERVAL, polled=now)
        return slower, OAuthError("slow_down", f"Ask every {slower.interval} seconds at most.")
    if state.status == "approved":
        return replace(state, status="redeemed", polled=now), None
    return replace(state, polled=now), OAuthError("authorization_pending", "The user has not answered yet.")
