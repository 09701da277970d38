"""Credentials that the server makes: access tokens (RFC 6750), app passwords, the secrets of API keys.

Only a hash is stored; the secret is shown once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.domains import now
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.principals import COLUMNS, WIDTH, Principal, principal_of

TokenKind = Literal["token", "app-password", "api-key"]

PREFIX = "fmt_"
"""Every token begins with it, so that scanners for leaked secrets can recognise one."""
APP_PREFIX = "fma_"
"""Every app password begins with it."""
KEY_PREFIX = "api_"
"""Every API key begins with it."""


@dataclass(frozen=True, slots=True)
class Token:
    """id: what ``revoke`` takes; account: the principal's name; expires: seconds since 1970, None for never; scopes: None for no
    limit; networks: CIDRs from which alone it can be used, None for everywhere; used: the day of its last use, as 2026-01-31."""

    id: str
    account: str
    name: str
    created: str
    expires: int | None
    kind: TokenKind = "token"
    scopes: frozenset[str] | None = None
    networks: tuple[str, ...] | None = None
    used: str | None = None

    def expires_date(self) -> str | None:
        """``expires`` as a UTCDate."""
        return (
            None if self.expires is None else datetime.fromtimestamp(self.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        )


@dataclass(frozen=True, slots=True)
class Held:
    """Whose credential was found. principal: with its grant; perhaps disabled. expires and networks as in Token."""

    principal: Principal
    kind: TokenKind
    expires: int | None
    networks: tuple[str, ...] | None
    used: str | None


def digest(token: str) -> bytes:
    """What is stored: SHA-256. A token has at least 160 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def make_secret(kind: TokenKind) -> str:
    """A new secret of the kind: what its owner sees once. That of an API key has yet to be joined with its name."""
    if kind == "app-password":
        # People type these: small letters and digits, 160 bits.
        return APP_PREFIX + base64.b32encode(secrets.token_bytes(20)).decode().lower()
    return PREFIX + secrets.token_urlsafe(32) if kind == "token" else secrets.token_urlsafe(32)


def key_text(name: str, secret: str) -> str:
    """What a client sends as its Bearer token for the API key of this name."""
    return KEY_PREFIX + base64.b64encode(f"{name}:{secret}".encode()).decode()


def key_parts(text: str) -> tuple[str, str] | None:
    """(name, secret) of what a client sent; None when it is no API key."""
    try:
        name, colon, secret = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, secret) if colon else None


def today() -> str:
    """This day in UTC, as 2026-01-31."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


_ALL = (
    "SELECT t.id, COALESCE(p.label, p.name), t.name, t.created, t.expires, t.kind, t.scopes, t.networks, t.used"
    " FROM token t JOIN principal p ON p.id=t.principal"
)


def _token(row: Row) -> Token:
    id, account, name, created, expires, kind, scopes, networks, used = row
    return Token(id, account, name, created, expires, kind, _scopes(scopes), _networks(networks), used)


def _scopes(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


def _networks(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def insert(
    execute: Any,
    principal: str,
    hashed: bytes,
    kind: TokenKind,
    *,
    name: str = "",
    expires: int | None = None,
    scopes: frozenset[str] | None = None,
    networks: tuple[str, ...] | None = None,
) -> str:
    """Inside a transaction: the new credential of the principal with this id; its own id."""
    id = "t" + secrets.token_hex(8)
    execute(
        "INSERT INTO token(id, principal, hash, name, created, expires, kind, scopes, networks) VALUES(?,?,?,?,?,?,?,?,?)",
        (
            id,
            principal,
            hashed,
            name,
            now(),
            expires,
            kind,
            None if scopes is None else json.dumps(sorted(scopes)),
            None if networks is None else json.dumps(networks),
        ),
    )
    return id


_BY_HASH = (
    "SELECT " + COLUMNS + ", t.id, t.name, t.kind, t.scopes, t.expires, t.networks,"  # noqa: S608 - columns of ours
    " t.used FROM token t JOIN principal p ON p.id=t.principal WHERE t.hash=?"
)


class Tokens:
    """Tokens, app passwords and the secrets of API keys, in ``control.db``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        principal: Principal,
        name: str = "",
        expires: int | None = None,
        *,
        kind: TokenKind = "token",
        scopes: frozenset[str] | None = None,
    ) -> tuple[Token, str]:
        """(the token's row, the token itself, which nobody can read again). expires: seconds since 1970; scopes: None for no
        limit. Raises UnknownName when the principal is gone."""
        text = make_secret(kind)
        with self._database.write() as execute:
            if not execute("SELECT 1 FROM principal WHERE id=?", (principal.id,)):
                raise UnknownName("account", principal.name, ())
            id = insert(execute, principal.id, digest(text), kind, name=name, expires=expires, scopes=scopes)
            token = _token(execute(_ALL + " WHERE t.id=?", (id,))[0])
        return token, text

    def all(self, principal: Principal | None = None) -> list[Token]:
        """One principal's, or everybody's, oldest first, those of one second by name."""
        where, values = ("", ()) if principal is None else (" WHERE t.principal=?", (principal.id,))
        return [
            _token(row)
            for row in self._database.rows(f"{_ALL}{where} ORDER BY p.name, t.created, t.name, t.id", values)
        ]

    def revoke(self, id: str) -> Token:
        """Ends a token at once. Raises UnknownName."""
        with self._database.write() as execute:
            found = execute(_ALL + " WHERE t.id=?", (id,))
            if not found:
                raise UnknownName("token", id, (row[0] for row in execute("SELECT id FROM token")))
            execute("DELETE FROM token WHERE id=?", (id,))
        return _token(found[0])

    def holder(self, hashed: bytes) -> Held | None:
        """Whose it is; None when unknown or expired. hashed: ``digest``."""
        row = self._database.row(_BY_HASH, (hashed,))
        if row is None:
            return None
        id, name, kind, scopes, expires, networks, used = row[WIDTH:]
        if expires is not None and expires <= time.time():
            return None
        grant = Grant(kind, id, name, _scopes(scopes), expires=expires, networks=_networks(networks))
        return Held(principal_of(row[:WIDTH], grant), kind, expires, grant.networks, used)

    def note_use(self, hashed: bytes) -> None:
        """Remembers that it was used today."""
        with self._database.write() as execute:
            execute("UPDATE token SET used=? WHERE hash=?", (today(), hashed))
