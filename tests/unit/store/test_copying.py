"""A copy of an account is what the account was at one moment, whatever happens to it meanwhile."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from notes import Label, Note, note

from flaskmail.errors import AccountMissing, StoreDamaged
from flaskmail.store.sqlite import SqliteStore

DAY = 24 * 3600
LARGE = 200_000


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "copy" / "accounts"
    folder.mkdir(parents=True)
    return folder / "a1"


def opened(target: Path) -> SqliteStore:
    return SqliteStore(target.parent.parent, [Note(), Label()])


def fill(store: SqliteStore, count: int = 3) -> list[str]:
    made = []
    for number in range(count):
        octets = bytes([number]) * LARGE
        blob = store.put_blob("a1", octets, LARGE)
        with store.write("a1") as txn:
            made.append(note(txn, title=f"note {number}", attachment=blob))
    return made


def test_a_copy_is_an_account(store: SqliteStore, target: Path) -> None:
    ids = fill(store)
    files = list(store.copy("a1", target))
    assert [file.problem for file in files] == [""] * 4
    assert sum(file.size for file in files) == pytest.approx(store.footprint("a1"), rel=0.2)
    for file in files:
        octets = (target / file.path).read_bytes()
        assert (len(octets), hashlib.sha256(octets).hexdigest()) == (file.size, file.sha256)
    # Nothing lies beside what was told.
    assert {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()} == {file.path for file in files}
    for path in (target, *target.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    copy = opened(target)
    assert copy.verify("a1") == []
    with copy.read("a1") as reader, store.read("a1") as original:
        assert reader.get("Note", None, list(Note.props)) == original.get("Note", None, list(Note.props))
        assert reader.state("Note") == original.state("Note")
        assert reader.ids("Note") == ids
    with copy.write("a1") as txn:
        note(txn, title="goes on")
        assert txn.connection.db.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    copy.close()


def test_what_is_written_meanwhile_is_not_in_it(store: SqliteStore, target: Path) -> None:
    [id, *_] = fill(store)
    copying = store.copy("a1", target)
    next(copying)
    with store.write("a1") as txn:
        txn.destroy("Note", id)
        note(txn, title="late")
    list(copying)
    copy = opened(target)
    assert copy.verify("a1") == []
    with copy.read("a1") as reader:
        assert [n["title"] for n in reader.get("Note", None, ["title"])] == ["note 0", "note 1", "note 2"]
    copy.close()


@pytest.mark.parametrize("how", ["sweep", "repair"])
def test_files_stay_while_they_are_copied(
    store: SqliteStore, target: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id, *_] = fill(store)
    copying = store.copy("a1", target)
    next(copying)
    with store.write("a1") as txn:
        txn.destroy("Note", id)
    later(monkeypatch, 2 * DAY)
    assert store.sweep("a1") == 1
    if how == "repair":
        store.verify("a1", repair=True)
    assert [file.problem for file in copying] == [""] * 3
    copy = opened(target)
    assert copy.verify("a1") == []
    copy.close()
    # And they go once nobody copies them any more.
    assert len(list(store.files("a1").all())) == 3
    store.sweep("a1")
    assert len(list(store.files("a1").all())) == 2


def test_a_copy_that_is_given_up_frees_the_files(
    store: SqliteStore, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id, *_] = fill(store)
    copying = store.copy("a1", target)
    next(copying)
    copying.close()  # type: ignore[attr-defined]
    with store.write("a1") as txn:
        txn.destroy("Note", id)
    later(monkeypatch, 2 * DAY)
    store.sweep("a1")
    assert len(list(store.files("a1").all())) == 2


@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_account_that_is_deleted_meanwhile(store: SqliteStore, target: Path, step: int) -> None:
    fill(store)
    copying = store.copy("a1", target)
    for _ in range(step):
        next(copying)
    store.delete_account("a1")
    with pytest.raises(AccountMissing):
        list(copying)


def test_what_is_damaged_is_named_and_the_rest_copied(store: SqliteStore, target: Path) -> None:
    fill(store)
    first, second, _ = sorted(path for _, path in store.files("a1").all())
    first.write_bytes(b"x" * LARGE)
    second.unlink()
    told = {file.path: file for file in store.copy("a1", target)}
    assert len(told) == 4
    assert sorted(bool(file.problem) for file in told.values()) == [False, False, True, True]
    assert "gone" in told[str(Path("blobs") / second.relative_to(store.files("a1").folder))].problem
    assert (target / "blobs" / first.relative_to(store.files("a1").folder)).read_bytes() == b"x" * LARGE


def test_a_database_that_cannot_be_read(store: SqliteStore, target: Path, root: Path) -> None:
    fill(store)
    store.close()
    path = root / "accounts/a1/mail.db"
    octets = bytearray(path.read_bytes())
    for start in range(4096, len(octets) - 200, 4096):
        octets[start : start + 200] = os.urandom(200)
    path.write_bytes(octets)
    damaged = SqliteStore(root, [Note(), Label()])
    with pytest.raises(StoreDamaged):
        list(damaged.copy("a1", target))
    damaged.close()


def test_copies_beside_writers_and_sweeps_are_whole(store: SqliteStore, tmp_path: Path) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            turn = 0
            while not done.is_set():
                turn += 1
                octets = f"{number}-{turn % 7}".encode() * 30_000
                blob = store.put_blob("a1", octets, len(octets))
                with store.write("a1") as txn:
                    if txn.blob(blob) is None:
                        continue
                    note(txn, attachment=blob, title=f"{turn}")
                    for id in txn.ids("Note", 4)[:-3]:
                        txn.destroy("Note", id)
        except BaseException as error:
            failures.append(error)

    def sweep() -> None:
        try:
            while not done.is_set():
                with store.write("a1") as txn:
                    txn.connection.db.execute("UPDATE blob SET uploaded = 0 WHERE refs = 0")
                store.sweep("a1")
                store.verify("a1", repair=True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)] + [threading.Thread(target=sweep)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            target = tmp_path / f"copy{turn}" / "accounts" / "a1"
            target.parent.mkdir(parents=True)
            assert [file.problem for file in store.copy("a1", target) if file.problem] == []
            copy = opened(target)
            assert copy.verify("a1") == []
            copy.close()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
