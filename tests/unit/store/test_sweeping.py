"""What nobody refers to goes, and never anything else."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest
from notes import note

from flaskmail.errors import AccountMissing, OverQuota, StoreError
from flaskmail.store.sqlite import SqliteStore
from flaskmail.store.sqlite.sweeping import sweep_files
from flaskmail.upkeep import purge_blobs

DAY = 24 * 3600


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)


@pytest.fixture
def blobs(store: SqliteStore) -> list[str]:
    made = [store.put_blob("a1", octets, len(octets)) for octets in (b"small", b"L" * 200_000, b"kept", b"K" * 200_000)]
    with store.write("a1") as txn:
        for blob in made[2:]:
            note(txn, attachment=blob)
    return made


def held(store: SqliteStore, blobs: list[str]) -> list[bool]:
    with store.read("a1") as reader:
        return [reader.blob(blob) is not None for blob in blobs]


def test_unreferenced_blobs_go_after_a_day(
    store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.sweep("a1") == 0
    later(monkeypatch, DAY + 60)
    assert store.sweep("a1") == 2
    assert held(store, blobs) == [False, False, True, True]
    assert len(list(store.files("a1").all())) == 1
    with store.read("a1") as reader:
        assert reader.used() == 200_004
        assert reader.read_blob(blobs[3]) == b"K" * 200_000
    assert store.verify("a1") == []


def test_a_file_is_never_removed_on_the_word_of_what_is_not_durable_yet(
    store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another member of a group removed comes back when the commit fails: files go in a transaction of their own."""
    files, alone = store.files("a1"), []
    present, write = len(list(files.all())), store.write

    def noted(account_id: str, **more: bool) -> object:
        before = len(list(files.all()))

        class Noted:
            def __enter__(self) -> object:
                self.inner = write(account_id, **more)
                return self.inner.__enter__()

            def __exit__(self, *error: object) -> None:
                if len(list(files.all())) < before:
                    alone.append(more.get("alone", False))
                self.inner.__exit__(*error)  # type: ignore[arg-type]

        return Noted()

    monkeypatch.setattr(store, "write", noted)
    later(monkeypatch, DAY + 60)
    store.sweep("a1")
    assert len(list(files.all())) == present - 1
    assert alone == [True]


def test_never_younger_than_an_hour(store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.sweep("a1", 0) == 0
    later(monkeypatch, 3500)
    assert store.sweep("a1", 0) == 0
    later(monkeypatch, 200)
    assert store.sweep("a1", 0) == 2


def test_an_upload_again_makes_it_young(store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, DAY + 60)
    assert store.put_blob("a1", b"small", 5) == blobs[0]
    assert store.put_blob("a1", io.BytesIO(b"L" * 200_000), 200_000) == blobs[1]
    assert store.sweep("a1") == 0
    assert held(store, blobs) == [True] * 4


def test_what_a_record_gave_up_goes_too(store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write("a1") as txn:
        for id in txn.ids("Note"):
            txn.destroy("Note", id)
    later(monkeypatch, DAY + 60)
    assert store.sweep("a1") == 4
    assert list(store.files("a1").all()) == []
    assert store.verify("a1") == []


def test_files_that_belong_to_nobody(store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = store.files("a1")
    orphan = files.path(b"\x01" * 32)
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"orphan")
    unfinished = files.folder / "incoming" / "half"
    unfinished.write_bytes(b"half")
    store.sweep("a1")
    assert orphan.exists()
    assert unfinished.exists()
    later(monkeypatch, DAY + 60)
    store.sweep("a1")
    assert not orphan.exists()
    assert not unfinished.exists()
    assert len(list(files.all())) == 1


def test_uploads_beside_sweeps_are_never_lost(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything looks old to the sweeper, but for what is uploaded right now.
    octets = os.urandom(150_000)
    done = threading.Event()
    failures: list[BaseException] = []

    def clean() -> None:
        try:
            while not done.is_set():
                with store.write("a1") as txn:
                    txn.connection.db.execute("UPDATE blob SET uploaded = 0 WHERE refs = 0")
                store.sweep("a1")
        except BaseException as error:
            failures.append(error)

    monkeypatch.setattr(
        "flaskmail.store.sqlite.sweeping._age", lambda path: 10.0 * DAY if path.parent.name != "incoming" else 0
    )
    sweeper = threading.Thread(target=clean)
    sweeper.start()
    try:
        for _ in range(30):
            blob = store.put_blob("a1", octets, len(octets))
            with store.read("a1") as reader:
                if reader.blob(blob) is not None:
                    # The file may go right after a newer snapshot lost the row; never while the row is there.
                    with store.write("a1") as txn:
                        if txn.blob(blob) is not None:
                            assert txn.read_blob(blob) == octets
    finally:
        done.set()
        sweeper.join()
    assert failures == []
    assert store.verify("a1") == []


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("told", [-1, 1])
def test_an_upload_of_another_size_than_told(store: SqliteStore, size: int, told: int) -> None:
    with pytest.raises(StoreError, match="octets"):
        store.put_blob("a1", io.BytesIO(b"x" * size), size + told)
    with store.read("a1") as reader:
        assert reader.used() == 0
    assert store.files("a1").temporary() == []
    assert list(store.files("a1").all()) == []


def test_a_large_upload_over_quota_leaves_nothing(store: SqliteStore) -> None:
    store.put_blob("a1", b"x" * 100, 100)
    with pytest.raises(OverQuota):
        store.put_blob("a1", b"y" * 200_000, 200_000, quota=200_050)
    assert store.files("a1").temporary() == []
    assert list(store.files("a1").all()) == []
    blob = store.put_blob("a1", b"y" * 200_000, 200_000, quota=200_100)
    # What is there already costs nothing.
    assert store.put_blob("a1", b"y" * 200_000, 200_000, quota=200_100) == blob


def test_the_folder_of_blobs_cannot_be_written(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("flaskmail.store.sqlite.blobs.os.fdatasync", refuse)
    with pytest.raises(StoreError, match="Read-only"):
        store.put_blob("a1", b"x" * 200_000, 200_000)
    assert store.files("a1").temporary() == []
    monkeypatch.undo()
    monkeypatch.setattr("flaskmail.store.sqlite.blobs.os.fsync", refuse)
    with pytest.raises(StoreError, match="Read-only"):
        store.put_blob("a1", b"x" * 200_000, 200_000)
    with store.read("a1") as reader:
        assert reader.used() == 0
    monkeypatch.undo()
    assert store.put_blob("a1", b"x" * 200_000, 200_000)
    assert store.verify("a1") == []


def test_a_record_cannot_refer_to_what_is_not_there(store: SqliteStore) -> None:
    def fail(known: str) -> None:
        with store.write("a1") as txn:
            with pytest.raises(KeyError, match="gmissing"):
                note(txn, attachment="gmissing")
            id = note(txn, attachment=known)
            with pytest.raises(KeyError, match="gmissing"):
                txn.update("Note", id, {"attachment": "gmissing"})

    fail(store.put_blob("a1", b"x", 1))
    with store.read("a1") as reader:
        assert len(reader.ids("Note")) == 1
    assert store.verify("a1") == []


def test_paths_are_those_of_the_hash(store: SqliteStore) -> None:
    blob = store.put_blob("a1", b"z" * 200_000, 200_000)
    with store.read("a1") as reader:
        info = reader.blob(blob)
    assert info is not None
    assert isinstance(info.path, Path)
    assert info.path.parent.parent.parent == store.folder("a1") / "blobs"
    assert info.path.name[:4] == info.path.parent.parent.name + info.path.parent.name


@pytest.mark.parametrize("size", [50_000, 150_000])
def test_an_upload_over_quota_takes_the_room_of_what_nobody_refers_to(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    kept = store.put_blob("a1", b"k" * size, size)
    with store.write("a1") as txn:
        note(txn, attachment=kept)
    old = store.put_blob("a1", b"o" * size, size)
    quota = 2 * size + 100
    with pytest.raises(OverQuota):
        store.put_blob("a1", b"n" * size, size, quota=quota)
    later(monkeypatch, 3700)
    new = store.put_blob("a1", b"n" * size, size, quota=quota)
    with store.read("a1") as reader:
        assert reader.blob(old) is None
        assert reader.blob(kept) is not None
        assert reader.read_blob(new) == b"n" * size
        assert reader.used() == 2 * size
    with pytest.raises(OverQuota):
        store.put_blob("a1", b"m" * size, size, quota=quota)
    assert store.verify("a1") == []


def test_an_account_that_was_deleted_meanwhile_is_no_failure(store: SqliteStore, blobs: list[str]) -> None:
    store.create_account("gone")
    store.delete_account("gone")
    # Its rows were looked at before that, its files are after it.
    with pytest.raises(AccountMissing):
        sweep_files(store, "gone", 0)
    assert purge_blobs(store, [("gone", "gone@example.org"), ("a1", "ann@example.org")]) == (0, [])


def test_a_snapshot_that_knows_of_a_blob_finds_its_file(
    store: SqliteStore, blobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, DAY + 60)
    with store.read("a1") as reader:
        assert reader.blob(blobs[1]) is not None
        assert store.sweep("a1") == 2
        assert reader.read_blob(blobs[1]) == b"L" * 200_000
    assert len(list(store.files("a1").all())) == 2
    store.sweep("a1")
    assert len(list(store.files("a1").all())) == 1
    assert store.verify("a1") == []
