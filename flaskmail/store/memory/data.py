"""What an account is in memory: records, what stays of destroyed ones, counts, indexes, blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Json, Record
from flaskmail.values.searching import Token, tokens


@dataclass(frozen=True, slots=True)
class Row:
    """A record and what the store knows of it; never changed, only replaced.

    created, changed: modseqs; proper: the newest change that was of more than counters; order: the place in record order;
    words: those of each search column.
    """

    record: Record
    created: int
    changed: int
    proper: int
    order: tuple[int, int]
    words: Mapping[str, Sequence[Token]]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a destroyed record."""

    created: int
    destroyed: int
    group: Json


@dataclass(slots=True)
class Kind:
    """The records of one type; ``live`` is kept in record order."""

    live: dict[str, Row] = field(default_factory=dict)
    dead: dict[str, Tombstone] = field(default_factory=dict)
    state: int = 0
    forgotten: int = 0

    def copy(self) -> Kind:
        """One that can be changed without changing this one."""
        return Kind(dict(self.live), dict(self.dead), self.state, self.forgotten)

    def forget(self, until: int) -> int:
        """Forgets what was destroyed up to a modseq; answers how many records that were."""
        old = {id: tomb.destroyed for id, tomb in self.dead.items() if tomb.destroyed <= until}
        self.dead = {id: tomb for id, tomb in self.dead.items() if id not in old}
        self.forgotten = max(old.values(), default=self.forgotten)
        return len(old)


@dataclass(slots=True)
class Account:
    """One account's data: a value once it is committed."""

    salt: bytes
    modseq: int = 0
    kinds: dict[str, Kind] = field(default_factory=dict)
    tallies: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    refs: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Account:
        """One that can be changed without changing this one."""
        return Account(
            self.salt,
            self.modseq,
            {name: kind.copy() for name, kind in self.kinds.items()},
            {at: dict(counts) for at, counts in self.tallies.items()},
            {name: dict(index) for name, index in self.links.items()},
            dict(self.notes),
            dict(self.blobs),
            dict(self.digests),
            dict(self.refs),
        )


def clone(value: Json) -> Json:
    """A deep copy of a JSON value."""
    if isinstance(value, dict):
        return {name: clone(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clone(item) for item in value]
    return value


def words_of(kind: DataType, text: Mapping[str, str]) -> Mapping[str, Sequence[Token]]:
    """The words of each search column of a type, of a record with this text."""
    return {column: tokens(text.get(column, "")) for column in kind.search}
