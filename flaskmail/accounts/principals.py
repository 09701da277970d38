"""Principals: those who can sign in. Every one but ``admin`` has a mail account with the same id."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

import apsw

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.domains import add_domain, now
from flaskmail.accounts.faults import NameTaken, UnknownName
from flaskmail.accounts.names import ADMIN, account_name


@dataclass(frozen=True, slots=True)
class Principal:
    """id: the accountId; name: the address in lower case, or ``admin``; quota: octets, None for the server's default;
    created: a UTCDate. ``admin`` manages the server and has no mail account."""

    id: str
    name: str
    description: str
    admin: bool
    disabled: bool
    quota: int | None
    created: str


@dataclass(frozen=True, slots=True)
class Secret:
    """What is needed to check a password. stamp: changes whenever the password does."""

    principal: Principal
    password: str
    stamp: int


def new_account_id() -> str:
    """An accountId: ``a`` and 120 random bits in lower-case base32; never used before."""
    return "a" + base64.b32encode(secrets.token_bytes(15)).decode().lower()


def _stamp() -> int:
    return secrets.randbits(62)


_ALL = "SELECT id, name, description, admin, disabled, quota, created, password, stamp FROM principal"
_BY_NAME = _ALL + " WHERE name=?"
_BY_ID = _ALL + " WHERE id=?"
_BY_ORDER = _ALL + " ORDER BY name"


def principal_of(row: Row) -> Principal:
    """From the seven columns in the order of the fields."""
    id, name, description, admin, disabled, quota, created = row
    return Principal(id, name, description, bool(admin), bool(disabled), quota, created)


class Principals:
    """Principals in ``control.db``. Passwords come in as PHC strings (:mod:`flaskmail.accounts.passwords`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Principal]:
        """All of them, by name."""
        return [principal_of(row[:7]) for row in self._database.rows(_BY_ORDER)]

    def get(self, name: str) -> Principal:
        """By name. Raises BadName or UnknownName (with the nearest name)."""
        wanted, _ = account_name(name)
        found = self.secret(wanted)
        if found is None:
            raise UnknownName("account", wanted, (row[0] for row in self._database.rows("SELECT name FROM principal")))
        return found.principal

    def secret(self, name: str) -> Secret | None:
        """By exact name; None when there is none."""
        return self._secret(_BY_NAME, name)

    def secret_of(self, id: str) -> Secret | None:
        """By id; None when there is none."""
        return self._secret(_BY_ID, id)

    def _secret(self, sql: str, value: str) -> Secret | None:
        row = self._database.row(sql, (value,))
        return None if row is None else Secret(principal_of(row[:7]), row[7], row[8])

    def add(
        self, id: str, name: str, password: str, *, description: str = "", quota: int | None = None
    ) -> tuple[Principal, bool]:
        """Makes a principal, and its domain when that is missing; (the principal, whether the domain was made).

        Raises BadName or NameTaken."""
        wanted, domain = account_name(name)
        made = False
        try:
            with self._database.write() as execute:
                if domain is not None:
                    made = add_domain(execute, domain)
                execute(
                    "INSERT INTO principal(id, name, domain, description, admin, disabled, quota, created, password, stamp)"
                    " VALUES(?,?,?,?,?,0,?,?,?,?)",
                    (id, wanted, domain, description, int(wanted == ADMIN), quota, now(), password, _stamp()),
                )
        except apsw.ConstraintError:
            raise NameTaken(f"the account {wanted!r} exists already") from None
        return self.get(wanted), made

    def set_password(self, name: str, password: str) -> Principal:
        """Replaces the password; what was verified with the old one ends at once. Raises UnknownName."""
        principal = self.get(name)
        self._update(
            principal, "UPDATE principal SET password=?, stamp=? WHERE id=?", (password, _stamp(), principal.id)
        )
        return principal

    def rehash(self, secret: Secret, password: str) -> None:
        """Stores another hash of the same password, unless the password has been replaced meanwhile."""
        with self._database.write() as execute:
            execute(
                "UPDATE principal SET password=? WHERE id=? AND stamp=?", (password, secret.principal.id, secret.stamp)
            )

    def set_disabled(self, name: str, disabled: bool) -> Principal:
        """Closes or opens the account to its owner; nothing is deleted. Raises UnknownName."""
        principal = self.get(name)
        self._update(principal, "UPDATE principal SET disabled=? WHERE id=?", (int(disabled), principal.id))
        return self.get(name)

    def set_quota(self, name: str, quota: int | None) -> Principal:
        """Octets; None for the server's default. Raises UnknownName."""
        principal = self.get(name)
        self._update(principal, "UPDATE principal SET quota=? WHERE id=?", (quota, principal.id))
        return self.get(name)

    def delete(self, name: str) -> Principal:
        """Removes the principal with its tokens; its mail is the store's. Raises UnknownName."""
        principal = self.get(name)
        self._update(principal, "DELETE FROM principal WHERE id=?", (principal.id,))
        return principal

    def _update(self, principal: Principal, sql: str, values: tuple[object, ...]) -> None:
        with self._database.write() as execute:
            if not execute("SELECT 1 FROM principal WHERE id=?", (principal.id,)):
                raise UnknownName("account", principal.name, ())
            execute(sql, values)
