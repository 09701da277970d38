"""Tries against a limit of tries: so many at once, then one in each few seconds.

However slow the machine is: what becomes free while a test runs is allowed for."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from flaskmail.accounts.directory import Directory

REFUSED = 429


def stop_the_clock(monkeypatch: pytest.MonkeyPatch, directory: Directory) -> None:
    """In this process no try becomes free while the test runs."""
    now = time.time()
    monkeypatch.setattr(directory._throttle, "_clock", lambda: now)


def enrol(directory: Directory, name: str) -> None:
    """Gives an account a second factor, whose codes of now are not used up by setting it up."""
    principal = directory.principals.get(name)
    directory.second_factors.enrol(principal)
    assert directory.second_factors.enrolment(principal, "here") is not None
    with directory._database.write() as execute:
        execute("UPDATE totp SET since=1 WHERE principal=?", (principal.id,))


def most(began: float, room: int = 11, every: float = 6) -> int:
    """Tries that may have been looked at since that moment (``time.monotonic``). room: how many at once; every: seconds in which
    one more becomes free."""
    return room + int((time.monotonic() - began) / every)


class Guesses:
    """Tries that one limit counts; as it comes, that of wrong passwords. looked_at: how many it has let through."""

    def __init__(self, at_once: int = 10, every: float = 6) -> None:
        self.looked_at, self._began, self._room, self._every = 0, time.monotonic(), at_once + 1, every

    def use_up(self, ask: Callable[[], int]) -> None:
        """Asks until the status is 429; AssertionError when more is let through than may be.

        Called again after a restart, it shows that the counts are still there."""
        let_through = 0
        while ask() != REFUSED:
            let_through += 1
            assert let_through <= most(self._began, self._room, self._every)
        self.looked_at += let_through
        self._began, self._room = time.monotonic(), 1

    def keep_out(self, wrong: Callable[[], int], right: Callable[[int], int]) -> bool:
        """Whether the right one is not looked at either once the wrong ones are used up.

        right gets a new number each time, for an address of its own: when a try became free in between, it is let in once."""
        for number in range(3):
            self.use_up(wrong)
            if right(number) == REFUSED:
                return True
        return False
