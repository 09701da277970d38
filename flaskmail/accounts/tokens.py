"""Access tokens for Bearer authentication (RFC 6750). Only a hash is stored; the token is shown once."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from flaskmail.accounts.database import Database
from flaskmail.accounts.domains import now
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.principals import Principal, principal_of

PREFIX = "fmt_"
"""Every token begins with it, so that scanners for leaked secrets can recognise one."""


@dataclass(frozen=True, slots=True)
class Token:
    """id: what ``revoke`` takes; account: the principal's name; expires: seconds since 1970, None for never."""

    id: str
    account: str
    name: str
    created: str
    expires: int | None

    def expires_date(self) -> str | None:
        """``expires`` as a UTCDate."""
        return (
            None if self.expires is None else datetime.fromtimestamp(self.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        )


def digest(token: str) -> bytes:
    """What is stored: SHA-256. A token has 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Tokens:
    """Tokens in ``control.db``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, principal: Principal, name: str = "", expires: int | None = None) -> tuple[Token, str]:
        """(the token's row, the token itself, which nobody can read again). expires: seconds since 1970."""
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token("t" + secrets.token_hex(8), principal.name, name, now(), expires)
        with self._database.write() as execute:
            if not execute("SELECT 1 FROM principal WHERE id=?", (principal.id,)):
                raise UnknownName("account", principal.name, ())
            execute(
                "INSERT INTO token(id, principal, hash, name, created, expires) VALUES(?,?,?,?,?,?)",
                (token.id, principal.id, digest(text), name, token.created, expires),
            )
        return token, text

    def all(self, principal: Principal | None = None) -> list[Token]:
        """One principal's tokens, or everybody's, oldest first."""
        rows = self._database.rows(
            "SELECT t.id, p.name, t.name, t.created, t.expires, t.principal FROM token t JOIN principal p ON p.id=t.principal"
            " ORDER BY p.name, t.created, t.id"
        )
        return [Token(*row[:5]) for row in rows if principal is None or row[5] == principal.id]

    def revoke(self, id: str) -> Token:
        """Ends a token at once. Raises UnknownName."""
        every = self.all()
        for token in every:
            if token.id == id:
                with self._database.write() as execute:
                    execute("DELETE FROM token WHERE id=?", (id,))
                return token
        raise UnknownName("token", id, (t.id for t in every))

    def holder(self, hashed: bytes) -> tuple[Principal, int | None] | None:
        """Whose token it is (perhaps disabled) and when it expires; None when unknown or expired. hashed: ``digest``."""
        row = self._database.row(
            "SELECT p.id, p.name, p.description, p.admin, p.disabled, p.quota, p.created, t.expires"
            " FROM token t JOIN principal p ON p.id=t.principal WHERE t.hash=?",
            (hashed,),
        )
        if row is None or (row[7] is not None and row[7] <= time.time()):
            return None
        return principal_of(row[:7]), row[7]
