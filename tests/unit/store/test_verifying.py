"""Every damage that is planted is found; what follows from the records is mended."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from notes import note

from flaskmail.errors import StoreDamaged
from flaskmail.jmap.conditions import HasMember, Matches, Query
from flaskmail.store.sqlite import SqliteStore
from flaskmail.store.sqlite.connections import PAGE_SIZE

LARGE = os.urandom(300_000)


@pytest.fixture
def filled(store: SqliteStore) -> SqliteStore:
    large = store.put_blob("a1", LARGE, len(LARGE))
    with store.write("a1") as txn:
        small = txn.put_blob(b"small octets")
        for n in range(10):
            note(
                txn,
                title=f"title {n}",
                body=f"words of {n}",
                categories={"c1": True, f"d{n}": True},
                topic=f"t{n % 3}",
                attachment=large if n % 2 else small,
            )
        txn.destroy("Note", txn.ids("Note")[0])
    assert store.verify("a1") == []
    return store


def plant(store: SqliteStore, sql: str) -> None:
    """Works behind the store's back, on what nobody else uses right now."""
    store.pool.forget("a1")
    db = apsw.Connection(str(store.folder("a1") / "mail.db"))
    db.pragma("foreign_keys", False)
    db.execute(sql).fetchall()
    assert db.total_changes() > 0
    db.close()


FIRST = '(SELECT min(num) FROM "r_Note")'
MENDABLE = {
    "member missing": "DELETE FROM \"m_Note_categories\" WHERE member = 'c1'",
    "member too many": f"INSERT INTO \"m_Note_categories\" VALUES ('zz', {FIRST})",
    "member exchanged": "UPDATE \"m_Note_categories\" SET member = 'zz' WHERE member = 'd5'",
    "count wrong": "UPDATE \"n_Note_categories\" SET n = n + 1 WHERE member = 'c1'",
    "groups wrong": "UPDATE \"n_Note_categories\" SET groups = 9 WHERE member = 'c1'",
    "count too many": "INSERT INTO \"n_Note_categories\" VALUES ('zz', 1, 1)",
    "column wrong": f'UPDATE "r_Note" SET "c_title" = \'other\' WHERE num = {FIRST}',
    "column lost": f'UPDATE "r_Note" SET "c_priority" = 3 WHERE num = {FIRST}',
    "live wrong": "UPDATE state SET live = live - 1 WHERE kind = 'Note'",
    "state old": "UPDATE state SET modseq = 1 WHERE kind = 'Note'",
    "modseq old": "UPDATE meta SET modseq = 1",
    "used wrong": "UPDATE meta SET used = used + 1",
    "refs low": "UPDATE blob SET refs = 0",
    "refs high": "UPDATE blob SET refs = refs + 1",
    "segment stray": "INSERT INTO \"s_Note_body\" VALUES (1, '{}')",
    "search stray": "INSERT INTO \"f_Note\" (rowid, t_title) VALUES (1, 'x')",
    "tombstone of the living": 'INSERT INTO "d_Note" SELECT 99999, id, NULL, 1 FROM "r_Note" LIMIT 1',
}
LOST = {
    "segment lost": f'DELETE FROM "s_Note_body" WHERE num = {FIRST}',
    "search entry lost": f'DELETE FROM "f_Note" WHERE rowid = {FIRST}',
    "no JSON": f"UPDATE \"r_Note\" SET json = CAST('{{' AS BLOB) WHERE num = {FIRST}",
    "another id": f"UPDATE \"r_Note\" SET id = 'nother' WHERE num = {FIRST}",
    "octets lost": "DELETE FROM octets",
    "octets exchanged": "UPDATE octets SET data = CAST('large octets' AS BLOB)",
    "octets cut": "UPDATE octets SET data = CAST('small' AS BLOB)",
    "blob lost": "DELETE FROM blob WHERE NOT filed",
    "blob renamed": "UPDATE blob SET id = 'gother' WHERE NOT filed",
}


@pytest.mark.parametrize("what", MENDABLE)
def test_found_and_mended(filled: SqliteStore, what: str) -> None:
    plant(filled, MENDABLE[what])
    found = filled.verify("a1")
    assert found
    assert not any(finding.mended for finding in found)
    assert filled.verify("a1") == found
    mended = filled.verify("a1", repair=True)
    assert all(finding.mended for finding in mended)
    assert filled.verify("a1") == []
    with filled.read("a1") as reader:
        assert reader.count_members("Note", "categories", "c1") == 9
        assert len(reader.query("Note", Query(HasMember("categories", "c1"))).ids) == 9
        assert len(reader.query("Note", Query(Matches((), "title"))).ids) == 9


@pytest.mark.parametrize("what", LOST)
def test_found_and_not_hidden(filled: SqliteStore, what: str) -> None:
    plant(filled, LOST[what])
    assert filled.verify("a1")
    assert not all(finding.mended for finding in filled.verify("a1", repair=True))
    assert filled.verify("a1")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink])
def test_damaged_files(filled: SqliteStore, damage: Callable[[Path], None]) -> None:
    ((_, path),) = filled.files("a1").all()
    damage(path)
    (finding,) = filled.verify("a1")
    assert not finding.mended
    with filled.read("a1") as reader:
        (blob,) = {
            r["attachment"] for r in reader.get("Note", None, ["attachment"]) if reader.blob(r["attachment"]).path
        }
        for start, end in [(0, None), (5, 10)]:
            with pytest.raises(StoreDamaged):
                reader.read_blob(blob, start, end)
    # The same octets, uploaded again by somebody who has them, do not mend it: the row says that they are there.
    assert filled.verify("a1")


def test_damaged_octets_are_never_handed_out(filled: SqliteStore) -> None:
    plant(filled, LOST["octets exchanged"])
    with filled.read("a1") as reader:
        blobs = {r["attachment"] for r in reader.get("Note", None, ["attachment"])}
        (small,) = [id for id in blobs if reader.blob(id).path is None]  # type: ignore[union-attr]
        for start, end in [(0, None), (1, 3)]:
            with pytest.raises(StoreDamaged):
                reader.read_blob(small, start, end)


def test_a_record_without_its_segment_is_no_answer(filled: SqliteStore) -> None:
    plant(filled, LOST["segment lost"])
    with filled.read("a1") as reader:
        ids = reader.ids("Note")
        with pytest.raises(StoreDamaged):
            reader.get("Note", ids, ["body"])


def test_a_damaged_page(filled: SqliteStore) -> None:
    filled.pool.forget("a1")
    path = filled.folder("a1") / "mail.db"
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // PAGE_SIZE):
        data[page * PAGE_SIZE : page * PAGE_SIZE + 200] = os.urandom(200)
    path.write_bytes(data)
    assert filled.verify("a1")


def test_no_database_at_all(filled: SqliteStore) -> None:
    filled.pool.forget("a1")
    (filled.folder("a1") / "mail.db").write_bytes(os.urandom(100_000))
    (finding,) = filled.verify("a1")
    assert "damaged" in finding.what
    with pytest.raises(StoreDamaged), filled.read("a1"):
        pass
