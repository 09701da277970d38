"""Device codes in ``control.db`` (RFC 8628). Of both codes a hash is stored."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flaskmail.accounts.database import Database
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.oauthtokens import Approval, Issued, OAuthTokens, new_token, stamp_of
from flaskmail.accounts.tokens import digest
from flaskmail.config.oauth import OAuthExpiry
from flaskmail.oauth.clients import Client
from flaskmail.oauth.device import INTERVAL, Polling, make_user_code, normal_user_code, poll
from flaskmail.oauth.errors import OAuthError, invalid_client, invalid_grant
from flaskmail.oauth.scope import parse_scope, scope_text

DEVICE_PREFIX = "fmd_"
"""What device codes begin with."""

KEPT = 600
"""Seconds for which a device that comes too late is still told so (RFC 8628 section 3.5)."""

MOST = 10_000
"""Device codes that may wait at once, of all clients together."""


@dataclass(frozen=True, slots=True)
class WaitingDevice:
    """What a device asks for. user_code: as it shows it; client: who asks; scopes: what for; created, expires: seconds since
    1970; address: from where it asked, "" when not known."""

    user_code: str = field(repr=False)
    client: str
    scopes: tuple[str, ...]
    expires: float
    created: float = 0.0
    address: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """What a device is given. expires_in, interval: seconds."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        return "DeviceCodes(…)"


def _hashed(user_code: str) -> bytes:
    return hashlib.sha256(b"user code\0" + user_code.encode()).digest()


class OAuthDevices:
    """Devices that wait for a user's answer. clock: seconds since 1970."""

    def __init__(self, database: Database, tokens: OAuthTokens, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._tokens, self._clock = database, tokens, clock

    def begin(self, client: Client, scopes: tuple[str, ...], seconds: int, address: str = "") -> DeviceCodes:
        """New codes. seconds: for which they are good; address: from where the device asks, "" when not known.

        Raises OAuthError: ``temporarily_unavailable`` (503) while too many wait, ``invalid_client`` when the client is gone."""
        code, now = new_token(DEVICE_PREFIX), self._clock()
        with self._database.write() as execute:
            execute("DELETE FROM oauth_device WHERE expires<=?", (now - KEPT,))
            if execute("SELECT count(*) FROM oauth_device WHERE expires>?", (now,))[0][0] >= MOST:
                raise OAuthError(
                    "temporarily_unavailable",
                    "Too many devices wait for an answer.",
                    status=503,
                    headers={"Retry-After": "60"},
                )
            if not execute("SELECT 1 FROM oauth_client WHERE id=?", (client.id,)):
                raise invalid_client("There is no such client.")
            while True:
                user_code = make_user_code(secrets.choice)
                made = execute(
                    "INSERT INTO oauth_device(hash, user_code, client, scope, status, address, created, expires, interval,"
                    " polled) VALUES(?,?,?,?,'pending',?,?,?,?,0) ON CONFLICT DO NOTHING RETURNING 1",
                    (
                        digest(code),
                        _hashed(user_code),
                        client.id,
                        scope_text(scopes),
                        address,
                        now,
                        now + seconds,
                        INTERVAL,
                    ),
                )
                if made:
                    return DeviceCodes(code, user_code, seconds, INTERVAL)

    def find(self, typed: str) -> WaitingDevice | None:
        """The request of a user code as somebody typed it; None when there is none that waits."""
        user_code = normal_user_code(typed)
        if user_code is None:
            return None
        row = self._database.row(
            "SELECT client, scope, expires, created, address FROM oauth_device"
            " WHERE user_code=? AND status='pending' AND expires>?",
            (_hashed(user_code), self._clock()),
        )
        return None if row is None else WaitingDevice(user_code, row[0], parse_scope(row[1]), *row[2:])

    def answer(self, request: WaitingDevice, approval: Approval | None) -> bool:
        """Records what the user said; None for no. False when the request is over or was answered meanwhile. Raises UnknownName
        when the principal is gone or disabled."""
        key = (_hashed(request.user_code), self._clock())
        waits = "user_code=? AND status='pending' AND expires>?"
        with self._database.write() as execute:
            if approval is None:
                done = execute(f"UPDATE oauth_device SET status='denied' WHERE {waits} RETURNING 1", key)  # noqa: S608
                return bool(done)
            stamp = stamp_of(execute, approval.principal)
            if stamp is None:
                raise UnknownName("account", approval.principal, ())
            done = execute(
                "UPDATE oauth_device SET status='approved', scope=?, principal=?, stamp=?, authenticated=?, amr=?"  # noqa: S608
                f" WHERE {waits} RETURNING 1",
                (
                    scope_text(approval.scopes),
                    approval.principal,
                    stamp,
                    approval.authenticated,
                    " ".join(approval.amr),
                    *key,
                ),
            )
            return bool(done)

    def redeem(self, code: str, client: Client, expiry: OAuthExpiry) -> Issued:
        """Tokens for a device code. Raises OAuthError: ``authorization_pending``, ``slow_down``, ``access_denied``,
        ``expired_token`` (RFC 8628 section 3.5) or ``invalid_grant``."""
        hashed = digest(code)
        if self._database.row("SELECT 1 FROM oauth_device WHERE hash=?", (hashed,)) is None:
            raise invalid_grant("The device code is wrong.")
        refused: OAuthError | None = None
        issued: Issued | None = None
        with self._database.write() as execute:
            rows = execute(
                "SELECT client, status, expires, interval, polled, scope, principal, stamp, authenticated, amr"
                " FROM oauth_device WHERE hash=?",
                (hashed,),
            )
            if not rows or rows[0][0] != client.id:
                raise invalid_grant("The device code is wrong.")
            of, status, expires, interval, polled, scope, principal, stamp, authenticated, amr = rows[0]
            after, refused = poll(Polling(status, expires, interval, polled), self._clock())
            execute(
                "UPDATE oauth_device SET status=?, interval=?, polled=? WHERE hash=?",
                (after.status, after.interval, after.polled, hashed),
            )
            if refused is None and stamp_of(execute, principal) == stamp:
                approval = Approval(principal, of, parse_scope(scope), authenticated, tuple(amr.split()))
                issued, _ = self._tokens.issue(execute, approval, client, expiry)
        if issued is None:
            # What the poll changed is to stay so: the refusal comes after the commit.
            raise refused or OAuthError("access_denied", "The account was closed, or may not let applications in.")
        return issued
