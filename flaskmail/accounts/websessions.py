"""Sessions of browsers: a cookie's value to whoever signed in with it. Only a hash of the value is stored."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.principals import Principal, Principals
from flaskmail.config.signingin import BrowserSession
from flaskmail.errors import RequestError

PENDING_SECONDS = 600
"""How long somebody whose password was right may take to give the second factor."""

SEEN_EVERY = 60
"""A session's last use is written down at most once in so many seconds, as each write is a commit; more often where a session
that is idle is soon over."""

MOST = 100
"""Sessions of one principal; whoever signs in once more ends the one that was idle longest."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """id: what ``end`` takes; principal: with the grant of this session; created, seen, expires, authenticated: seconds since
    1970; address: the client's when it signed in, "" when not known; agent: its User-Agent; amr: how it signed in, values of
    RFC 8176 section 2; pending: the password was right, the second factor is still to come, so nobody is signed in yet."""

    id: str
    principal: Principal
    created: int
    seen: int
    expires: int
    address: str
    agent: str
    authenticated: int
    amr: tuple[str, ...]
    pending: bool

    @property
    def second_factor(self) -> bool:
        """Whether a second factor was given."""
        return self.principal.grant.second_factor


def new_value() -> str:
    """The value of a cookie: 256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def hashed(value: str) -> bytes:
    """What is stored of a cookie's value."""
    return hashlib.sha256(b"session\0" + value.encode("utf-8", "surrogatepass")).digest()


def _session(
    id: str,
    principal: Principal,
    created: int,
    seen: int,
    expires: int,
    address: str,
    agent: str,
    authenticated: int,
    amr: tuple[str, ...],
    pending: bool,
) -> WebSession:
    grant = Grant("session", id, authenticated=authenticated, second_factor=len(amr) > 1)
    whose = replace(principal, grant=grant)
    return WebSession(id, whose, created, seen, expires, address, agent, authenticated, amr, pending)


_COLUMNS = "id, principal, stamp, created, seen, expires, address, agent, authenticated, amr, pending"


class WebSessions:
    """Sessions in ``control.db``. A session is over once the password's stamp is another than when it began, and when its
    principal is disabled, gone or may not sign in; so a change in any process counts at the next request in every one. admit:
    answers the principal, or raises RequestError when it may not sign in. clock: seconds since 1970."""

    def __init__(
        self,
        database: Database,
        principals: Principals,
        admit: Callable[[Principal], Principal],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._principals, self._admit, self._clock = database, principals, admit, clock

    def begin(
        self,
        principal: Principal,
        stamp: int,
        amr: tuple[str, ...],
        limits: BrowserSession,
        *,
        address: str = "",
        agent: str = "",
        pending: bool = False,
        replaced: str | None = None,
    ) -> tuple[WebSession, str]:
        """(the session, the value for its cookie, which nobody can read again). stamp: of the password that was checked;
        replaced: the value of the browser's present cookie, whose session ends. Raises UnknownName when the principal is gone
        or its password is another one by now."""
        now = int(self._clock())
        value, id = new_value(), "w" + secrets.token_hex(8)
        expires = now + (PENDING_SECONDS if pending else limits.lifetime)
        with self._database.write() as execute:
            if not execute("SELECT 1 FROM principal WHERE id=? AND stamp=?", (principal.id, stamp)):
                raise UnknownName("account", principal.name, ())
            execute("DELETE FROM websession WHERE expires<=?", (now,))
            if replaced is not None:
                execute("DELETE FROM websession WHERE hash=?", (hashed(replaced),))
            execute(
                "DELETE FROM websession WHERE id IN"
                " (SELECT id FROM websession WHERE principal=? ORDER BY seen DESC LIMIT -1 OFFSET ?)",
                (principal.id, MOST - 1),
            )
            execute(
                f"INSERT INTO websession(hash, {_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    hashed(value),
                    id,
                    principal.id,
                    stamp,
                    now,
                    now,
                    expires,
                    address,
                    agent[:300],
                    now,
                    " ".join(amr),
                    int(pending),
                ),
            )
        return _session(id, principal, now, now, expires, address, agent[:300], now, amr, pending), value

    def holder(self, value: str, limits: BrowserSession) -> WebSession | None:
        """The session of a cookie's value, pending or not; None when there is none or it is over."""
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM websession WHERE hash=?",  # noqa: S608 - constants
            (hashed(value),),
        )
        session = None if row is None else self._alive(row, limits)
        if session is not None and self._clock() - session.seen >= min(SEEN_EVERY, limits.idle_timeout // 10):
            with self._database.write() as execute:
                execute("UPDATE websession SET seen=? WHERE id=?", (int(self._clock()), session.id))
        return session

    def _alive(self, row: Row, limits: BrowserSession) -> WebSession | None:
        id, principal_id, stamp, created, seen, expires, address, agent, authenticated, amr, pending = row
        now = self._clock()
        # Settings that are shorter by now count for sessions that began before.
        if now >= expires or now >= created + limits.lifetime or now >= seen + limits.idle_timeout:
            return None
        secret = self._principals.secret_of(principal_id)
        if secret is None or secret.stamp != stamp:
            return None
        try:
            principal = self._admit(secret.principal)
        except RequestError:
            return None
        return _session(
            id, principal, created, seen, expires, address, agent, authenticated, tuple(amr.split()), bool(pending)
        )

    def all(self, principal: Principal, limits: BrowserSession) -> list[WebSession]:
        """Those of one principal in which somebody is signed in, the last used first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM websession WHERE principal=? AND pending=0 ORDER BY seen DESC, id",  # noqa: S608
            (principal.id,),
        )
        return [session for row in rows if (session := self._alive(row, limits)) is not None]

    def end(self, principal: Principal, id: str) -> bool:
        """Ends one session of this principal; whether there was one."""
        with self._database.write() as execute:
            return bool(execute("DELETE FROM websession WHERE id=? AND principal=? RETURNING 1", (id, principal.id)))

    def end_value(self, value: str) -> None:
        """Ends the session of a cookie's value, if there is one."""
        with self._database.write() as execute:
            execute("DELETE FROM websession WHERE hash=?", (hashed(value),))

    def end_others(self, principal: Principal, id: str = "") -> int:
        """Ends all sessions of this principal but the one of this id; how many they were, pending ones included."""
        with self._database.write() as execute:
            return len(execute("DELETE FROM websession WHERE principal=? AND id<>? RETURNING 1", (principal.id, id)))
