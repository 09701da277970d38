"""What the JMAP engine asks of a store: the Protocols that every store implements.

The unit of consistency is the account. A ``Reader`` sees one consistent snapshot of one account; a ``Txn`` is the
only writer of its account and commits all or nothing. Every record change takes a number of its own from the
account's ``modseq`` counter, which only grows; the state of a type is the newest modseq that touched it.

Records are plain dicts under wire names; absent and null stay apart. Ids are RFC 8620 section 1.2 Ids.
A store knows the declared data types (:class:`flaskmail.jmap.datatype.DataType`) and nothing of their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from flaskmail.jmap.conditions import Query, QueryResult

Json = Any
Record = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a type since a modseq (RFC 8620 section 5.2).

    created, updated, destroyed: ids, disjoint. until: the modseq up to which this tells everything (the type's state,
    or less when ``more``). more: the limit cut it. only_counters: every updated record changed in nothing but its
    ``counter`` properties (False when nothing was updated).

    Rule that makes every intermediate state true: a record counts at its *created* modseq when that is after ``since``,
    else at its *changed* modseq; results are cut in that order; a record created and destroyed since is left out.
    """

    created: list[str]
    updated: list[str]
    destroyed: list[str]
    until: int
    more: bool
    only_counters: bool


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """size in octets; path: the file that holds it, or None when it lies in the database."""

    id: str
    size: int
    path: Path | None = None


class Reader(Protocol):
    """One account, one consistent snapshot."""

    @property
    def account_id(self) -> str:
        """The account that is read."""
        ...

    def state(self, kind: str) -> int:
        """The newest modseq that touched the type; 0 before any."""
        ...

    def get(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> list[Record]:
        """The live records with these ids (None: all, in record order), each with ``id`` and exactly those of
        ``names`` that it stores. Unknown ids are left out; order follows ``ids``; a repeated id answers once."""
        ...

    def get_json(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> tuple[list[str], bytes]:
        """As ``get``, but as ready JSON, which /get splices into its answer: the ids found, and an array of their records."""
        ...

    def ids(self, kind: str, limit: int | None = None) -> list[str]:
        """Ids of live records in record order."""
        ...

    def existing(self, kind: str, ids: Iterable[str]) -> set[str]:
        """Those of ``ids`` that are live records of the type."""
        ...

    def changes(self, kind: str, since: int, limit: int | None) -> Changes:
        """What happened to the type after the modseq ``since``, ``history`` at least; see ``Changes``. limit: ids at most, None
        for no limit."""
        ...

    def history(self, kind: str) -> int:
        """The oldest state from which ``changes`` and ``touched`` still tell everything: 0 as long as nothing was forgotten."""
        ...

    def touched(self, kind: str, since: int, limit: int | None, *, group: bool) -> list[str] | None:
        """Ids of all records, live or destroyed, that were created, changed or destroyed after ``since``; with ``group``
        also every live record that shares a group (``DataType.group``) with one of them. None: more than ``limit``."""
        ...

    def query(self, kind: str, query: Query) -> QueryResult:
        """Raises KeyError with the anchor when ``query.anchor`` is not in the result."""
        ...

    def grouped(self, kind: str, column: str, values: Sequence[Json]) -> dict[Json, list[str]]:
        """For each value of an indexed column the ids of the live records that have it, in record order (oldest first)."""
        ...

    def members(self, kind: str, prop: str, member: str, limit: int | None = None) -> list[str]:
        """Ids of live records whose ``members`` property ``prop`` has the key, in record order."""
        ...

    def count_members(self, kind: str, prop: str, member: str) -> int:
        """How many live records have the key: kept, not counted."""
        ...

    def tallies(self, name: str, key: str) -> dict[str, int]:
        """The non-zero counters ``{member: n}`` of a tally under ``key``; see ``Txn.tally``."""
        ...

    def linked(self, name: str, keys: Sequence[str]) -> dict[str, str]:
        """``{key: value}`` for those of ``keys`` that an index of the account has; see ``Txn.link``."""
        ...

    def unindexed(self, kind: str) -> list[str]:
        """Ids of live records that the search index of their type has nothing of, in record order."""
        ...

    def note(self, name: str) -> str | None:
        """A small named value of the account (settings of a rule, not records); None when never set."""
        ...

    def blob(self, blob_id: str) -> BlobInfo | None:
        """A blob of this account, or None: knowing an id of another account's gives nothing."""
        ...

    def blob_of(self, sha256: bytes) -> BlobInfo | None:
        """The blob of this account whose octets have this SHA-256, or None."""
        ...

    def read_blob(self, blob_id: str, start: int = 0, end: int | None = None) -> bytes:
        """Octets ``start`` to ``end`` (None: to the end). KeyError when the account has no such blob; StoreDamaged when
        it is there but not what was written."""
        ...

    def used(self) -> int:
        """Octets of blobs that count towards the quota."""
        ...


class Gathered(Protocol):
    """Something that gathers changes over a transaction and writes them once; see ``Txn.gather``."""

    def settle(self, txn: Txn) -> None:
        """Writes what was gathered since the last time, and forgets it."""
        ...


G = TypeVar("G", bound=Gathered)


class Txn(Reader, Protocol):
    """The one writer of an account. Reads see its own writes. An exception inside rolls everything back."""

    def new_id(self, kind: str) -> str:
        """An id never used before: DataType.id_prefix and 120 random bits in lower-case base32."""
        ...

    def create(self, kind: str, record: Record, text: Mapping[str, str] | None = None) -> None:
        """Stores a record: ``id`` and every stored property. text: what to index, by ``DataType.search`` column."""
        ...

    def update(self, kind: str, id: str, changed: Record) -> None:
        """Replaces whole top-level properties. When all of them are ``counter`` properties the record counts as
        changed in nothing else (RFC 8621 section 2.2)."""
        ...

    def update_many(self, kind: str, changes: Mapping[str, Record]) -> None:
        """The same as ``update`` for each id, in this order, and quicker for many."""
        ...

    def touch(self, kind: str, id: str) -> None:
        """Counts as a change although no stored property changed (a Thread whose emails changed)."""
        ...

    def destroy(self, kind: str, id: str) -> None:
        """Removes the record, its index entries and blob references; leaves a tombstone with id, modseqs and group."""
        ...

    def tally(self, name: str, key: str, member: str, delta: int) -> int:
        """Adds to a named counter and answers its new value; a counter at zero is removed."""
        ...

    def link(self, name: str, keys: Iterable[str], value: str) -> None:
        """Adds keys to a named index, each with ``value``; a key that has a value keeps it (Message-ID -> thread)."""
        ...

    def unlink(self, name: str, value: str) -> None:
        """Removes every key of the index that has this value."""
        ...

    def gather(self, name: str, make: Callable[[], G]) -> G:
        """The transaction's one object of this name, made when first asked for. Counters that many changes of a batch move
        are gathered there and written once, by ``settle``."""
        ...

    def settle(self) -> None:
        """Lets every gathered object write, in the order in which they were made. The store calls it before the commit;
        whoever needs ``state`` to tell everything calls it before. Nothing gathered: does nothing."""
        ...

    def set_text(self, kind: str, id: str, text: Mapping[str, str]) -> None:
        """Puts a record into the search index anew, under this text by ``DataType.search`` column; no change of the record.
        KeyError when there is no such record."""
        ...

    def clear_texts(self, kind: str) -> None:
        """Makes the search index of the type anew, without an entry: ``set_text`` fills it."""
        ...

    def set_note(self, name: str, value: str | None) -> None:
        """Keeps a text under a name, for ``note``; None removes it."""
        ...

    def put_blob(self, data: bytes) -> str:
        """Stores octets in this transaction (large ones: in a file, durable before the row) and answers the blob id,
        the same for the same octets in the same account."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ``verify`` found: what is wrong in a sentence, and whether it was (or could be) mended."""

    account_id: str
    what: str
    mended: bool = False


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """One file of a copy of an account. path: below the folder of the copy; sha256: of its octets, in hex; problem: what was
    wrong with the original, "" when nothing was; a file that could not be copied at all has no sha256."""

    path: str
    size: int
    sha256: str
    problem: str = ""


class Store(Protocol):
    """All accounts. Safe to use from many threads and processes; opened after fork."""

    def create_account(self, account_id: str) -> None:
        """Makes room for an account, without any record."""
        ...

    def delete_account(self, account_id: str) -> None:
        """Removes an account and everything in it."""
        ...

    def accounts(self) -> list[str]:
        """The ids of all accounts."""
        ...

    def read(self, account_id: str) -> AbstractContextManager[Reader]:
        """AccountMissing when there is none."""
        ...

    def write(self, account_id: str) -> AbstractContextManager[Txn]:
        """Waits for its turn (fair among threads and processes); commits durably on exit. StoreError when the turn does
        not come within the deadline or the disk is full."""
        ...

    def put_blob(self, account_id: str, data: bytes | BinaryIO, size: int, *, quota: int | None = None) -> str:
        """An upload: durable when this returns. Same octets, same id. OverQuota when ``used() + size`` exceeds quota."""
        ...

    def verify(self, account_id: str, *, repair: bool = False) -> list[Finding]:
        """Integrity of the database, every row has its blob with the right hash, members, columns, search index and counts
        agree with the records, nothing half-written. Rules of data types are checked by their own ``DataType.verify``."""
        ...

    def sweep(self, account_id: str, older_than: float = 24 * 3600) -> int:
        """Removes blobs that nothing refers to and that were uploaded more than ``older_than`` seconds ago (an hour at least,
        RFC 8620 section 6.1). Answers how many."""
        ...

    def keep_history(self, changes: int) -> None:
        """From now on an account need not remember its destroyed records behind its newest so many changes. Before the first
        call it remembers all. Writers forget a few at a time, as they destroy; ``trim`` forgets the rest."""
        ...

    def trim(self, account_id: str) -> int:
        """Forgets what ``keep_history`` lets it. Answers how many destroyed records that were."""
        ...

    def untouched(self, account_id: str) -> float:
        """For how many seconds nothing has been written to the account. AccountMissing when there is none."""
        ...

    def tidy(self, older_than: float = 3600) -> int:
        """Removes what is left of accounts whose making or removal was cut short more than ``older_than`` seconds ago, and that
        ``accounts`` does not name. Answers how many there were."""
        ...

    def copy(self, account_id: str, folder: Path) -> Iterator[CopiedFile]:
        """Copies the account as it is at one moment after the first step into the new folder ``folder``, whose parent is there,
        while others write to it; what is yielded is durable. AccountMissing when there is none, or it is deleted meanwhile;
        StoreDamaged when its database cannot be read; StoreError when this store keeps no files."""
        ...

    def adopt(self, account_id: str, fill: Callable[[Path], None]) -> None:
        """Makes an account from a copy, whole or not at all: ``fill`` puts the files that ``copy`` made, durably, into the new
        folder that it is given. StoreError when there is such an account, or this store keeps no files."""
        ...

    def footprint(self, account_id: str) -> int:
        """About how many octets ``copy`` will write. AccountMissing when there is no such account."""
        ...

    def close(self) -> None:
        """Closes every file of this process."""
        ...
