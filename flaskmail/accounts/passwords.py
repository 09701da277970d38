"""Passwords: argon2id, a few at a time, and as slow for a name that nobody has as for a wrong password."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from flaskmail.accounts.faults import BadPassword
from flaskmail.config.settings import Argon2
from flaskmail.errors import RequestError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MAX_BYTES = 1024
"""The longest password, in octets of UTF-8: what a hash costs must not depend on who asks."""

WAITING = 8
"""How many threads of a process may wait for their turn to hash; the next one is told to come back."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def prepare(password: str) -> bytes:
    """The octets that are hashed: UTF-8 of the NFC form (RFC 8265 section 4.2). Raises BadPassword."""
    if not password:
        raise BadPassword("the password is empty")
    if len(password) > MAX_BYTES:
        raise BadPassword(f"the password is longer than {MAX_BYTES} octets")
    try:
        octets = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        raise BadPassword("the password is not text in UTF-8") from None
    if len(octets) > MAX_BYTES:
        raise BadPassword(f"the password is longer than {MAX_BYTES} octets")
    if any(c < 32 or c == 127 for c in octets):
        # RFC 7617 section 2: Basic authentication cannot carry control characters.
        raise BadPassword("the password holds a control character, which clients cannot send")
    return octets


def make_password() -> str:
    """A random password of 24 letters and digits (about 139 bits), none of which look alike."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(24))


def _return_memory() -> None:
    # Each thread that hashes would keep the memory of one hash for ever: glibc takes such blocks from the thread's own
    # heap once it has seen one freed, unless it is told from which size on a block is given back to the system.
    mmap_threshold = -3
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(mmap_threshold, 1024 * 1024)


class Passwords:
    """Hashing with the costs that the settings name; see ``authentication.argon2`` there.

    cost.memory: octets; cost.concurrency: hashes at once in one process."""

    def __init__(self, cost: Argon2) -> None:
        self._cost = cost
        self._turn = threading.BoundedSemaphore(cost.concurrency)
        self._queue = threading.BoundedSemaphore(cost.concurrency + WAITING)

    def apply(self, cost: Argon2) -> None:
        """Takes other costs from now on; what is being hashed goes on with the old."""
        old, self._cost = self._cost, cost
        if cost != old:
            for made in ("_hasher", "nobody"):
                self.__dict__.pop(made, None)
        if cost.concurrency != old.concurrency:
            self._turn = threading.BoundedSemaphore(cost.concurrency)
            self._queue = threading.BoundedSemaphore(cost.concurrency + WAITING)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        # Imported when a password is first checked: most requests come with a verified credential.
        from argon2 import PasswordHasher

        _return_memory()
        cost = self._cost
        return PasswordHasher(time_cost=cost.time_cost, memory_cost=cost.memory // 1024, parallelism=cost.parallelism)

    @cached_property
    def nobody(self) -> str:
        """A hash that no password has, verified when there is no such account. It costs what a new password's costs."""
        cost = self._cost
        parameters = f"m={cost.memory // 1024},t={cost.time_cost},p={cost.parallelism}"
        return f"$argon2id$v=19${parameters}$bm9ib2R5J3Mgc2FsdCEhIQ$" + "A" * 43

    def hash(self, password: str) -> str:
        """The PHC string to store. Raises BadPassword."""
        octets = prepare(password)
        with self._turn:
            return self._hasher.hash(octets)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a turn to hash. Raises RequestError 503 at once when too many wait already."""
        queue = self._queue
        if not queue.acquire(blocking=False):
            raise RequestError(
                503, "Too many passwords are being checked at the moment. Try again.", headers={"Retry-After": "2"}
            )
        try:
            with self._turn:
                yield
        finally:
            queue.release()

    def hash_octets(self, octets: bytes) -> str:
        """The PHC string of ``prepare``d octets. To be called inside ``turn()``."""
        return self._hasher.hash(octets)

    def verify(self, stored: str | None, octets: bytes) -> bool:
        """Whether ``octets`` (from ``prepare``) are the password. stored: the PHC string; None costs the same and is
        False. To be called inside ``turn()``."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._hasher.verify(stored or self.nobody, octets)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a stored hash was made with other costs than the present ones."""
        return self._hasher.check_needs_rehash(stored)
