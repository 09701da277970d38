"""Principals: those who can sign in, and what stands beside them: groups, lists, roles, API keys."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Literal

import apsw

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.domains import add_domain, now
from flaskmail.accounts.faults import NameTaken, UnknownName
from flaskmail.accounts.grants import WHOLE, Grant
from flaskmail.accounts.names import ADMIN, account_name

PrincipalType = Literal["individual", "group", "list", "role", "apiKey"]


@dataclass(frozen=True, slots=True)
class Principal:
    """id: the accountId; name: the address in lower case, or ``admin``, or the plain name of a role or an API key; quota: octets,
    None for the server's default; created: a UTCDate; roles: names of built-in roles and ids of others; domain: to which it
    belongs, None for the whole server; grant: the credential it came with, or everything where nobody came.

    Individuals have a mail account with the same id, but for ``admin``, who manages the server."""

    id: str
    name: str
    description: str
    admin: bool
    disabled: bool
    quota: int | None
    created: str
    type: PrincipalType = "individual"
    roles: tuple[str, ...] = ()
    domain: str | None = None
    grant: Grant = WHOLE

    @property
    def has_mail(self) -> bool:
        """Whether it has a mail account."""
        return self.type == "individual" and self.domain is not None


@dataclass(frozen=True, slots=True)
class Secret:
    """What is needed to check a password. stamp: changes whenever the password does."""

    principal: Principal
    password: str
    stamp: int


def new_account_id() -> str:
    """An accountId: ``a`` and 120 random bits in lower-case base32; never used before."""
    return "a" + base64.b32encode(secrets.token_bytes(15)).decode().lower()


def new_stamp() -> int:
    """What changes with the password."""
    return secrets.randbits(62)


COLUMNS = (
    "p.id, COALESCE(p.label, p.name), p.description, p.admin, p.disabled, p.quota, p.created, p.type, p.roles, p.domain"
)
"""What ``principal_of`` reads, of a table principal that is called p."""
WIDTH = 10
"""How many columns that is."""

_ALL = "SELECT " + COLUMNS + ", p.password, p.stamp FROM principal p"  # noqa: S608 - columns of ours
# Names of individuals, groups and lists are unique; what has a plain name goes by its id here.
_BY_NAME = _ALL + " WHERE p.name=? AND p.type='individual'"
_BY_ID = _ALL + " WHERE p.id=?"
_BY_ORDER = _ALL + " WHERE p.type='individual' ORDER BY p.name"


def principal_of(row: Row, grant: Grant = WHOLE) -> Principal:
    """From the values of ``COLUMNS``, with the grant it comes with."""
    id, name, description, admin, disabled, quota, created, type, roles, domain = row
    roles = tuple(json.loads(roles))
    return Principal(id, name, description, bool(admin), bool(disabled), quota, created, type, roles, domain, grant)


class Principals:
    """Those who have an account, in ``control.db``; :mod:`flaskmail.accounts.entries` has principals of all types.

    Passwords come in as PHC strings (:mod:`flaskmail.accounts.passwords`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Principal]:
        """All of them, by name."""
        return [principal_of(row[:WIDTH]) for row in self._database.rows(_BY_ORDER)]

    def get(self, name: str) -> Principal:
        """By name. Raises BadName or UnknownName (with the nearest name)."""
        wanted, _ = account_name(name)
        found = self.secret(wanted)
        if found is None:
            raise UnknownName(
                "account",
                wanted,
                (row[0] for row in self._database.rows("SELECT name FROM principal WHERE type='individual'")),
            )
        return found.principal

    def secret(self, name: str) -> Secret | None:
        """By exact name; None when there is none."""
        return self._secret(_BY_NAME, name)

    def secret_of(self, id: str) -> Secret | None:
        """By id; None when there is none."""
        return self._secret(_BY_ID, id)

    def _secret(self, sql: str, value: str) -> Secret | None:
        row = self._database.row(sql, (value,))
        return None if row is None else Secret(principal_of(row[:WIDTH]), row[WIDTH], row[WIDTH + 1])

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
                    "INSERT INTO principal(id, name, domain, description, admin, disabled, quota, created, password, stamp,"
                    " roles) VALUES(?,?,?,?,?,0,?,?,?,?,?)",
                    (
                        id,
                        wanted,
                        domain,
                        description,
                        int(wanted == ADMIN),
                        quota,
                        now(),
                        password,
                        new_stamp(),
                        json.dumps(["admin" if wanted == ADMIN else "user"]),
                    ),
                )
                if domain is not None:
                    execute(
                        "INSERT INTO address(address, principal, domain, position) VALUES(?,?,?,0)",
                        (wanted, id, domain),
                    )
        except apsw.ConstraintError:
            raise NameTaken(f"the account {wanted!r} exists already") from None
        return self.get(wanted), made

    def set_password(self, name: str, password: str) -> Principal:
        """Replaces the password; what was verified with the old one ends at once. Raises UnknownName."""
        principal = self.get(name)
        self._update(
            principal, "UPDATE principal SET password=?, stamp=? WHERE id=?", (password, new_stamp(), principal.id)
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
