"""Txn over SQLite: the one writer of an account.

Statements are kept few: the modseq, the types' states, the member counts and the search index are kept back
(:mod:`flaskmail.store.sqlite.pending`) and written once, before the commit or when something of them is read.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apsw
import msgspec

from flaskmail.errors import OverQuota, StoreDamaged, StoreError
from flaskmail.jmap.conditions import Query, QueryResult
from flaskmail.jmap.storage import Changes, G, Json, Record
from flaskmail.store.gathering import Gathering
from flaskmail.store.sqlite import schema
from flaskmail.store.sqlite.blobs import INSIDE, BlobFiles, Incoming, blob_id
from flaskmail.store.sqlite.connections import Connection
from flaskmail.store.sqlite.pending import TEXT_KEPT, Pending, Text
from flaskmail.store.sqlite.plan import COUNTER_BITS, MAX_SPILL, Plan, Plans, decode_raw, encode_json
from flaskmail.store.sqlite.reading import SqliteReader
from flaskmail.values.ids import random_id

_FRESH = 3600
_REMEMBERED = 2000
_MANY = 4
_FORGETFUL = 64
"""After so many destroyed records of a type a transaction looks for some that may be forgotten."""

Row = tuple[int, int, Any, bytes]
"""num, created, group and the "" segment of a record."""


class SqliteTxn(SqliteReader):
    """Implements :class:`flaskmail.jmap.storage.Txn`. Lives for one ``with store.write(...)``.

    pending: what is kept back, by this transaction and those before it in the group; whoever made the transaction writes it.
    history: see Store.keep_history; None keeps everything."""

    def __init__(
        self,
        account_id: str,
        connection: Connection,
        plans: Plans,
        files: BlobFiles,
        keep_free: int,
        salt: bytes,
        pending: Pending,
        history: int | None = None,
    ) -> None:
        super().__init__(account_id, connection, plans, files)
        self._history = history
        self._buried: Counter[str] = Counter()
        self._keep_free, self._salt, self.pending = keep_free, salt, pending
        self._room_seen = False
        # What was read of records and blobs and is bound to be looked at again.
        self._rows_seen: dict[tuple[str, str], Row] = {}
        self._blobs_seen: dict[str, tuple[int, bytes, int, int]] = {}
        self._gathering = Gathering()

    # ---- reading one's own writes

    def state(self, kind: str) -> int:
        """See Reader."""
        return self.pending.states.get(kind, 0)

    def get(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> list[Record]:
        """See Reader. What an update will need of the rows is read along and remembered."""
        plan = self._plans[kind]
        picker = plan.picker(names)
        if ids is None or not picker.first_only:
            return super().get(kind, ids, names)
        if len(ids) == 1:
            rows = [(ids[0], *row) for row in self._db.execute(plan.find, (ids[0],))]
        else:
            rows = self._db.execute(plan.find_all, (encode_json(list(dict.fromkeys(ids))).decode(),)).fetchall()
        for id, *row in rows:
            self._remember(plan, id, tuple(row))
        return picker.records([(row[0], row[4]) for row in rows])

    def changes(self, kind: str, since: int, limit: int | None) -> Changes:
        """See Reader."""
        self.flush()
        return super().changes(kind, since, limit)

    def query(self, kind: str, query: Query) -> QueryResult:
        """See Reader."""
        self.flush()
        return super().query(kind, query)

    def counts(self, plan: Plan, prop: str, member: str) -> tuple[int, int]:
        """See SqliteReader."""
        n, groups = super().counts(plan, prop, member)
        more = self.pending.counts.get((plan.name, prop, member))
        return (n, groups) if more is None else (n + more[0], groups + more[1])

    def used(self) -> int:
        """See Reader."""
        return self.pending.used

    def flush(self) -> None:
        """Writes what was kept back."""
        self.pending.write(self._db, self._plans)

    # ---- records

    def new_id(self, kind: str) -> str:
        """See Txn."""
        return random_id(self._plans[kind].kind.id_prefix)

    def create(self, kind: str, record: Record, text: Text | None = None) -> None:
        """See Txn. KeyError, before anything is written, with the id of a referenced blob that the account has not; OverQuota
        when the disk is nearly full; ValueError when a name is none of the type's stored properties or the id is taken."""
        plan = self._plans[kind]
        if not plan.known.issuperset(record):
            raise ValueError(f"{kind} stores no {', '.join(sorted(set(record) - plan.known))}")
        self._room()
        refs = {prop: plan.blobs_of(prop, _value(record.get(prop))) for prop in plan.blob_refs}
        self._refer(Counter(id for ids in refs.values() for id in ids))
        num = self._number(plan, record)
        modseq = self.pending.changed(kind, 1)
        columns = plan.columns_of(record)
        try:
            self._db.execute(plan.insert, (num, record["id"], modseq, modseq, modseq, *columns, plan.split(record, "")))
        except apsw.ConstraintError:
            raise ValueError(f"there is a {kind} {record['id']} already") from None
        for segment in plan.further:
            self._db.execute(plan.insert_segment[segment], (num, plan.split(record, segment)))
        if plan.members:
            self._enrol(plan, num, record)
        if plan.search:
            self._index(plan, num, text or {})

    def _number(self, plan: Plan, record: Record) -> int:
        milliseconds = plan.milliseconds(record)
        if milliseconds is None:
            (last,) = self._db.execute(plan.last_num).fetchone()
            return 1 if last is None else last + 1
        first = milliseconds << COUNTER_BITS
        top = first | ((1 << COUNTER_BITS) - 1)
        for _ in range(MAX_SPILL):
            (last,) = self._db.execute(plan.last_in_range, (first, top)).fetchone()
            if last is None:
                return first
            if last < top:
                return int(last) + 1
            first, top = first + (1 << COUNTER_BITS), top + (1 << COUNTER_BITS)
        raise StoreError(f"too many records of {plan.name} have the same {plan.order}")

    def _enrol(self, plan: Plan, num: int, record: Record) -> None:
        group = plan.column_value(plan.group, record.get(plan.group)) if plan.group is not None else None
        alone = plan.group is None or not self._db.execute(plan.group_others, (group, num)).fetchone()
        for prop in plan.members:
            for member in _value(record.get(prop)) or ():
                self._join(plan, prop, member, num, group, alone)

    def _join(self, plan: Plan, prop: str, member: str, num: int, group: Any, alone: bool) -> None:
        self._db.execute(plan.add_member[prop], (member, num))
        self._count(plan, prop, member, 1, self._new_group(plan, prop, member, num, group, alone))

    def _leave(self, plan: Plan, prop: str, member: str, num: int, group: Any, alone: bool) -> None:
        self._db.execute(plan.drop_member[prop], (member, num))
        self._count(plan, prop, member, -1, -self._new_group(plan, prop, member, num, group, alone))

    def _new_group(self, plan: Plan, prop: str, member: str, num: int, group: Any, alone: bool) -> int:
        """1 when no other record of the group has the key."""
        if plan.group is None:
            return 0
        return 1 if alone or not self._db.execute(plan.group_has[prop], (member, group, num)).fetchone() else 0

    def _count(self, plan: Plan, prop: str, member: str, n: int, groups: int) -> None:
        self.pending.count((plan.name, prop, member), n, groups)

    def _index(self, plan: Plan, num: int, text: Text) -> None:
        self.pending.index(plan.name, num, text)
        if self.pending.text_size > TEXT_KEPT:
            self.flush()

    def set_text(self, kind: str, id: str, text: Text) -> None:
        """See Txn."""
        plan = self._plans[kind]
        num = self._found(plan, id)[0]
        self.pending.unindex(kind, num)
        self._index(plan, num, text)

    def clear_texts(self, kind: str) -> None:
        """See Txn."""
        plan = self._plans[kind]
        self.flush()
        self._db.execute(f"DROP TABLE {plan.f}")
        for statement in schema.search_tables(plan):
            self._db.execute(statement)

    def unindexed(self, kind: str) -> list[str]:
        """See Reader."""
        self.flush()
        return super().unindexed(kind)

    def update(self, kind: str, id: str, changed: Record) -> None:
        """See Txn. KeyError when there is no such record, or with the id of a referenced blob that the account has not, before
        anything is written; ValueError for a name that is none of the type's stored properties."""
        plan = self._plans[kind]
        shape = plan.shape(tuple(changed))
        num, created, group, json = self._found(plan, id)
        old: dict[str, Json] = {}
        written: list[tuple[str, bytes]] = []
        if not shape.further:
            if shape.first:
                old = decode_raw(json)
                json = encode_json(old | changed)
        else:
            for segment, names in shape.further:
                raw: dict[str, Json] = decode_raw(self._segment(plan, segment, num))
                written.append((segment, encode_json(raw | {name: changed[name] for name in names})))
                old |= raw
            if shape.first:
                raw = decode_raw(json)
                json = encode_json(raw | {name: changed[name] for name in changed if not plan.segment_of[name]})
                old |= raw
        if shape.blob_refs:
            self._refer(_reference_changes(plan, shape.blob_refs, changed, old))
        bindings: list[Any] = [self.pending.changed(kind)] * shape.marks
        for prop in shape.columns:
            bindings.append(plan.column_value(prop, changed[prop]))
        if shape.first:
            bindings.append(json)
        bindings.append(num)
        self._db.execute(shape.statement, bindings)
        if shape.moves_group:
            self._rows_seen.pop((kind, id), None)
        else:
            self._remember(plan, id, (num, created, group, json))
        for segment, whole in written:
            self._db.execute(plan.update_segment[segment], (whole, num))
        for prop in shape.members:
            self._reenrol(plan, prop, num, group, set(_value(old.get(prop)) or ()), set(_value(changed[prop]) or ()))

    def update_many(self, kind: str, changes: Mapping[str, Record]) -> None:
        """See Txn. Raises as ``update``."""
        plan = self._plans[kind]
        shapes = {plan.shape(tuple(changed)) for changed in changes.values()}
        together = next(iter(shapes)).together if len(shapes) == 1 else None
        if together is None or len(changes) < _MANY:
            for id, changed in changes.items():
                self.update(kind, id, changed)
            return
        rows: list[bytes] = []
        moves: dict[tuple[str, str], list[tuple[int, Any, bool]]] = {}
        found = [(id, self._found(plan, id)) for id in changes]
        for id, (num, created, group, json) in found:
            changed, old = changes[id], decode_raw(json)
            json = encode_json(old | changed)
            rows.append(b"%020d%020d%b" % (num, self.pending.changed(kind), json))
            self._remember(plan, id, (num, created, group, json))
            for prop in plan.members:
                if prop in changed:
                    before, after = set(_value(old.get(prop)) or ()), set(_value(changed[prop]) or ())
                    for member in before ^ after:
                        moves.setdefault((prop, member), []).append((num, group, member in after))
        self._db.execute(together, (apsw.carray(tuple(rows)),))
        for (prop, member), moved in moves.items():
            self._move(plan, prop, member, moved)

    def _move(self, plan: Plan, prop: str, member: str, moved: Sequence[tuple[int, Any, bool]]) -> None:
        """Many records come to a key or leave it: (number, group, whether it comes) each."""
        come = [num for num, _, comes in moved if comes]
        go = [num for num, _, comes in moved if not comes]
        groups = encode_json(list({group for _, group, _ in moved})).decode()
        before = self._groups_having(plan, prop, member, groups)
        if go:
            self._db.execute(plan.drop_members[prop], (member, encode_json(go).decode()))
        if come:
            self._db.execute(plan.add_members[prop], (member, encode_json(come).decode()))
        more = self._groups_having(plan, prop, member, groups) - before
        if plan.group is not None:
            # A record in no group stands for itself.
            more += sum(1 if comes else -1 for _, group, comes in moved if group is None)
        self.pending.count((plan.name, prop, member), len(come) - len(go), more)

    def _groups_having(self, plan: Plan, prop: str, member: str, groups: str) -> int:
        if plan.group is None:
            return 0
        (n,) = self._db.execute(plan.groups_having[prop], (member, groups)).fetchone()
        return int(n)

    def _reenrol(self, plan: Plan, prop: str, num: int, group: Any, before: set[str], after: set[str]) -> None:
        if before == after:
            return
        alone = plan.group is None or not self._db.execute(plan.group_others, (group, num)).fetchone()
        for member in before - after:
            self._leave(plan, prop, member, num, group, alone)
        for member in after - before:
            self._join(plan, prop, member, num, group, alone)

    def _found(self, plan: Plan, id: str) -> Row:
        row: Row | None = self._rows_seen.get((plan.name, id)) or self._db.execute(plan.find, (id,)).fetchone()
        if row is None:
            raise KeyError(id)
        return row

    def _remember(self, plan: Plan, id: str, row: Row) -> None:
        if len(self._rows_seen) >= _REMEMBERED:
            self._rows_seen.clear()
        self._rows_seen[plan.name, id] = row

    def _segment(self, plan: Plan, segment: str, num: int) -> bytes:
        row = self._db.execute(f"SELECT json FROM {plan.s[segment]} WHERE num = ?", (num,)).fetchone()
        if row is None:
            raise StoreDamaged(f"a record of {plan.name} has lost its segment {segment!r}")
        return bytes(row[0])

    def touch(self, kind: str, id: str) -> None:
        """See Txn. KeyError when there is no such record."""
        plan = self._plans[kind]
        modseq = self.pending.modseq + 1
        self._db.execute(plan.touch, (modseq, modseq, id))
        if self._db.changes() == 0:
            raise KeyError(id)
        self.pending.changed(kind)

    def destroy(self, kind: str, id: str) -> None:
        """See Txn. KeyError when there is no such record."""
        plan = self._plans[kind]
        num, created, group, json = self._found(plan, id)
        old = decode_raw(json)
        needed = {plan.segment_of[prop] for prop in (*plan.members, *plan.blob_refs)} - {""}
        for segment in needed:
            old |= decode_raw(self._segment(plan, segment, num))
        self._rows_seen.pop((kind, id), None)
        modseq = self.pending.changed(kind, -1)
        if plan.members:
            alone = plan.group is None or not self._db.execute(plan.group_others, (group, num)).fetchone()
            for prop in plan.members:
                for member in _value(old.get(prop)) or ():
                    self._leave(plan, prop, member, num, group, alone)
        self._db.execute(plan.delete, (num,))
        for segment in plan.further:
            self._db.execute(f"DELETE FROM {plan.s[segment]} WHERE num = ?", (num,))
        if plan.search:
            self.pending.unindex(kind, num)
        self._db.execute(plan.bury, (modseq, id, group, created))
        # More than come: so a history that was too long gets shorter, and no transaction has much to do.
        if self._history is not None and self._buried[kind] % _FORGETFUL == 0:
            self.forget(kind, self._history, 2 * _FORGETFUL)
        self._buried[kind] += 1
        refs: Counter[str] = Counter()
        for prop in plan.blob_refs:
            refs.subtract(plan.blobs_of(prop, _value(old.get(prop))))
        self._refer(refs)

    # ---- counters and notes

    def tally(self, name: str, key: str, member: str, delta: int) -> int:
        """See Txn."""
        (n,) = self._db.execute(
            "INSERT INTO tally (name, key, member, n) VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (name, key, member) DO UPDATE SET n = n + ?4 RETURNING n",
            (name, key, member, delta),
        ).fetchall()[0]
        if n == 0:
            self._db.execute("DELETE FROM tally WHERE name = ? AND key = ? AND member = ?", (name, key, member))
        return int(n)

    def link(self, name: str, keys: Iterable[str], value: str) -> None:
        """See Txn."""
        self._db.executemany(
            "INSERT OR IGNORE INTO link (name, key, value) VALUES (?, ?, ?)", [(name, key, value) for key in keys]
        )

    def unlink(self, name: str, value: str) -> None:
        """See Txn."""
        self._db.execute("DELETE FROM link WHERE name = ? AND value = ?", (name, value))

    def gather(self, name: str, make: Callable[[], G]) -> G:
        """See Txn."""
        return self._gathering.one(name, make)

    def settle(self) -> None:
        """See Txn."""
        self._gathering.settle(self)

    def set_note(self, name: str, value: str | None) -> None:
        """See Txn."""
        if value is None:
            self._db.execute("DELETE FROM note WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)", (name, value))

    # ---- blobs

    def _blob(self, blob_id: str) -> tuple[int, bytes, int, int] | None:
        found = self._blobs_seen.get(blob_id)
        if found is None:
            found = super()._blob(blob_id)
            if found is not None:
                self._blobs_seen[blob_id] = found
        return found

    def _refer(self, changes: Mapping[str, int]) -> None:
        """Adds to blobs' references. KeyError, before anything is written, with an id that the account has not."""
        moves = {id: n for id, n in changes.items() if n}
        for id, n in moves.items():
            if n > 0 and self._blob(id) is None:
                raise KeyError(id)
        for id, n in moves.items():
            self._db.execute("UPDATE blob SET refs = refs + ? WHERE id = ?", (n, id))

    def put_blob(self, data: bytes) -> str:
        """See Txn."""
        sha = hashlib.sha256(data).digest()
        if len(data) <= INSIDE:
            return self.keep_blob(sha, len(data), data)
        id = blob_id(self._salt, sha)
        if self._refresh(id):
            return id
        self._room()
        incoming = self._files.receive(data, len(data))
        try:
            return self.keep_blob(sha, len(data), incoming)
        finally:
            incoming.discard()

    def keep_blob(self, sha: bytes, size: int, data: bytes | Incoming, quota: int | None = None) -> str:
        """Gives octets their row and their place: in the database, or a file that was received. Answers the blob id.

        OverQuota when they are new and ``used() + size`` exceeds ``quota``."""
        id = blob_id(self._salt, sha)
        if self._refresh(id):
            return id
        if quota is not None and self.pending.used + size > quota:
            raise OverQuota(f"{size} octets more would exceed the account's quota of {quota}")
        self._room()
        filed = isinstance(data, Incoming)
        if isinstance(data, Incoming):
            self._files.settle(data)
        self._db.execute(
            "INSERT INTO blob (id, sha, size, refs, uploaded, filed) VALUES (?, ?, ?, 0, ?, ?)",
            (id, sha, size, int(time.time()), int(filed)),
        )
        if isinstance(data, bytes):
            self._db.execute("INSERT INTO octets (num, data) VALUES (?, ?)", (self._db.last_insert_rowid(), data))
        self.pending.stored(size)
        return id

    def _refresh(self, id: str) -> bool:
        """Whether the account has the blob; an upload of the same octets makes it young again (RFC 8620 section 6.1)."""
        row = self._db.execute("SELECT num, uploaded FROM blob WHERE id = ?", (id,)).fetchone()
        if row is None:
            return False
        now = int(time.time())
        if abs(now - row[1]) > _FRESH // 4:
            self._db.execute("UPDATE blob SET uploaded = ? WHERE num = ?", (now, row[0]))
        return True

    def _room(self) -> None:
        """OverQuota when the disk is nearly full: what is left is for destroying, which needs some room as well."""
        if self._room_seen:
            return
        status = os.statvfs(self._files.folder)
        if status.f_bavail * status.f_frsize < self._keep_free:
            raise OverQuota("the server's disk is nearly full; nothing new is taken in, but things can be destroyed")
        self._room_seen = True

    def forget(self, kind: str, history: int, most: int) -> int:
        """Forgets the ``most`` oldest of the records that were destroyed before the account's newest ``history`` changes.
        Answers how many."""
        plan, until = self._plans[kind], self.pending.modseq - history
        old = self._column(plan.oldest_buried, (until, most)) if until > 0 else []
        if old:
            self._db.execute(plan.unbury, (old[-1],))
            self._db.execute("UPDATE state SET forgotten = ? WHERE kind = ?", (old[-1], kind))
        return len(old)

    def forget_blobs(self, nums: Iterable[int], size: int) -> None:
        """Removes blobs that nothing refers to, ``size`` octets in all. Their files go after the commit."""
        self._blobs_seen.clear()
        for num in nums:
            self._db.execute("DELETE FROM blob WHERE num = ?", (num,))
        self.pending.stored(-size)


def _reference_changes(plan: Plan, props: Iterable[str], changed: Record, old: Mapping[str, Json]) -> Counter[str]:
    refs: Counter[str] = Counter()
    for prop in props:
        refs.update(plan.blobs_of(prop, _value(changed[prop])))
        refs.subtract(plan.blobs_of(prop, _value(old.get(prop))))
    return refs


def _value(value: Json) -> Json:
    """A property's value, whether it came as such or as ready JSON."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
