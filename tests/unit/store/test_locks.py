"""The writer's turn: in a row within a process, fair among processes, never for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest
from notes import Label, Note, note

from flaskmail.errors import AccountMissing, StoreError
from flaskmail.store.sqlite import SqliteStore
from flaskmail.store.sqlite.locks import Locks, Queue

SUPPORT = str(Path(__file__).resolve().parents[2] / "support")

WRITER = """
import sys, time
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from notes import Label, Note
from flaskmail.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), [Note(), Label()], lock_timeout=300)
name, total = sys.argv[2], int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
# All write until there are so many in all; then each says how many were its own.
while True:
    with store.write("a1") as txn:
        if sum(txn.tallies("writes", "by").values()) >= total:
            break
        txn.tally("writes", "by", name, 1)
store.close()
"""


def test_threads_get_their_turn_in_the_order_in_which_they_asked() -> None:
    queue, order = Queue(), []
    far = time.monotonic() + 60
    assert queue.acquire(far)
    threads = []
    for n in range(5):

        def work(n: int = n) -> None:
            assert queue.acquire(far)
            order.append(n)
            queue.release()

        thread = threading.Thread(target=work)
        thread.start()
        threads.append(thread)
        while len(queue._waiting) != n + 1:
            time.sleep(0.001)
    queue.release()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert queue.idle


def test_who_gives_up_leaves_the_row() -> None:
    queue = Queue()
    assert queue.acquire(time.monotonic())
    assert not queue.acquire(time.monotonic() + 0.01)
    queue.release()
    assert queue.idle
    assert queue.acquire(time.monotonic())


def test_a_turn_that_does_not_come(store: SqliteStore, root: Path) -> None:
    other = SqliteStore(root, [Note(), Label()], lock_timeout=0.05)
    with store.write("a1") as txn:
        note(txn)
        with pytest.raises(StoreError, match="no turn"), other.write("a1"):
            pass
        # The same within one process and one store.
        with pytest.raises(StoreError, match="no turn"), Locks().held(store.folder("a1"), 0.05):
            pass
    with other.write("a1") as txn:
        note(txn)
    other.close()


def test_somebody_who_does_not_queue(root: Path, store: SqliteStore) -> None:
    impatient = SqliteStore(root, [Note(), Label()], lock_timeout=0.1)
    stranger = apsw.Connection(str(root / "accounts/a1/mail.db"))
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="busy"), impatient.write("a1"):
        pass
    stranger.execute("ROLLBACK")
    stranger.close()
    with impatient.write("a1") as txn:
        note(txn)
    impatient.close()


def test_a_turn_that_comes_after_the_account_went(store: SqliteStore) -> None:
    locks = Locks()
    folder = store.folder("a1")
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            with locks.held(folder, 30):
                pass
        except AccountMissing as error:
            failures.append(error)

    with locks.held(folder, 1):
        thread = threading.Thread(target=wait)
        thread.start()
        while not locks.queue(str(folder))._waiting:
            time.sleep(0.001)
        (folder / "lock").unlink()
        (folder / "lock").touch()
        kept = (folder / "lock").stat().st_ino
    thread.join()
    # A new file of the name is a new lock: only a waiter on the old one is turned away.
    assert failures == []
    assert (folder / "lock").stat().st_ino == kept
    store.delete_account("a1")
    with pytest.raises(AccountMissing), locks.held(folder, 1):
        pass


def test_processes_get_fair_shares(store: SqliteStore, root: Path) -> None:
    names, total = ["p1", "p2", "p3"], 300
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), name, SUPPORT, str(total)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            process.communicate(timeout=300)
            assert process.returncode == 0
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()
    with store.read("a1") as reader:
        shares = reader.tallies("writes", "by")
    assert sum(shares.values()) == total
    assert set(shares) == set(names)
    # A busy timeout alone gives one process nearly everything.
    assert min(shares.values()) >= max(shares.values()) * 0.4
