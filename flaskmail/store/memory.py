"""The store that keeps everything in memory: for tests, for trying things out, and as the oracle of the other stores.

Nothing here is clever. An account is one value that is never changed once it is committed; a transaction works on a copy of its
dictionaries and puts the copy in its place at the end. So a reader has its snapshot and a rollback is doing nothing.
Conditions are walked record by record (:mod:`flaskmail.store.evaluate`).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from flaskmail.errors import AccountMissing, OverQuota, StoreDamaged, StoreError
from flaskmail.jmap.conditions import HasMember, Query, QueryResult
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import BlobInfo, Changes, CopiedFile, Finding, G, Gathered, Json, Reader, Record, Txn
from flaskmail.store.evaluate import Evaluation
from flaskmail.values.dates import to_milliseconds
from flaskmail.values.ids import random_id
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
class _Kind:
    """The records of one type; ``live`` is kept in record order."""

    live: dict[str, Row] = field(default_factory=dict)
    dead: dict[str, Tombstone] = field(default_factory=dict)
    state: int = 0
    forgotten: int = 0

    def copy(self) -> _Kind:
        return _Kind(dict(self.live), dict(self.dead), self.state, self.forgotten)

    def forget(self, until: int) -> int:
        """Forgets what was destroyed up to a modseq; answers how many records that were."""
        old = {id: tomb.destroyed for id, tomb in self.dead.items() if tomb.destroyed <= until}
        self.dead = {id: tomb for id, tomb in self.dead.items() if id not in old}
        self.forgotten = max(old.values(), default=self.forgotten)
        return len(old)


@dataclass(slots=True)
class _Account:
    """One account's data: a value once it is committed."""

    salt: bytes
    modseq: int = 0
    kinds: dict[str, _Kind] = field(default_factory=dict)
    tallies: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    refs: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Account:
        return _Account(
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


def _clone(value: Json) -> Json:
    """A deep copy of a JSON value."""
    if isinstance(value, dict):
        return {name: _clone(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clone(item) for item in value]
    return value


def _words(kind: DataType, text: Mapping[str, str]) -> Mapping[str, Sequence[Token]]:
    return {column: tokens(text.get(column, "")) for column in kind.search}


class MemoryReader:
    """A ``Reader`` of one account's value."""

    def __init__(self, types: Mapping[str, DataType], account_id: str, data: _Account) -> None:
        self._types, self._id, self._data = types, account_id, data

    @property
    def account_id(self) -> str:
        """The account that is read."""
        return self._id

    def _kind(self, kind: str) -> _Kind:
        return self._data.kinds[kind]

    def state(self, kind: str) -> int:
        """See ``Reader.state``."""
        return self._kind(kind).state

    def _rows(self, kind: str, ids: Sequence[str] | None) -> Iterator[tuple[str, Row]]:
        live = self._kind(kind).live
        for id in live if ids is None else dict.fromkeys(ids):
            if id in live:
                yield id, live[id]

    def get(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> list[Record]:
        """See ``Reader.get``; the records are copies."""
        return [
            {"id": id} | {name: _clone(row.record[name]) for name in names if name in row.record}
            for id, row in self._rows(kind, ids)
        ]

    def get_json(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> tuple[list[str], bytes]:
        """See ``Reader.get_json``."""
        records = self.get(kind, ids, names)
        return [record["id"] for record in records], msgspec.json.encode(records)

    def ids(self, kind: str, limit: int | None = None) -> list[str]:
        """See ``Reader.ids``."""
        return list(self._kind(kind).live)[:limit]

    def existing(self, kind: str, ids: Iterable[str]) -> set[str]:
        """See ``Reader.existing``."""
        live = self._kind(kind).live
        return {id for id in ids if id in live}

    def changes(self, kind: str, since: int, limit: int | None) -> Changes:
        """See ``Reader.changes``; the rule is in the docstring of ``Changes``."""
        of = self._kind(kind)
        events: list[tuple[int, str, str]] = []
        for id, row in of.live.items():
            if row.created > since:
                events.append((row.created, "created", id))
            elif row.changed > since:
                events.append((row.changed, "updated", id))
        for id, gone in of.dead.items():
            if gone.destroyed > since >= gone.created:
                events.append((gone.destroyed, "destroyed", id))
        events.sort()
        more = limit is not None and len(events) > limit
        events = events[:limit]
        told: dict[str, list[str]] = {"created": [], "updated": [], "destroyed": []}
        for _, what, id in events:
            told[what].append(id)
        return Changes(
            **told,
            until=(events[-1][0] if events else since) if more else of.state,
            more=more,
            only_counters=bool(told["updated"]) and all(of.live[id].proper <= since for id in told["updated"]),
        )

    def history(self, kind: str) -> int:
        """See ``Reader.history``."""
        return self._kind(kind).forgotten

    def touched(self, kind: str, since: int, limit: int | None, *, group: bool) -> list[str] | None:
        """See ``Reader.touched``."""
        of = self._kind(kind)
        ids = [id for id, row in of.live.items() if row.changed > since]
        gone = [id for id, tomb in of.dead.items() if tomb.destroyed > since]
        column = self._types[kind].group
        if group and column is not None:
            groups = {of.live[id].record.get(column) for id in ids} | {of.dead[id].group for id in gone}
            ids = [
                id for id, row in of.live.items() if row.changed > since or row.record.get(column) in groups - {None}
            ]
        ids += gone
        return None if limit is not None and len(ids) > limit else ids

    def query(self, kind: str, query: Query) -> QueryResult:
        """See ``Reader.query``."""
        result = self._evaluation(kind).result(query)
        position = query.position
        if query.anchor is not None:
            if query.anchor not in result:
                raise KeyError(query.anchor)
            position = max(0, result.index(query.anchor) + query.anchor_offset)
        elif position < 0:
            position = max(0, len(result) + position)
        window = result[position:] if query.limit is None else result[position : position + query.limit]
        return QueryResult(window, position, len(result) if query.total else None)

    def _evaluation(self, kind: str) -> Evaluation:
        live = self._kind(kind).live
        return Evaluation(
            self._types[kind],
            self,
            {id: row.record for id, row in live.items()},
            {id: row.words for id, row in live.items()},
        )

    def grouped(self, kind: str, column: str, values: Sequence[Json]) -> dict[Json, list[str]]:
        """See ``Reader.grouped``; every one of ``values`` has an entry."""
        found: dict[Json, list[str]] = {value: [] for value in values}
        evaluation = self._evaluation(kind)
        for id in self._kind(kind).live:
            value = evaluation.column(id, column)
            if value is not None and value in found:
                found[value].append(id)
        return found

    def members(self, kind: str, prop: str, member: str, limit: int | None = None) -> list[str]:
        """See ``Reader.members``."""
        evaluation = self._evaluation(kind)
        return [id for id in self._kind(kind).live if evaluation.holds(id, HasMember(prop, member))][:limit]

    def count_members(self, kind: str, prop: str, member: str) -> int:
        """See ``Reader.count_members``; here it is counted."""
        return len(self.members(kind, prop, member))

    def tallies(self, name: str, key: str) -> dict[str, int]:
        """See ``Reader.tallies``."""
        return dict(self._data.tallies.get((name, key), {}))

    def linked(self, name: str, keys: Sequence[str]) -> dict[str, str]:
        """See ``Reader.linked``."""
        index = self._data.links.get(name, {})
        return {key: index[key] for key in keys if key in index}

    def unindexed(self, kind: str) -> list[str]:
        """See ``Reader.unindexed``."""
        return [id for id, row in self._kind(kind).live.items() if self._types[kind].search and not row.words]

    def note(self, name: str) -> str | None:
        """See ``Reader.note``."""
        return self._data.notes.get(name)

    def blob(self, blob_id: str) -> BlobInfo | None:
        """See ``Reader.blob``; there is never a file."""
        data = self._data.blobs.get(blob_id)
        return None if data is None else BlobInfo(blob_id, len(data))

    def blob_of(self, sha256: bytes) -> BlobInfo | None:
        """See ``Reader.blob_of``."""
        return next((self.blob(id) for id, digest in self._data.digests.items() if digest == sha256), None)

    def read_blob(self, blob_id: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``Reader.read_blob``."""
        data = self._data.blobs[blob_id]
        if hashlib.sha256(data).digest() != self._data.digests[blob_id]:
            raise StoreDamaged(f"blob {blob_id} is not what was stored")
        return data[start:end]

    def used(self) -> int:
        """See ``Reader.used``."""
        return sum(map(len, self._data.blobs.values()))


class MemoryTxn(MemoryReader):
    """A ``Txn`` on a copy of one account's value, ``data``."""

    def __init__(self, types: Mapping[str, DataType], account_id: str, data: _Account) -> None:
        super().__init__(types, account_id, data)
        self.data = data
        self._gathered: dict[str, Gathered] = {}

    def _next(self, kind: str) -> int:
        self._data.modseq += 1
        self._kind(kind).state = self._data.modseq
        return self._data.modseq

    def _refer(self, kind: str, record: Record, by: int) -> None:
        for name, prop in self._types[kind].props.items():
            if prop.blob_ref is not None and name in record:
                for blob_id in prop.blob_ref(record[name]):
                    if by > 0 and blob_id not in self._data.blobs:
                        raise KeyError(blob_id)
                    count = self._data.refs.get(blob_id, 0) + by
                    self._data.refs[blob_id] = count
                    if count == 0:
                        del self._data.refs[blob_id]

    def new_id(self, kind: str) -> str:
        """See ``Txn.new_id``."""
        return random_id(self._types[kind].id_prefix)

    def create(self, kind: str, record: Record, text: Mapping[str, str] | None = None) -> None:
        """See ``Txn.create``. KeyError when it refers to a blob that is not there; ValueError when the id was used before."""
        of, declared = self._kind(kind), self._types[kind]
        if record["id"] in of.live or record["id"] in of.dead:
            raise ValueError(f"{kind} {record['id']} was there before")
        self._refer(kind, record, 1)
        modseq = self._next(kind)
        order = (to_milliseconds(record[declared.order]) if declared.order else 0, modseq)
        words = _words(declared, text or {})
        of.live[record["id"]] = Row(_clone(record), modseq, modseq, modseq, order, words)
        of.live = dict(sorted(of.live.items(), key=lambda item: item[1].order))

    def set_text(self, kind: str, id: str, text: Mapping[str, str]) -> None:
        """See ``Txn.set_text``."""
        live = self._kind(kind).live
        live[id] = replace(live[id], words=_words(self._types[kind], text))

    def clear_texts(self, kind: str) -> None:
        """See ``Txn.clear_texts``."""
        live = self._kind(kind).live
        live.update({id: replace(row, words={}) for id, row in live.items()})

    def update(self, kind: str, id: str, changed: Record) -> None:
        """See ``Txn.update``. KeyError when there is no such record."""
        of, props = self._kind(kind), self._types[kind].props
        row = of.live[id]
        self._refer(kind, changed, 1)
        self._refer(kind, {name: row.record[name] for name in changed if name in row.record}, -1)
        modseq = self._next(kind)
        counters = bool(changed) and all(props[name].counter for name in changed)
        proper = row.proper if counters else modseq
        of.live[id] = replace(row, record=row.record | _clone(changed), changed=modseq, proper=proper)

    def update_many(self, kind: str, changes: Mapping[str, Record]) -> None:
        """See ``Txn.update_many``."""
        for id, changed in changes.items():
            self.update(kind, id, changed)

    def touch(self, kind: str, id: str) -> None:
        """See ``Txn.touch``. KeyError when there is no such record."""
        self.update(kind, id, {})

    def destroy(self, kind: str, id: str) -> None:
        """See ``Txn.destroy``. KeyError when there is no such record."""
        of, group = self._kind(kind), self._types[kind].group
        row = of.live.pop(id)
        self._refer(kind, row.record, -1)
        of.dead[id] = Tombstone(row.created, self._next(kind), row.record.get(group) if group else None)

    def tally(self, name: str, key: str, member: str, delta: int) -> int:
        """See ``Txn.tally``."""
        counts = self._data.tallies.setdefault((name, key), {})
        counts[member] = value = counts.get(member, 0) + delta
        if value == 0:
            del counts[member]
        return value

    def link(self, name: str, keys: Iterable[str], value: str) -> None:
        """See ``Txn.link``."""
        index = self._data.links.setdefault(name, {})
        for key in keys:
            index.setdefault(key, value)

    def unlink(self, name: str, value: str) -> None:
        """See ``Txn.unlink``."""
        index = self._data.links.get(name, {})
        for key in [key for key, held in index.items() if held == value]:
            del index[key]

    def gather(self, name: str, make: Callable[[], G]) -> G:
        """See ``Txn.gather``."""
        if name not in self._gathered:
            self._gathered[name] = make()
        return cast(G, self._gathered[name])

    def settle(self) -> None:
        """See ``Txn.settle``."""
        settled = 0
        # Settling one may make others: those are new at the end of the dictionary.
        while settled < len(self._gathered):
            list(self._gathered.values())[settled].settle(self)
            settled += 1

    def set_note(self, name: str, value: str | None) -> None:
        """See ``Txn.set_note``; None forgets it."""
        if value is None:
            self._data.notes.pop(name, None)
        else:
            self._data.notes[name] = value

    def put_blob(self, data: bytes) -> str:
        """See ``Txn.put_blob``."""
        digest = hashlib.sha256(data).digest()
        # The account's own salt: the id says nothing about which octets other accounts have.
        keyed = hashlib.blake2b(digest, digest_size=20, key=self._data.salt).digest()
        blob_id = "g" + b32encode(keyed).decode().lower()
        self._data.blobs[blob_id], self._data.digests[blob_id] = bytes(data), digest
        return blob_id


class MemoryStore:
    """A ``Store`` in this process's memory; gone when the process ends.

    deadline: seconds that a writer waits for its turn before StoreError. Blobs stay as long as their account does.
    """

    def __init__(self, types: Iterable[DataType], *, deadline: float = 30.0) -> None:
        self._types = {kind.name: kind for kind in types}
        self._deadline = deadline
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._history: int | None = None

    def create_account(self, account_id: str) -> None:
        """See ``Store.create_account``; nothing happens when it is there."""
        with self._lock:
            if account_id not in self._accounts:
                self._accounts[account_id] = _Account(
                    secrets.token_bytes(32), kinds={name: _Kind() for name in self._types}
                )
                self._turns[account_id] = threading.Lock()

    def delete_account(self, account_id: str) -> None:
        """See ``Store.delete_account``; nothing happens when there is none."""
        with self._lock:
            self._accounts.pop(account_id, None)
            self._turns.pop(account_id, None)

    def accounts(self) -> list[str]:
        """See ``Store.accounts``; sorted."""
        with self._lock:
            return sorted(self._accounts)

    def _data(self, account_id: str) -> tuple[_Account, threading.Lock]:
        with self._lock:
            if account_id not in self._accounts:
                raise AccountMissing(f"the store has no account {account_id!r}")
            return self._accounts[account_id], self._turns[account_id]

    @contextmanager
    def read(self, account_id: str) -> Iterator[Reader]:
        """See ``Store.read``."""
        yield MemoryReader(self._types, account_id, self._data(account_id)[0])

    @contextmanager
    def write(self, account_id: str) -> Iterator[Txn]:
        """See ``Store.write``."""
        _, turn = self._data(account_id)
        if not turn.acquire(timeout=self._deadline):
            raise StoreError(f"account {account_id!r} is busy: no turn to write within {self._deadline} s")
        try:
            data = self._data(account_id)[0].copy()
            txn = MemoryTxn(self._types, account_id, data)
            yield txn
            txn.settle()
            self._forget(data)
            with self._lock:
                if self._turns.get(account_id) is not turn:
                    raise AccountMissing(f"account {account_id!r} was deleted meanwhile")
                self._accounts[account_id] = data
        finally:
            turn.release()

    def put_blob(self, account_id: str, data: bytes | BinaryIO, size: int, *, quota: int | None = None) -> str:
        """See ``Store.put_blob``. ValueError when ``data`` does not have ``size`` octets."""
        octets = data if isinstance(data, bytes) else data.read(size + 1)
        if len(octets) != size:
            raise ValueError(f"the blob has {len(octets)} octets, {size} were announced")
        with self.write(account_id) as txn:
            if quota is not None and txn.used() + size > quota:
                raise OverQuota(f"the account's quota of {quota} octets is used up")
            return txn.put_blob(octets)

    def verify(self, account_id: str, *, repair: bool = False) -> list[Finding]:
        """See ``Store.verify``; nothing here can be repaired."""
        data, _ = self._data(account_id)
        found = [
            Finding(account_id, f"blob {blob_id} is not what was stored")
            for blob_id, octets in data.blobs.items()
            if hashlib.sha256(octets).digest() != data.digests[blob_id]
        ]
        refs: dict[str, int] = {}
        for name, kind in data.kinds.items():
            for id, row in kind.live.items():
                for prop_name, prop in self._types[name].props.items():
                    if prop.blob_ref is None or prop_name not in row.record:
                        continue
                    for blob_id in prop.blob_ref(row.record[prop_name]):
                        refs[blob_id] = refs.get(blob_id, 0) + 1
                        if blob_id not in data.blobs:
                            found.append(
                                Finding(account_id, f"{name} {id} refers to blob {blob_id}, which is not there")
                            )
        if refs != data.refs:
            found.append(Finding(account_id, "the counts of blob references disagree with the records"))
        return found

    def sweep(self, account_id: str, older_than: float = 24 * 3600) -> int:
        """See ``Store.sweep``: nothing here is kept long enough."""
        self._data(account_id)
        return 0

    def keep_history(self, changes: int) -> None:
        """See ``Store.keep_history``; whoever writes forgets all that may be forgotten."""
        self._history = changes

    def trim(self, account_id: str) -> int:
        """See ``Store.trim``."""
        with self.write(account_id) as txn:
            return self._forget(cast(MemoryTxn, txn).data)

    def _forget(self, data: _Account) -> int:
        if self._history is None:
            return 0
        return sum(kind.forget(data.modseq - self._history) for kind in data.kinds.values())

    def untouched(self, account_id: str) -> float:
        """See ``Store.untouched``: nobody notes it here."""
        self._data(account_id)
        return 0.0

    def tidy(self, older_than: float = 3600) -> int:
        """See ``Store.tidy``: nothing outlives the process."""
        return 0

    def copy(self, account_id: str, folder: Path) -> Iterator[CopiedFile]:
        """See ``Store.copy``."""
        raise StoreError("what is kept in memory only cannot be copied")

    def adopt(self, account_id: str, fill: Callable[[Path], None]) -> None:
        """See ``Store.adopt``."""
        raise StoreError("what is kept in memory only has no files")

    def footprint(self, account_id: str) -> int:
        """See ``Store.footprint``."""
        self._data(account_id)
        return 0

    def close(self) -> None:
        """See ``Store.close``; what was stored stays until the store itself goes."""
