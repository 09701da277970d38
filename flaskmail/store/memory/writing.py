"""Txn on an account in memory."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import G, Record
from flaskmail.store.gathering import Gathering
from flaskmail.store.memory.data import Account, Row, Tombstone, clone, words_of
from flaskmail.store.memory.reading import MemoryReader
from flaskmail.values.dates import to_milliseconds
from flaskmail.values.ids import random_id


class MemoryTxn(MemoryReader):
    """A ``Txn`` on a copy of one account's value, ``data``."""

    def __init__(self, types: Mapping[str, DataType], account_id: str, data: Account) -> None:
        super().__init__(types, account_id, data)
        self.data = data
        self._gathering = Gathering()

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
        words = words_of(declared, text or {})
        of.live[record["id"]] = Row(clone(record), modseq, modseq, modseq, order, words)
        of.live = dict(sorted(of.live.items(), key=lambda item: item[1].order))

    def set_text(self, kind: str, id: str, text: Mapping[str, str]) -> None:
        """See ``Txn.set_text``."""
        live = self._kind(kind).live
        live[id] = replace(live[id], words=words_of(self._types[kind], text))

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
        of.live[id] = replace(row, record=row.record | clone(changed), changed=modseq, proper=proper)

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
        return self._gathering.one(name, make)

    def settle(self) -> None:
        """See ``Txn.settle``."""
        self._gathering.settle(self)

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
