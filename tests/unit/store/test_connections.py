"""Kept connections: their settings, their number, forks, and accounts that others delete."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import apsw
import pytest
from notes import Label, Note, note

from flaskmail.errors import AccountMissing, ConfigError, StoreError
from flaskmail.store.sqlite import SqliteStore
from flaskmail.store.sqlite.connections import require_sqlite


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.53.0", "3.7.0"])
def test_an_old_sqlite_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=version.replace(".", r"\.")):
        require_sqlite(version)


@pytest.mark.parametrize("version", ["3.53.1", "3.54.0", "4.0.0"])
def test_a_sound_sqlite_is_taken(version: str) -> None:
    require_sqlite(version)


def test_a_build_that_lacks_something_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "compile_options", ("ENABLE_FTS5", "THREADSAFE=1"))
    with pytest.raises(ConfigError, match="without ENABLE_CARRAY"):
        require_sqlite()


def test_settings_of_every_connection(store: SqliteStore) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 0, "trusted_schema": 0}
    wanted |= {"page_size": 4096, "journal_size_limit": 64 * 1024 * 1024}
    with store.read("a1") as reader:
        assert {name: reader.connection.db.pragma(name) for name in wanted} == wanted
    with store.write("a1") as txn:
        assert {name: txn.connection.db.pragma(name) for name in wanted} == wanted


def test_idle_connections_are_bounded(root: Path) -> None:
    store = SqliteStore(root, [Note(), Label()], connections=3)
    names = [f"a{n}" for n in range(8)]
    for name in names:
        store.create_account(name)
        with store.write(name) as txn:
            note(txn, title=name)
    assert store.pool._count == 3
    assert sum(map(len, store.pool._idle.values())) == 3
    for name in names:
        with store.read(name) as reader:
            assert [record["title"] for record in reader.get("Note", None, ["title"])] == [name]
    assert store.pool._count == 3
    store.close()
    assert store.pool._count == 0
    with pytest.raises(StoreError, match="closed"), store.read("a1"):
        pass


def test_threads_share_no_connection(store: SqliteStore) -> None:
    inside = threading.Barrier(4)
    seen: list[int] = []

    def look() -> None:
        with store.read("a1") as reader:
            inside.wait(60)
            seen.append(id(reader.connection))
            inside.wait(60)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_makes_its_own_connections(store: SqliteStore) -> None:
    with store.write("a1") as txn:
        note(txn, title="parent")
        txn.set_note("who", "parent")
    inherited = {id(c) for kept in store.pool._idle.values() for c in kept}
    assert inherited
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with store.write("a1") as txn:
                fresh = id(txn.connection) not in inherited
                txn.set_note("who", "child")
            code = 0 if fresh else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with store.write("a1") as txn:
        assert txn.note("who") == "child"
        note(txn, title="parent again")
    assert store.verify("a1") == []


def test_an_account_that_somebody_else_deletes(store: SqliteStore, root: Path) -> None:
    other = SqliteStore(root, [Note(), Label()])
    with store.write("a1") as txn:
        note(txn, title="old")
    other.delete_account("a1")
    with pytest.raises(AccountMissing), store.read("a1"):
        pass
    with pytest.raises(AccountMissing), store.write("a1"):
        pass
    other.create_account("a1")
    with store.read("a1") as reader:
        assert reader.ids("Note") == []
    with store.write("a1") as txn:
        note(txn, title="new")
    with other.read("a1") as reader:
        assert [record["title"] for record in reader.get("Note", None, ["title"])] == ["new"]
    other.close()


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a1", "a1/../a1", "a\0b", "x" * 256, "ä"])
def test_names_that_are_no_accounts(store: SqliteStore, name: str) -> None:
    with pytest.raises(AccountMissing), store.read(name):
        pass
    with pytest.raises(AccountMissing), store.write(name):
        pass
    with pytest.raises(AccountMissing):
        store.put_blob(name, b"x", 1)
    with pytest.raises(ValueError, match="Id"):
        store.create_account(name)
    store.delete_account(name)
    assert store.accounts() == ["a1"]


def test_nobody_else_may_look(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "data", [Note(), Label()])
        store.create_account("a1")
        store.put_blob("a1", b"x" * 200_000, 200_000)
        with store.write("a1") as txn:
            note(txn)
    finally:
        os.umask(former)
    for path in [tmp_path / "data" / "accounts", *(tmp_path / "data" / "accounts").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    store.close()


def test_a_tight_umask_does_not_lock_us_out(tmp_path: Path) -> None:
    former = os.umask(0o777)
    try:
        store = SqliteStore(tmp_path / "data", [Note(), Label()])
        store.create_account("a1")
        store.put_blob("a1", b"x" * 200_000, 200_000)
    finally:
        os.umask(former)
    assert stat.S_IMODE(store.folder("a1").stat().st_mode) == 0o700
    for path in store.folder("a1").rglob("*"):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    store.close()


def test_an_account_is_made_once(store: SqliteStore, root: Path) -> None:
    with store.write("a1") as txn:
        id = note(txn)
    store.create_account("a1")
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def make() -> None:
        try:
            barrier.wait(60)
            store.create_account("b1")
            with store.write("b1") as txn:
                note(txn)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.accounts() == ["a1", "b1"]
    assert sorted(entry.name for entry in (root / "accounts").iterdir()) == ["a1", "b1"]
    with store.read("b1") as reader:
        assert len(reader.ids("Note")) == 4
    with store.read("a1") as reader:
        assert reader.ids("Note") == [id]
