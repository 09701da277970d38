"""The mail domains that the server knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import apsw

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import InUse, NameTaken, UnknownName
from flaskmail.accounts.names import domain_name
from flaskmail.values.hostnames import to_ascii


@dataclass(frozen=True, slots=True)
class Domain:
    """name: in lower case; created: a UTCDate (RFC 8620 section 1.4); accounts: how many people have one there."""

    name: str
    description: str
    created: str
    accounts: int


def now() -> str:
    """This second as a UTCDate."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_domain(text: str) -> str:
    """The name under which a domain is kept: as ``domain_name``, an international name by its A-labels. Raises BadName."""
    try:
        return domain_name(to_ascii(text))
    except ValueError:
        return domain_name(text)


def add_domain(execute: Callable[..., list[Row]], name: str, description: str = "") -> bool:
    """Inside a transaction: makes the domain unless it exists; whether it was made."""
    made = execute(
        "INSERT INTO domain(name, description, created) VALUES(?,?,?) ON CONFLICT DO NOTHING RETURNING 1",
        (name, description, now()),
    )
    return bool(made)


_ALL = (
    "SELECT name, description, created,"
    " (SELECT count(*) FROM principal WHERE domain=domain.name AND type='individual') FROM domain"
)
_HELD = "SELECT type, count(*) FROM principal WHERE domain=? GROUP BY type ORDER BY type='individual' DESC, type"
_CALLED = MappingProxyType({"individual": "account", "list": "mailing list", "apiKey": "API key"})
_MATCHING = " WHERE (instr(name, ?1) OR instr(folded(description), ?1) OR ?1='') AND (?2 IS NULL OR name=?2)"
_COUNT = "SELECT count(*) FROM domain" + _MATCHING  # noqa: S608


def _limit(limit: int | None) -> int:
    # SQLite reads a negative LIMIT as none.
    return -1 if limit is None else limit


class Domains:
    """Domains in ``control.db``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Domain]:
        """All of them, by name."""
        return self.page()[0]

    def page(
        self, text: str = "", *, start: int = 0, limit: int | None = None, within: str | None = None
    ) -> tuple[list[Domain], int]:
        """(domains by name, how many there are without start and limit).

        text: only those with it in their name or description, whatever its case. limit: None for no limit. within: only
        the domain of this name."""
        values = (text.casefold(), within)
        found = self._database.rows(
            _ALL + _MATCHING + " ORDER BY name LIMIT ?3 OFFSET ?4", (*values, _limit(limit), start)
        )
        count = self._database.row(_COUNT, values)
        return [Domain(*row) for row in found], 0 if count is None else count[0]

    def get(self, name: str, *, within: str | None = None) -> Domain:
        """within: only this domain exists for who asks. Raises BadName or UnknownName (with the nearest name)."""
        found = self.find(name, within=within)
        if found is None:
            raise UnknownName("domain", local_domain(name), (domain.name for domain in self.page(within=within)[0]))
        return found

    def find(self, name: str, *, within: str | None = None) -> Domain | None:
        """As ``get``, but None when there is no such domain. Raises BadName."""
        row = self._database.row(_ALL + " WHERE name=?1 AND (?2 IS NULL OR name=?2)", (local_domain(name), within))
        return None if row is None else Domain(*row)

    def create(self, name: str, description: str = "") -> Domain:
        """Raises BadName or NameTaken."""
        wanted = local_domain(name)
        with self._database.write() as execute:
            if not add_domain(execute, wanted, description):
                raise NameTaken(f"the domain {wanted!r} exists already")
        return self.get(wanted)

    def update(self, name: str, *, description: str) -> Domain:
        """Replaces the description. Raises BadName or UnknownName."""
        domain = self.get(name)
        with self._database.write() as execute:
            if not execute("UPDATE domain SET description=? WHERE name=? RETURNING 1", (description, domain.name)):
                raise UnknownName("domain", domain.name, ())
        return self.get(domain.name)

    def delete(self, name: str) -> Domain:
        """Removes the domain with its DKIM keys. Raises BadName or UnknownName, or InUse while something belongs to it."""
        return self.delete_all([name])[0]

    def delete_all(self, names: Iterable[str]) -> list[Domain]:
        """As ``delete`` for all of these, or for none of them."""
        domains = [self.get(name) for name in names]
        with self._database.write() as execute:
            for domain in domains:
                try:
                    execute("DELETE FROM domain WHERE name=?", (domain.name,))
                except apsw.ConstraintError:
                    counts = ((_CALLED.get(type, type), count) for type, count in execute(_HELD, (domain.name,)))
                    held = ", ".join(f"{count} {called}{'s' * (count != 1)}" for called, count in counts)
                    held = held or "addresses of other domains' accounts"
                    raise InUse(f"the domain {domain.name!r} still has {held}: delete them first") from None
        return domains
