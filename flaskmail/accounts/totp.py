"""Second factors: codes by the clock (TOTP, RFC 6238), and recovery codes for when the device is gone.

The secret of an account is not stored but derived, as RFC 4226 section 7.5 describes: from a key that lies outside of
``control.db`` and a random number that lies in it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import DirectoryError
from flaskmail.accounts.keyfile import read_key
from flaskmail.accounts.principals import Principal

PERIOD = 30
"""Seconds that one code is shown (RFC 6238 section 5.2)."""
DIGITS = 6
WINDOW = 1
"""How many codes before and after the present one are right too: clocks differ, people type slowly."""
RECOVERY_CODES = 10

FREE_TRIES = 5
"""Wrong codes in a row after which each further one makes the account wait, twice as long every time."""
FIRST_WAIT, LONGEST_WAIT = 30, 900

# Crockford's alphabet: what is easily mistaken for another character is not in it.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_READ_AS = str.maketrans("oil", "011", " -")


class WrongCode(DirectoryError):
    """The code is wrong, used already, or too old. ``wait``: seconds before the next one is looked at, 0 for none."""

    def __init__(self, wait: int = 0) -> None:
        self.wait = wait
        super().__init__("the code is wrong, was used before, or is too old")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a person's device is given. secret: base32; uri: the same for a QR code, as authenticator apps read it."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """since: seconds since 1970; recovery_codes: how many are left."""

    since: int
    recovery_codes: int


def code_at(secret: bytes, step: int) -> str:
    """The code of one step of 30 seconds (RFC 6238 section 4.2)."""
    from pyotp import TOTP

    return TOTP(base64.b32encode(secret).decode(), digits=DIGITS, interval=PERIOD).generate_otp(step)


def matching_step(secret: bytes, code: str, now: float, last: int) -> int | None:
    """The step whose code this is, within the window and after ``last``, the last one that was accepted; None when it is
    none."""
    present = int(now) // PERIOD
    found = None
    for step in range(present - WINDOW, present + WINDOW + 1):
        # RFC 6238 section 5.2: a code is accepted once.
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > last and found is None:
            found = step
    return found


def make_recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, in groups of four characters."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES)
    ]


def _recovery_hash(principal_id: str, code: str) -> bytes:
    plain = code.casefold().translate(_READ_AS)
    return hashlib.sha256(f"recovery\0{principal_id}\0{plain}".encode("utf-8", "surrogatepass")).digest()


def wait_after(failures: int) -> int:
    """Seconds to wait after so many wrong codes in a row (RFC 4226 section 7.3: the delay doubles)."""
    if failures < FREE_TRIES:
        return 0
    return min(LONGEST_WAIT, FIRST_WAIT << min(failures - FREE_TRIES, 20))


class SecondFactors:
    """Second factors in ``control.db``. data: the data folder with the key; clock: seconds since 1970."""

    def __init__(self, database: Database, data: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._data, self._clock = database, data, clock

    @cached_property
    def _key(self) -> bytes:
        return read_key(self._data, self._database)

    def _secret(self, principal_id: str, salt: bytes) -> bytes:
        # RFC 4226 section 4, R6: 160 bits.
        return hmac.digest(self._key, b"totp\0" + principal_id.encode() + b"\0" + salt, "sha256")[:20]

    def has_second_factor(self, principal_id: str) -> bool:
        """Whether the account cannot be signed in to by its password alone."""
        return (
            self._database.row("SELECT 1 FROM totp WHERE principal=? AND since IS NOT NULL", (principal_id,))
            is not None
        )

    def get(self, principal_id: str) -> SecondFactor | None:
        """The second factor that is in use; None when there is none."""
        row = self._database.row(
            "SELECT since, (SELECT count(*) FROM recovery_code WHERE principal=totp.principal) FROM totp"
            " WHERE principal=? AND since IS NOT NULL",
            (principal_id,),
        )
        return None if row is None else SecondFactor(row[0], row[1])

    def enrol(self, principal: Principal) -> None:
        """Begins anew with another secret, which counts once ``confirm`` was given a code of it. Raises DirectoryError when a
        second factor is in use."""
        with self._database.write() as execute:
            execute(
                "INSERT INTO totp(principal, salt, since, last, failures, failed) VALUES(?,?,NULL,0,0,0) ON CONFLICT(principal)"
                " DO UPDATE SET salt=excluded.salt, last=0, failures=0 WHERE since IS NULL",
                (principal.id, secrets.token_bytes(16)),
            )
            if execute("SELECT 1 FROM totp WHERE principal=? AND since IS NOT NULL", (principal.id,)):
                raise DirectoryError("there is a second factor already; remove it first")

    def enrolment(self, principal: Principal, issuer: str) -> Enrolment | None:
        """What to give to the device while enrolling; None when nobody is. issuer: the server's name for people."""
        row = self._database.row("SELECT salt FROM totp WHERE principal=? AND since IS NULL", (principal.id,))
        if row is None:
            return None
        from pyotp import TOTP

        secret = base64.b32encode(self._secret(principal.id, row[0])).decode()
        return Enrolment(
            secret,
            TOTP(secret, digits=DIGITS, interval=PERIOD).provisioning_uri(name=principal.name, issuer_name=issuer),
        )

    def confirm(self, principal: Principal, code: str) -> list[str]:
        """Puts the enrolled secret to use, by a code of it; the recovery codes, which nobody can read again. Raises
        WrongCode."""
        codes = make_recovery_codes()

        def take(execute: Callable[..., list[Row]]) -> None:
            execute("UPDATE totp SET since=? WHERE principal=?", (int(self._clock()), principal.id))
            self._store_codes(execute, principal, codes)

        self._try(principal, code, take, enrolling=True)
        return codes

    def check(self, principal: Principal, code: str) -> str:
        """Accepts a code of the device or a recovery code, each once: "otp" or "recovery". Raises WrongCode."""
        return self._try(principal, code, lambda execute: None)

    def renew_recovery_codes(self, principal: Principal) -> list[str]:
        """Ten new ones in the place of all earlier ones. Raises DirectoryError without a second factor."""
        codes = make_recovery_codes()
        with self._database.write() as execute:
            if not execute("SELECT 1 FROM totp WHERE principal=? AND since IS NOT NULL", (principal.id,)):
                raise DirectoryError("there is no second factor")
            self._store_codes(execute, principal, codes)
        return codes

    def remove(self, principal: Principal) -> None:
        """Removes the second factor with its recovery codes, and an enrolment that was not finished."""
        with self._database.write() as execute:
            execute("DELETE FROM recovery_code WHERE principal=?", (principal.id,))
            execute("DELETE FROM totp WHERE principal=?", (principal.id,))

    def _store_codes(self, execute: Callable[..., list[Row]], principal: Principal, codes: Sequence[str]) -> None:
        execute("DELETE FROM recovery_code WHERE principal=?", (principal.id,))
        for code in codes:
            execute(
                "INSERT INTO recovery_code(principal, hash) VALUES(?,?)",
                (principal.id, _recovery_hash(principal.id, code)),
            )

    def _try(
        self,
        principal: Principal,
        code: str,
        accepted: Callable[[Callable[..., list[Row]]], None],
        *,
        enrolling: bool = False,
    ) -> str:
        # One transaction looks and counts: codes that are tried at the same moment in several workers count one by one.
        now = self._clock()
        with self._database.write() as execute:
            rows = execute(
                "SELECT salt, last, failures, failed FROM totp WHERE principal=? AND (since IS NULL)=?",
                (principal.id, int(enrolling)),
            )
            wait = 0
            if rows:
                salt, last, failures, failed = rows[0]
                wait = _left(failures, failed, now)
                how = None if wait else self._how(execute, principal, code, (salt, last), now, enrolling)
                if how is not None:
                    execute("UPDATE totp SET failures=0 WHERE principal=?", (principal.id,))
                    accepted(execute)
                    return how
                if not wait:
                    execute("UPDATE totp SET failures=failures+1, failed=? WHERE principal=?", (int(now), principal.id))
                    wait = wait_after(failures + 1)
        raise WrongCode(wait)

    def _how(
        self,
        execute: Callable[..., list[Row]],
        principal: Principal,
        code: str,
        state: tuple[bytes, int],
        now: float,
        enrolling: bool,
    ) -> str | None:
        salt, last = state
        digits = "".join(code.split())
        if len(digits) == DIGITS and digits.isascii() and digits.isdigit():
            step = matching_step(self._secret(principal.id, salt), digits, now, last)
            if step is None:
                return None
            execute("UPDATE totp SET last=? WHERE principal=?", (step, principal.id))
            return "otp"
        spent = (
            []
            if enrolling
            else execute(
                "DELETE FROM recovery_code WHERE principal=? AND hash=? RETURNING 1",
                (principal.id, _recovery_hash(principal.id, code)),
            )
        )
        return "recovery" if spent else None


def _left(failures: int, failed: int, now: float) -> int:
    # A clock that was set back must not make anybody wait for years.
    return max(0, min(wait_after(failures), int(failed + wait_after(failures) - now)))
