"""Killed at any point: what was acknowledged is there, nothing is there by halves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from notes import Label, Note, note

from flaskmail.errors import OverQuota, StoreError
from flaskmail.store.sqlite import SqliteStore

SUPPORT = str(Path(__file__).resolve().parents[2] / "support")

WORKER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from notes import Label, Note, note
from flaskmail.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), [Note(), Label()])
n = int(sys.argv[3])
while True:
    n += 1
    large = os.urandom(200_000) if n % 5 == 0 else None
    uploaded = store.put_blob("a1", large, len(large)) if large else None
    with store.write("a1") as txn:
        blob = uploaded or txn.put_blob(b"%d" % n)
        first = note(txn, title=str(n), body="word " * 50, categories={"c1": True}, attachment=blob)
        note(txn, title=str(n), body="twin", categories={"c1": True}, attachment=blob)
        if n % 3 == 0:
            txn.update("Note", first, {"categories": {"c2": True}})
    print(n, flush=True)
    if n % 4 == 0:
        with store.write("a1") as txn:
            txn.destroy("Note", first)
        print(-n, flush=True)
"""


def test_kill_nine(store: SqliteStore, root: Path) -> None:
    rng = random.Random(5)
    acknowledged: set[int] = set()
    start = 0
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(root), SUPPORT, str(start)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged.add(int(process.stdout.readline()))
        time.sleep(rng.uniform(0.0, 0.15))
        process.kill()
        rest, _ = process.communicate()
        # The last line may be torn: it was not acknowledged then.
        acknowledged.update(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))
        start += 10_000
        with store.read("a1") as reader:
            titles = [int(record["title"]) for record in reader.get("Note", None, ["title"])]
        for n in acknowledged:
            if n > 0:
                least = 1 if -n in acknowledged else 1 if n % 4 == 0 else 2
                assert titles.count(n) >= least, n
            else:
                assert titles.count(-n) == 1
        assert store.verify("a1") == []
    assert len(acknowledged) >= 8
    assert all(finding.mended for finding in store.verify("a1", repair=True))
    assert store.verify("a1") == []


def test_an_exception_after_a_large_blob_leaves_only_a_file(store: SqliteStore) -> None:
    def fail() -> None:
        with store.write("a1") as txn:
            note(txn, attachment=txn.put_blob(b"x" * 300_000))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    with store.read("a1") as reader:
        assert reader.used() == 0
        assert reader.ids("Note") == []
    assert store.verify("a1") == []
    assert len(list(store.files("a1").all())) == 1
    assert [finding.mended for finding in store.verify("a1", repair=True)] == [True]
    assert list(store.files("a1").all()) == []


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "data", [Note(), Label()], keep_free=0)
    store.create_account("a1")
    kept: dict[str, bytes] = {}
    refused = 0
    rng = random.Random(1)
    for _ in range(400):
        data = os.urandom(rng.choice([1000, 60_000, 200_000]))
        try:
            blob = store.put_blob("a1", data, len(data))
            with store.write("a1") as txn:
                id = note(txn, attachment=blob, title=blob)
            kept[id] = data
        except StoreError:
            refused += 1
        if refused > 20:
            break
    assert refused > 20
    with store.read("a1") as reader:
        records = reader.get("Note", None, ["attachment"])
        assert {record["id"] for record in records} == set(kept)
        for record in records:
            assert reader.read_blob(record["attachment"]) == kept[record["id"]]
    assert store.verify("a1") == []
    store.close()


def test_a_nearly_full_disk_takes_nothing_in_but_lets_things_go(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "data", [Note(), Label()], keep_free=6 * 1024 * 1024)
    store.create_account("a1")
    ids: list[str] = []

    def fill() -> None:
        while True:
            with store.write("a1") as txn:
                ids.append(note(txn, attachment=txn.put_blob(os.urandom(100_000))))

    with pytest.raises(OverQuota):
        fill()
    with pytest.raises(OverQuota):
        store.put_blob("a1", b"x" * 200_000, 200_000)
    with pytest.raises(OverQuota):
        store.put_blob("a1", b"x", 1)
    for id in ids:
        with store.write("a1") as txn:
            txn.destroy("Note", id)
    with store.read("a1") as reader:
        assert reader.ids("Note") == []
    assert store.verify("a1") == []
    store.close()
