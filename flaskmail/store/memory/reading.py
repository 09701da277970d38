"""Reader of an account in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from flaskmail.errors import StoreDamaged
from flaskmail.jmap.conditions import HasMember, Query, QueryResult
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import BlobInfo, Changes, Json, Record
from flaskmail.store.evaluate import Evaluation
from flaskmail.store.memory.data import Account, Kind, Row, clone


class MemoryReader:
    """A ``Reader`` of one account's value."""

    def __init__(self, types: Mapping[str, DataType], account_id: str, data: Account) -> None:
        self._types, self._id, self._data = types, account_id, data

    @property
    def account_id(self) -> str:
        """The account that is read."""
        return self._id

    def _kind(self, kind: str) -> Kind:
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
            {"id": id} | {name: clone(row.record[name]) for name in names if name in row.record}
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
