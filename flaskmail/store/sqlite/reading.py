"""Reader over SQLite: one account, one snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from flaskmail.errors import StoreDamaged
from flaskmail.jmap.conditions import Query, QueryResult
from flaskmail.jmap.storage import BlobInfo, Changes, Json, Record
from flaskmail.store.sqlite import querying
from flaskmail.store.sqlite.blobs import BlobFiles, read_file
from flaskmail.store.sqlite.blobs import blob_id as name_blob
from flaskmail.store.sqlite.connections import Connection
from flaskmail.store.sqlite.plan import Picker, Plan, Plans, encode_json


class SqliteReader:
    """Implements :class:`flaskmail.jmap.storage.Reader`. Lives for one ``with store.read(...)``."""

    def __init__(self, account_id: str, connection: Connection, plans: Plans, files: BlobFiles) -> None:
        self._account_id = account_id
        self.connection, self._db = connection, connection.db
        self._plans, self._files = plans, files

    @property
    def account_id(self) -> str:
        """The account that is read."""
        return self._account_id

    def state(self, kind: str) -> int:
        """See Reader."""
        row = self._db.execute("SELECT modseq FROM state WHERE kind = ?", (kind,)).fetchone()
        return 0 if row is None else row[0]

    # ---- records

    def _rows(self, plan: Plan, ids: Sequence[str] | None, names: Sequence[str]) -> tuple[Picker, list[Any]]:
        picker = plan.picker(names)
        if ids is None:
            return picker, self._db.execute(picker.all).fetchall()
        if len(ids) == 1:
            return picker, self._db.execute(picker.by_id, (ids[0],)).fetchall()
        wanted = encode_json(list(dict.fromkeys(ids))).decode()
        return picker, self._db.execute(picker.by_ids, (wanted,)).fetchall()

    def get(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> list[Record]:
        """See Reader."""
        picker, rows = self._rows(self._plans[kind], ids, names)
        return picker.records(rows)

    def get_json(self, kind: str, ids: Sequence[str] | None, names: Sequence[str]) -> tuple[list[str], bytes]:
        """See Reader."""
        picker, rows = self._rows(self._plans[kind], ids, names)
        return [row[0] for row in rows], picker.array(rows)

    def ids(self, kind: str, limit: int | None = None) -> list[str]:
        """See Reader."""
        plan = self._plans[kind]
        return self._column(f"SELECT id FROM {plan.r} ORDER BY num LIMIT ?", (-1 if limit is None else limit,))

    def existing(self, kind: str, ids: Iterable[str]) -> set[str]:
        """See Reader."""
        plan = self._plans[kind]
        wanted = encode_json(list(ids)).decode()
        return set(
            self._column(f"SELECT r.id FROM json_each(?) AS j CROSS JOIN {plan.r} AS r ON r.id = j.value", (wanted,))
        )

    def _column(self, sql: str, bindings: Sequence[Any]) -> list[Any]:
        return [value for (value,) in self._db.execute(sql, bindings).fetchall()]

    # ---- changes

    def changes(self, kind: str, since: int, limit: int | None) -> Changes:
        """See Reader and Changes."""
        state = self.state(kind)
        if since >= state:
            return Changes([], [], [], state, False, False)
        plan = self._plans[kind]
        most = -1 if limit is None else limit + 1
        # RFC 8620 section 5.2: every intermediate state has to be a true one; see Changes for the rule. Each part is read in
        # the order of its index and ends where the parts before it show that the limit cuts.
        found = self._db.execute(
            f"SELECT created, id, 0 FROM {plan.r} WHERE created > ? ORDER BY created LIMIT ?", (since, most)
        ).fetchall()
        edge = found[-1][0] if len(found) == most else state
        updated = self._db.execute(
            f"SELECT changed, id, CASE WHEN settled > ?1 THEN 1 ELSE 2 END FROM {plan.r} "
            "WHERE changed > ?1 AND changed <= ?2 AND created <= ?1 ORDER BY changed LIMIT ?3",
            (since, edge, most),
        ).fetchall()
        edge = updated[-1][0] if len(updated) == most else edge
        destroyed = self._db.execute(
            f"SELECT destroyed, id, 3 FROM {plan.d} WHERE destroyed > ?1 AND destroyed <= ?2 AND created <= ?1 "
            "ORDER BY destroyed LIMIT ?3",
            (since, edge, most),
        ).fetchall()
        found = sorted(found + updated + destroyed)
        more = limit is not None and len(found) > limit
        if more:
            found = found[:limit]
            state = found[-1][0] if found else since
        created, updated, gone = ([id for _, id, sort in found if sort in which] for which in ((0,), (1, 2), (3,)))
        only_counters = bool(updated) and not any(sort == 1 for _, _, sort in found)
        return Changes(created, updated, gone, state, more, only_counters)

    def history(self, kind: str) -> int:
        """See Reader."""
        row = self._db.execute("SELECT forgotten FROM state WHERE kind = ?", (kind,)).fetchone()
        return 0 if row is None else row[0]

    def touched(self, kind: str, since: int, limit: int | None, *, group: bool) -> list[str] | None:
        """See Reader."""
        plan = self._plans[kind]
        most = -1 if limit is None else limit + 1
        # Not UNION, which SQLite would merge in the order of ids: by a walk of every record.
        sql = f"SELECT id FROM {plan.r} WHERE changed > ?1 UNION ALL SELECT id FROM {plan.d} WHERE destroyed > ?1 "
        if group and plan.group_column is not None:
            column = plan.group_column
            sql += (
                f"UNION ALL SELECT id FROM {plan.r} WHERE {column} IN (SELECT {column} FROM {plan.r} WHERE changed > ?1 "
                f"UNION ALL SELECT grp FROM {plan.d} WHERE destroyed > ?1) "
            )
        found = self._column(f"SELECT DISTINCT id FROM ({sql}) LIMIT ?2", (since, most))
        return None if limit is not None and len(found) > limit else found

    # ---- looking up

    def query(self, kind: str, query: Query) -> QueryResult:
        """See Reader."""
        return querying.run(self, self.connection, self._plans[kind], query)

    def grouped(self, kind: str, column: str, values: Sequence[Json]) -> dict[Json, list[str]]:
        """See Reader."""
        plan = self._plans[kind]
        found: dict[Json, list[str]] = {value: [] for value in values}
        rows = self._db.execute(
            f"SELECT j.value, r.id FROM json_each(?) AS j CROSS JOIN {plan.r} AS r ON r.{plan.column[column]} = j.value "
            "ORDER BY r.num",
            (encode_json(list(found)).decode(),),
        )
        for value, id in rows.fetchall():
            found[value].append(id)
        return found

    def members(self, kind: str, prop: str, member: str, limit: int | None = None) -> list[str]:
        """See Reader."""
        plan = self._plans[kind]
        return self._column(
            f"SELECT r.id FROM {plan.m[prop]} AS m CROSS JOIN {plan.r} AS r ON r.num = m.num WHERE m.member = ? "
            "ORDER BY m.num LIMIT ?",
            (member, -1 if limit is None else limit),
        )

    def count_members(self, kind: str, prop: str, member: str) -> int:
        """See Reader."""
        return self.counts(self._plans[kind], prop, member)[0]

    def counts(self, plan: Plan, prop: str, member: str) -> tuple[int, int]:
        """How many live records have the key, and how many distinct groups those make."""
        row = self._db.execute(f"SELECT n, groups FROM {plan.n[prop]} WHERE member = ?", (member,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def live(self, plan: Plan) -> int:
        """How many live records the type has."""
        row = self._db.execute("SELECT live FROM state WHERE kind = ?", (plan.name,)).fetchone()
        return 0 if row is None else row[0]

    def tallies(self, name: str, key: str) -> dict[str, int]:
        """See Reader."""
        return dict(self._db.execute("SELECT member, n FROM tally WHERE name = ? AND key = ?", (name, key)).fetchall())

    def linked(self, name: str, keys: Sequence[str]) -> dict[str, str]:
        """See Reader."""
        return dict(
            self._db.execute(
                "SELECT l.key, l.value FROM json_each(?) AS j CROSS JOIN link AS l ON l.name = ? AND l.key = j.value",
                (encode_json(list(keys)).decode(), name),
            ).fetchall()
        )

    def unindexed(self, kind: str) -> list[str]:
        """See Reader."""
        plan = self._plans[kind]
        if not plan.search:
            return []
        return self._column(
            f"SELECT id FROM {plan.r} WHERE num NOT IN (SELECT id FROM {plan.f_sizes}) ORDER BY num", ()
        )

    def note(self, name: str) -> str | None:
        """See Reader."""
        row = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    # ---- blobs

    def _blob(self, blob_id: str) -> tuple[int, bytes, int, int] | None:
        row: tuple[int, bytes, int, int] | None = self._db.execute(
            "SELECT num, sha, size, filed FROM blob WHERE id = ?", (blob_id,)
        ).fetchone()
        return row

    def blob(self, blob_id: str) -> BlobInfo | None:
        """See Reader."""
        row = self._blob(blob_id)
        if row is None:
            return None
        _, sha, size, filed = row
        return BlobInfo(blob_id, size, self._files.path(sha) if filed else None)

    def blob_of(self, sha256: bytes) -> BlobInfo | None:
        """See Reader."""
        return self.blob(name_blob(self._db.execute("SELECT salt FROM meta").fetchone()[0], sha256))

    def read_blob(self, blob_id: str, start: int = 0, end: int | None = None) -> bytes:
        """See Reader. What is handed out was compared with its hash."""
        row = self._blob(blob_id)
        if row is None:
            raise KeyError(blob_id)
        num, sha, size, filed = row
        start = min(max(start, 0), size)
        end = size if end is None else max(start, min(end, size))
        if filed:
            return read_file(self._files.path(sha), sha, size, start, end)
        inside = self._db.execute("SELECT data FROM octets WHERE num = ?", (num,)).fetchone()
        if inside is None or hashlib.sha256(inside[0]).digest() != sha:
            raise StoreDamaged(f"the blob {blob_id} is not what was written")
        data: bytes = inside[0]
        return data if (start, end) == (0, size) else data[start:end]

    def used(self) -> int:
        """See Reader."""
        return int(self._db.execute("SELECT used FROM meta").fetchone()[0])
