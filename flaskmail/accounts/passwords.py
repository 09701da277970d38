"""Passwords: argon2id, a few at a time, and as slow for a name that nobody has as for a wrong password."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flaskmail.accounts.faults import BadPassword
from flaskmail.errors import RequestError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MAX_BYTES = 1024
"""The longest password, in octets of UTF-8: what a hash costs must not depend on who asks."""

# The parameters that OWASP's cheat sheet names for argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19456, 2, 1

NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$" + "bm9ib2R5J3Mgc2FsdCEh$" + "A" * 43
"""A hash that no password has, verified when there is no such account."""

HASHES_AT_ONCE = 1
"""Per process. Hashing is pure CPU: more at once would only take the cores from everybody else."""
WAITING = 8
"""How many threads of a process may wait for their turn to hash; the next one is told to come back."""

_turn = threading.BoundedSemaphore(HASHES_AT_ONCE)
_queue = threading.BoundedSemaphore(HASHES_AT_ONCE + WAITING)
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def _hasher() -> PasswordHasher:
    # Imported when a password is first checked: most requests come with a verified credential.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


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


def hash_password(password: str) -> str:
    """The PHC string to store. Raises BadPassword."""
    octets = prepare(password)
    with _turn:
        return _hasher().hash(octets)


@contextmanager
def turn() -> Iterator[None]:
    """Waits for a turn to hash. Raises RequestError 503 at once when too many wait already."""
    if not _queue.acquire(blocking=False):
        raise RequestError(
            503, "Too many passwords are being checked at the moment. Try again.", headers={"Retry-After": "2"}
        )
    try:
        with _turn:
            yield
    finally:
        _queue.release()


def verify_password(stored: str | None, octets: bytes) -> bool:
    """Whether ``octets`` (from ``prepare``) are the password. stored: the PHC string; None costs the same and is False.

    To be called inside ``turn()``."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(stored or NOBODY, octets)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
