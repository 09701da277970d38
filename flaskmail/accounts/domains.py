"""The mail domains that the server knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import apsw

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import InUse, NameTaken, UnknownName
from flaskmail.accounts.names import domain_name


@dataclass(frozen=True, slots=True)
class Domain:
    """name: in lower case; created: a UTCDate (RFC 8620 section 1.4); accounts: how many it has."""

    name: str
    description: str
    created: str
    accounts: int


def now() -> str:
    """This second as a UTCDate."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_domain(execute: Callable[..., list[Row]], name: str, description: str = "") -> bool:
    """Inside a transaction: makes the domain unless it exists; whether it was made."""
    made = execute(
        "INSERT INTO domain(name, description, created) VALUES(?,?,?) ON CONFLICT DO NOTHING RETURNING 1",
        (name, description, now()),
    )
    return bool(made)


class Domains:
    """Domains in ``control.db``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Domain]:
        """All of them, by name."""
        return [
            Domain(*row)
            for row in self._database.rows(
                "SELECT name, description, created, (SELECT count(*) FROM principal WHERE domain=domain.name)"
                " FROM domain ORDER BY name"
            )
        ]

    def get(self, name: str) -> Domain:
        """Raises BadName or UnknownName (with the nearest name)."""
        wanted = domain_name(name)
        every = self.all()
        for domain in every:
            if domain.name == wanted:
                return domain
        raise UnknownName("domain", wanted, (d.name for d in every))

    def create(self, name: str, description: str = "") -> Domain:
        """Raises BadName or NameTaken."""
        wanted = domain_name(name)
        with self._database.write() as execute:
            if not add_domain(execute, wanted, description):
                raise NameTaken(f"the domain {wanted!r} exists already")
        return self.get(wanted)

    def delete(self, name: str) -> Domain:
        """Raises UnknownName, or InUse while it has accounts."""
        domain = self.get(name)
        try:
            with self._database.write() as execute:
                execute("DELETE FROM domain WHERE name=?", (domain.name,))
        except apsw.ConstraintError:
            raise InUse(
                f"the domain {domain.name!r} still has {domain.accounts} account{'s' * (domain.accounts != 1)}:"
                " delete them first"
            ) from None
        return domain
