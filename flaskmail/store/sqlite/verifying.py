"""Whether an account is what was written: every table against the records, every blob against its hash.

Records are the truth: columns, members, counts, references and sizes follow from them and can be made anew. What cannot be mended
is what nothing else tells: a lost segment, a blob that is gone, the text of a search index.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from flaskmail.errors import StoreDamaged, StoreError
from flaskmail.jmap.storage import Finding, Record
from flaskmail.store.sqlite import migrations
from flaskmail.store.sqlite.blobs import BlobFiles, blob_id, hash_file
from flaskmail.store.sqlite.plan import COUNTER_BITS, MAX_SPILL, Plan, Plans
from flaskmail.store.sqlite.reading import SqliteReader
from flaskmail.store.sqlite.sweeping import sweep_files

if TYPE_CHECKING:
    from flaskmail.store.sqlite.store import SqliteStore

_MOST = 1000


def verify(store: SqliteStore, account_id: str, repair: bool) -> list[Finding]:
    """See Store.verify. With ``repair`` the account's writer waits meanwhile, and files that no row names are removed."""
    try:
        if not repair:
            with store.read(account_id) as reader:
                return Verification(reader, store.plans, store.files(account_id), False).run()
        with store.write(account_id, alone=True) as txn:
            found = Verification(txn, store.plans, store.files(account_id), True).run()
        swept = sweep_files(store, account_id, 0)
    except StoreDamaged as damage:
        return [Finding(account_id, str(damage))]
    return [*found, *(Finding(account_id, f"the file {name} belonged to no blob", True) for name in swept)]


class Verification:
    """One look at one account, within one snapshot or, with ``repair``, one transaction."""

    def __init__(self, reader: SqliteReader, plans: Plans, files: BlobFiles, repair: bool) -> None:
        self.account_id, self.db = reader.account_id, reader.connection.db
        self.plans, self.files, self.repair = plans, files, repair
        self.found: list[Finding] = []
        self.refs: Counter[str] = Counter()

    def run(self) -> list[Finding]:
        """Everything that is wrong, at most some thousand findings."""
        checks: list[Callable[[], None]] = [self._database]
        for plan in self.plans.values():
            checks += [lambda plan=plan: self._segments(plan), lambda plan=plan: self._records(plan)]  # type: ignore[misc]
            checks += [lambda plan=plan: self._counts(plan), lambda plan=plan: self._search(plan)]  # type: ignore[misc]
        checks += [self._references, self._blobs, self._sequence]
        for check in checks:
            if len(self.found) > _MOST:
                break
            try:
                check()
            except (apsw.CorruptError, apsw.NotADBError, StoreDamaged, msgspec.DecodeError) as error:
                self._tell(f"the database is damaged: {error}")
        return self.found

    def _tell(self, what: str, mend: Callable[[], object] | None = None) -> None:
        mended = False
        if self.repair and mend is not None:
            mend()
            mended = True
        self.found.append(Finding(self.account_id, what, mended))

    def _rows(self, sql: str, *bindings: Any) -> list[Any]:
        rows: list[Any] = self.db.execute(sql, bindings).fetchall()
        return rows

    def _one(self, sql: str, *bindings: Any) -> Any:
        return self._rows(sql, *bindings)[0][0]

    def _do(self, sql: str, *bindings: Any) -> Callable[[], object]:
        return lambda: self.db.execute(sql, bindings)

    # ---- the file

    def _database(self) -> None:
        for plan in self.plans.values():
            if plan.search:
                # FTS5's part of the integrity check believes what this connection remembers of the index, however old that is;
                # a look at the table makes it forget.
                self._rows(f"SELECT rowid FROM {plan.f} WHERE rowid = 0")
        for (text,) in self._rows("PRAGMA integrity_check(50)"):
            if text != "ok":
                self._tell(f"the database is damaged: {text}")
        for table, _, parent, _ in self._rows("PRAGMA foreign_key_check"):
            self._tell(f"a row of {table} has none in {parent}")

    # ---- records

    def _segments(self, plan: Plan) -> None:
        for segment, table in plan.s.items():
            lost = self._rows(
                f"SELECT id FROM {plan.r} AS r WHERE NOT EXISTS (SELECT 1 FROM {table} AS s WHERE s.num = r.num)"
            )
            for (id,) in lost[:_MOST]:
                self._tell(f"{plan.name} {id} has lost its segment {segment!r}")
            stray = self._one(f"SELECT count(*) FROM {table} WHERE num NOT IN (SELECT num FROM {plan.r})")
            if stray:
                mend = self._do(f"DELETE FROM {table} WHERE num NOT IN (SELECT num FROM {plan.r})")
                self._tell(f"{stray} rows in segment {segment!r} of {plan.name} belong to no record", mend)

    def _walk(self, plan: Plan) -> Iterator[tuple[int, str, tuple[Any, ...], Record]]:
        """(num, id, indexed columns, whole record) of every record whose JSON can be read."""
        columns = "".join(f", r.{column}" for column in plan.column.values())
        joins = "".join(f" LEFT JOIN {table} AS s{i} ON s{i}.num = r.num" for i, table in enumerate(plan.s.values()))
        jsons = "".join(f", s{i}.json" for i in range(len(plan.s)))
        last = -(2**63)
        sql = f"SELECT r.num, r.id{columns}, r.json{jsons} FROM {plan.r} AS r{joins} WHERE r.num > ? ORDER BY r.num LIMIT 500"
        while rows := self._rows(sql, last):
            for row in rows:
                num, id, cells = row[0], row[1], row[2 : 2 + len(plan.column)]
                record: Record = {}
                try:
                    for json in row[2 + len(plan.column) :]:
                        record |= msgspec.json.decode(json) if json is not None else {}
                except (msgspec.DecodeError, TypeError) as error:
                    self._tell(f"{plan.name} {id} cannot be read: {error}")
                    continue
                yield num, id, cells, record
            last = rows[-1][0]

    def _records(self, plan: Plan) -> None:
        enrolled: Counter[str] = Counter()
        astray: set[str] = set()
        for num, id, cells, record in self._walk(plan):
            if record.get("id") != id:
                self._tell(f"{plan.name} {id} calls itself {record.get('id')!r}")
                continue
            self._columns(plan, num, id, cells, record)
            milliseconds = plan.milliseconds(record)
            if milliseconds is not None and not 0 <= (num >> COUNTER_BITS) - milliseconds <= MAX_SPILL:
                self._tell(f"{plan.name} {id} stands in the wrong place of its order")
            for prop in plan.members:
                for member in record.get(prop) or ():
                    enrolled[prop] += 1
                    if not self._rows(f"SELECT 1 FROM {plan.m[prop]} WHERE member = ? AND num = ?", member, num):
                        astray.add(prop)
            for prop in plan.blob_refs:
                self.refs.update(plan.blobs_of(prop, record.get(prop)))
        for prop in plan.members:
            if prop in astray or self._one(f"SELECT count(*) FROM {plan.m[prop]}") != enrolled[prop]:
                self._tell(
                    f"the index of {prop} of {plan.name} is not what the records have",
                    lambda prop=prop: migrations.refill_members(self.db, plan, prop),  # type: ignore[misc]
                )

    def _columns(self, plan: Plan, num: int, id: str, cells: tuple[Any, ...], record: Record) -> None:
        for prop, cell in zip(plan.indexed, cells, strict=True):
            right = plan.column_value(prop, record.get(prop))
            if cell != right:
                mend = self._do(f"UPDATE {plan.r} SET {plan.column[prop]} = ? WHERE num = ?", right, num)
                self._tell(f"{plan.name} {id} is indexed under another {prop} than it has", mend)

    def _counts(self, plan: Plan) -> None:
        for prop, table in plan.n.items():
            kept = {row[0]: row[1:] for row in self._rows(f"SELECT member, n, groups FROM {table}")}
            if kept != {row[0]: row[1:] for row in self._rows(migrations.count_members(plan, prop))}:
                self._tell(
                    f"the counts of {prop} of {plan.name} are not a recount's",
                    lambda prop=prop: migrations.recount_members(self.db, plan, prop),  # type: ignore[misc]
                )
        live = self._one(f"SELECT count(*) FROM {plan.r}")
        if (live,) not in self._rows("SELECT live FROM state WHERE kind = ?", plan.name):
            mend = self._do("UPDATE state SET live = ? WHERE kind = ?", live, plan.name)
            self._tell(f"the number of records of {plan.name} is not a recount's", mend)
        both = self._rows(f"SELECT id FROM {plan.d} WHERE id IN (SELECT id FROM {plan.r})")
        for (id,) in both[:_MOST]:
            self._tell(
                f"{plan.name} {id} is both there and destroyed", self._do(f"DELETE FROM {plan.d} WHERE id = ?", id)
            )

    def _search(self, plan: Plan) -> None:
        if not plan.search:
            return
        indexed = plan.f_sizes
        lost = self._rows(f"SELECT id FROM {plan.r} WHERE num NOT IN (SELECT id FROM {indexed})")
        for (id,) in lost[:_MOST]:
            self._tell(f"{plan.name} {id} is not in the search index")
        stray = self._rows(f"SELECT id FROM {indexed} WHERE id NOT IN (SELECT num FROM {plan.r})")
        if stray:

            def mend() -> None:
                for (num,) in stray:
                    self.db.execute(plan.delete_text, (num,))

            self._tell(f"{len(stray)} entries of the search index of {plan.name} belong to no record", mend)

    def _sequence(self) -> None:
        newest = self._one("SELECT modseq FROM meta")
        for plan in self.plans.values():
            seen = self._one(
                f"SELECT max(ifnull((SELECT max(changed) FROM {plan.r}), 0), "
                f"ifnull((SELECT max(destroyed) FROM {plan.d}), 0))"
            )
            state = self._rows("SELECT modseq FROM state WHERE kind = ?", plan.name)
            if not state or state[0][0] < seen:
                mend = self._do("UPDATE state SET modseq = ? WHERE kind = ?", seen, plan.name)
                self._tell(f"the state of {plan.name} is older than its newest record", mend)
            if seen > newest:
                self._tell(
                    "the account's modseq is older than its newest record", self._do("UPDATE meta SET modseq = ?", seen)
                )
                newest = seen

    # ---- blobs

    def _references(self) -> None:
        kept = dict(self._rows("SELECT id, refs FROM blob"))
        for id in self.refs:
            if id not in kept:
                self._tell(f"a record refers to the blob {id}, which is not there")
        # Records of types that are not declared now refer to blobs too, and cannot be asked.
        strangers = {row[0] for row in self._rows("SELECT kind FROM layout")} - set(self.plans)
        for id, refs in kept.items():
            right = self.refs[id]
            if refs < right or (refs > right and not strangers):
                mend = self._do("UPDATE blob SET refs = ? WHERE id = ?", right, id)
                self._tell(f"the blob {id} counts {refs} references instead of {right}", mend)

    def _blobs(self) -> None:
        salt = self._one("SELECT salt FROM meta")
        used, last = 0, -1
        while rows := self._rows(
            "SELECT b.num, b.id, b.sha, b.size, b.filed, o.data FROM blob AS b LEFT JOIN octets AS o ON o.num = b.num "
            "WHERE b.num > ? ORDER BY b.num LIMIT 50",
            last,
        ):
            for _, id, sha, size, filed, data in rows:
                used += size
                if blob_id(salt, sha) != id:
                    self._tell(f"the blob {id} does not bear the name of its octets")
                wrong = self._file(sha, size) if filed else _inside(sha, size, data)
                if wrong:
                    self._tell(f"the blob {id} {wrong}")
            last = rows[-1][0]
        if used != self._one("SELECT used FROM meta"):
            self._tell("the octets in use are not a recount's", self._do("UPDATE meta SET used = ?", used))

    def _file(self, sha: bytes, size: int) -> str:
        path = self.files.path(sha)
        try:
            if path.stat().st_size != size:
                return "has lost octets: its file has another size"
            return "" if hash_file(path) == sha else "is not what was written: the hash of its file is another"
        except FileNotFoundError:
            return "has lost its file"
        except OSError as error:
            raise StoreError(f"the file of a blob cannot be read: {error.strerror}") from error


def _inside(sha: bytes, size: int, data: bytes | None) -> str:
    if data is None:
        return "has lost its octets"
    if len(data) != size or hashlib.sha256(data).digest() != sha:
        return "is not what was written: its hash is another"
    return ""
