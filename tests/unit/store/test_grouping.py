"""Group commit: one commit for several writers, nobody's end before it, and nobody's failure but one's own."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest
from notes import Label, Note, note

from flaskmail.errors import FlaskmailError, OverQuota, StoreError
from flaskmail.jmap.conditions import And, HasMember, Matches, Query
from flaskmail.jmap.storage import Record, Store, Txn
from flaskmail.store.memory import MemoryStore
from flaskmail.store.sqlite import SqliteStore, grouping
from flaskmail.store.sqlite.writing import SqliteTxn

SUPPORT = str(Path(__file__).resolve().parents[2] / "support")

Work = Callable[[SqliteTxn], None]


class Stop(Exception):
    pass


def waiting(store: SqliteStore) -> int:
    """How many threads wait for the account."""
    return len(store.locks.queue(str(store.folder("a1")))._waiting)


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that another thread brings about."""
    for _ in range(60_000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it did not happen")


def together(store: SqliteStore, works: Sequence[Work], alone: Sequence[int] = ()) -> list[BaseException | None]:
    """Runs the works in this order, each in a thread and a transaction of its own, the first of which ends when all others
    wait for their turn. Answers how each ended."""
    ended: list[BaseException | None] = [None] * len(works)
    asked = threading.Event()

    def run(number: int) -> None:
        try:
            with store.write("a1", alone=number in alone) as txn:
                if number == 0:
                    assert asked.wait(60)
                works[number](txn)
        except BaseException as error:
            ended[number] = error

    threads = []
    for number in range(len(works)):
        thread = threading.Thread(target=run, args=(number,))
        thread.start()
        threads.append(thread)
        until(lambda number=number: not store.locks.queue(str(store.folder("a1"))).idle and waiting(store) == number)
    asked.set()
    for thread in threads:
        thread.join()
    return ended


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many members each group had, noted when it ends."""
    monkeypatch.setattr(grouping, "LONGEST", 60.0)
    found: list[int] = []
    end = grouping.Group._end

    def noted(group: grouping.Group) -> None:
        found.append(group._members)
        end(group)

    monkeypatch.setattr(grouping.Group, "_end", noted)
    return found


def write_note(title: str, **props: object) -> Work:
    def work(txn: SqliteTxn) -> None:
        note(txn, title=title, body=f"word {title}", **props)
        txn.tally("t", "k", "m", 1)

    return work


def fail(txn: SqliteTxn) -> None:
    note(txn, title="never", categories={"c": True})
    txn.tally("t", "k", "m", 100)
    txn.put_blob(b"never")
    raise Stop


def titles(store: Store) -> list[str]:
    with store.read("a1") as reader:
        return [record["title"] for record in reader.get("Note", None, ["title"])]


def test_those_who_wait_share_one_commit(store: SqliteStore, ends: list[int]) -> None:
    assert together(store, [write_note(str(n)) for n in range(6)]) == [None] * 6
    assert ends == [6]
    assert titles(store) == [str(n) for n in range(6)]
    assert store.verify("a1") == []


def test_a_failure_is_ones_own(store: SqliteStore, ends: list[int]) -> None:
    works = [write_note("0"), fail, write_note("2"), fail, write_note("4"), fail]
    ended = together(store, works)
    assert [type(error) for error in ended] == [type(None), Stop, type(None), Stop, type(None), Stop]
    assert ends == [6]
    assert titles(store) == ["0", "2", "4"]
    with store.read("a1") as reader:
        assert reader.tallies("t", "k") == {"m": 3}
        assert reader.count_members("Note", "categories", "c") == 0
        assert reader.used() == 0
    assert store.verify("a1") == []


def test_when_the_first_fails_the_others_begin_anew(store: SqliteStore, ends: list[int]) -> None:
    ended = together(store, [fail, write_note("1"), write_note("2")])
    assert [type(error) for error in ended] == [Stop, type(None), type(None)]
    assert ends == [1, 2]
    assert titles(store) == ["1", "2"]
    assert store.verify("a1") == []


def test_nobody_ends_before_the_commit(store: SqliteStore, ends: list[int]) -> None:
    inside, go, over = threading.Event(), threading.Event(), threading.Event()

    def linger(txn: SqliteTxn) -> None:
        inside.set()
        assert go.wait(60)
        note(txn, title="2")

    def first() -> None:
        together(store, [write_note("1"), linger])
        over.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(60)
    # The first member is through, and its thread waits.
    assert not over.is_set()
    assert titles(store) == []
    assert ends == []
    go.set()
    thread.join()
    assert titles(store) == ["1", "2"]


def test_a_commit_that_does_not_come(store: SqliteStore, ends: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "PATIENCE", 0.05)
    told = threading.Event()

    def first(txn: SqliteTxn) -> None:
        note(txn, title="1")
        monkeypatch.setattr(grouping.Group, "_went_on", noting)

    def noting(group: grouping.Group, wait: bool) -> bool:
        try:
            return went_on(group, wait)
        except StoreError:
            told.set()
            raise

    def hang(txn: SqliteTxn) -> None:
        assert told.wait(60)
        note(txn, title="2")

    went_on = grouping.Group._went_on
    ended = together(store, [first, hang])
    assert [type(error) for error in ended] == [StoreError, type(None)]
    assert "not known" in str(ended[0])
    assert titles(store) == ["1", "2"]


def test_a_commit_that_fails_fails_for_everybody(store: SqliteStore, ends: list[int]) -> None:
    def spoil(txn: SqliteTxn) -> None:
        note(txn, title="2")
        txn.connection.db.set_commit_hook(lambda: True)

    ended = together(store, [write_note("0"), write_note("1"), spoil, fail])
    assert [type(error) for error in ended] == [StoreError, StoreError, StoreError, Stop]
    assert len({id(error) for error in ended}) == 4
    assert titles(store) == []
    with store.write("a1") as txn:
        note(txn, title="after")
    assert titles(store) == ["after"]
    assert store.verify("a1") == []


def test_a_disk_that_fails_fails_the_group(store: SqliteStore, ends: list[int]) -> None:
    def broken(txn: SqliteTxn) -> None:
        note(txn, title="1")
        raise apsw.FullError("as SQLite says it")

    ended = together(store, [write_note("0"), broken, write_note("2")])
    assert [type(error) for error in ended] == [StoreError, StoreError, type(None)]
    assert "disk is full" in str(ended[0])
    assert ends == [2, 1]
    assert titles(store) == ["2"]
    assert store.verify("a1") == []


def test_a_transaction_that_sqlite_took_back(store: SqliteStore, ends: list[int]) -> None:
    def gone(txn: SqliteTxn) -> None:
        txn.connection.db.execute("ROLLBACK")
        raise Stop

    ended = together(store, [write_note("0"), gone, write_note("2")])
    assert [type(error) for error in ended] == [StoreError, Stop, type(None)]
    assert titles(store) == ["2"]
    assert store.verify("a1") == []


def test_who_goes_alone(store: SqliteStore, ends: list[int]) -> None:
    assert together(store, [write_note(str(n)) for n in range(5)], alone=[2]) == [None] * 5
    assert ends == [2, 1, 2]


def test_a_group_has_an_end(store: SqliteStore, ends: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MEMBERS", 3)
    together(store, [write_note(str(n)) for n in range(7)])
    assert ends == [3, 3, 1]
    monkeypatch.setattr(grouping, "LONGEST", 0.0)
    together(store, [write_note(str(n)) for n in range(3)])
    assert ends == [3, 3, 1, 1, 1, 1]


def test_members_see_what_those_before_them_kept_back(store: SqliteStore, ends: list[int]) -> None:
    ids: list[str] = []
    seen: list[object] = []

    def first(txn: SqliteTxn) -> None:
        ids.extend(note(txn, title=f"t{n}", body="red house", categories={"c": True}) for n in range(3))

    def second(txn: SqliteTxn) -> None:
        txn.destroy("Note", ids[0])
        txn.update("Note", ids[1], {"categories": {"d": True}})
        seen.append((txn.count_members("Note", "categories", "c"), txn.state("Note")))
        raise Stop

    def third(txn: SqliteTxn) -> None:
        seen.append((txn.count_members("Note", "categories", "c"), txn.state("Note")))
        # To look for words, what was kept back is written; and taken back with everything else.
        query = Query(And((Matches((), "house"), HasMember("categories", "c"))), total=True)
        seen.append(txn.query("Note", query).total)
        txn.destroy("Note", ids[2])
        raise Stop

    def fourth(txn: SqliteTxn) -> None:
        txn.destroy("Note", ids[2])
        # In the place of the one that is gone.
        ids.append(note(txn, title="new", body="blue house"))
        seen.append(txn.state("Note"))

    ended = together(store, [first, second, third, fourth])
    assert [type(error) for error in ended] == [type(None), Stop, Stop, type(None)]
    assert ends == [4]
    assert seen == [(1, 5), (3, 3), 3, 5]
    assert store.verify("a1") == []
    with store.read("a1") as reader:
        assert reader.query("Note", Query(Matches((), "red"), total=True)).total == 2
        assert reader.query("Note", Query(Matches((), "blue"))).ids == [ids[3]]
        assert reader.changes("Note", 0, None).created == [ids[0], ids[1], ids[3]]


def test_uploads_share_commits(store: SqliteStore, ends: list[int]) -> None:
    sizes = [10, 10, 300_000, 127, 5]
    blobs: dict[int, str] = {}
    refused: list[BaseException] = []

    def upload(number: int) -> None:
        try:
            blobs[number] = store.put_blob("a1", bytes([number]) * sizes[number], sizes[number], quota=300_020)
        except OverQuota as error:
            refused.append(error)

    with store.write("a1") as txn:
        note(txn)
        threads = []
        for number in range(len(sizes)):
            thread = threading.Thread(target=upload, args=(number,))
            thread.start()
            threads.append(thread)
            until(lambda number=number: waiting(store) == number + 1)
    for thread in threads:
        thread.join()
    assert ends == [6]
    assert len(refused) == 2
    with store.read("a1") as reader:
        assert reader.used() == 300_020
        assert {number: reader.read_blob(blob)[0] for number, blob in blobs.items()} == {0: 0, 1: 1, 2: 2}
    assert store.verify("a1") == []


# ---- against the memory store


def random_work(rng: random.Random, known: list[str]) -> list[tuple[str, object]]:
    """What one transaction does; ids are made up by the caller, so that two stores can do the same."""
    steps: list[tuple[str, object]] = []
    for _ in range(rng.randrange(1, 6)):
        what = rng.choice(["create", "create", "update", "update", "destroy", "tally", "link", "note", "blob", "flush"])
        props = {
            "title": rng.choice(["a", "b", "red house"]),
            "body": rng.choice(["", "red", "house"]),
            "categories": dict.fromkeys(rng.sample("xyz", rng.randrange(3)), True),
        }
        if what == "create":
            known.append(f"n{len(known)}x{rng.getrandbits(40)}")
            steps.append((what, (known[-1], props, f"t{rng.randrange(3)}")))
        elif what in ("update", "destroy"):
            if known:
                steps.append((what, (rng.choice(known), props)))
        else:
            steps.append((what, rng.randrange(3)))
    return steps


def perform(txn: Txn, steps: Sequence[tuple[str, object]]) -> None:
    for what, value in steps:
        if what == "create":
            id, props, topic = value  # type: ignore[misc]
            record: Record = {"priority": None, "done": False, "views": 0, "attachment": None, "secret": "", "code": ""}
            record |= {"id": id, "createdAt": "2024-01-01T00:00:00Z", "topic": topic, **props}
            txn.create("Note", record, {"title": props["title"], "body": props["body"]})
        elif what in ("update", "destroy"):
            id, props = value  # type: ignore[misc]
            if txn.existing("Note", [id]):
                if what == "update":
                    txn.update("Note", id, {"categories": props["categories"], "title": props["title"]})
                else:
                    txn.destroy("Note", id)
        elif what == "tally":
            txn.tally("t", "k", f"m{value}", 1)
        elif what == "link":
            txn.link("l", [f"k{value}"], f"v{value}")
        elif what == "note":
            txn.set_note("n", str(value))
        elif what == "blob":
            txn.put_blob(b"octets" * int(str(value)))
        else:
            assert txn.query("Note", Query(Matches((), "red"), total=True)).total is not None


def told(store: Store) -> object:
    """Everything that can be asked of the account."""
    with store.read("a1") as reader:
        names = [name for name, prop in Note.props.items() if not prop.computed]
        return (
            reader.state("Note"),
            {record["id"]: record for record in reader.get("Note", None, names)},
            [reader.count_members("Note", "categories", member) for member in "xyz"],
            [sorted(reader.members("Note", "categories", member)) for member in "xyz"],
            [sorted(reader.query("Note", Query(Matches((), word))).ids) for word in ("red", "house", "a")],
            reader.query("Note", Query(HasMember("categories", "x"), collapse=True, total=True)).total,
            reader.tallies("t", "k"),
            reader.linked("l", ["k0", "k1", "k2"]),
            reader.note("n"),
            reader.used(),
            reader.changes("Note", 0, None),
            reader.changes("Note", reader.state("Note") // 2, None),
        )


@pytest.mark.parametrize("seed", range(12))
def test_members_that_fail_leave_nothing(store: SqliteStore, ends: list[int], seed: int) -> None:
    rng = random.Random(seed)
    oracle = MemoryStore([Note(), Label()])
    oracle.create_account("a1")
    known: list[str] = []
    for _ in range(4):
        scripts = [(random_work(rng, known), rng.random() < 0.4) for _ in range(6)]

        def member(steps: Sequence[tuple[str, object]], fails: bool) -> Work:
            def work(txn: SqliteTxn) -> None:
                perform(txn, steps)
                if fails:
                    raise Stop

            return work

        ended = together(store, [member(*script) for script in scripts])
        for (steps, fails), error in zip(scripts, ended, strict=True):
            assert isinstance(error, Stop) if fails else error is None
            if not fails:
                with oracle.write("a1") as txn:
                    perform(txn, steps)
        assert told(store) == told(oracle)
    assert store.verify("a1") == []
    assert max(ends) >= 3


# ---- many threads, several processes

WORKER = """
import os, random, sys, threading
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from notes import Label, Note, note
from flaskmail.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), [Note(), Label()], lock_timeout=300)
name, total = sys.argv[3], int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
saying = threading.Lock()

class Stop(Exception):
    pass

def work(number):
    rng = random.Random(f"{name}-{number}")
    n, over = 0, False
    while not over:
        n += 1
        title = f"{name}-{number}-{n}"
        try:
            size = rng.choice((10, 1000, 200_000 if n % 10 == 0 else 20))
            blob = store.put_blob("a1", title.encode() * (size // len(title) + 1), size // len(title) * len(title) + len(title))
            with store.write("a1") as txn:
                done = sum(txn.tallies("writes", "by").values())
                over = 0 < total <= done
                if over:
                    break
                first = note(txn, title=title, body="word " * 20, categories={"c1": True}, attachment=blob)
                note(txn, title=title, body="twin", categories={"c1": True})
                if n % 3 == 0:
                    txn.update("Note", first, {"categories": {"c2": True}})
                txn.tally("writes", "by", name, 1)
                if rng.random() < 0.2:
                    raise Stop
        except Stop:
            continue
        with saying:
            os.write(1, (title + "\\n").encode())

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
store.close()
"""


def start(root: Path, name: str, total: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), SUPPORT, name, str(total)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_threads_and_processes_with_failures(store: SqliteStore, root: Path) -> None:
    total = 240
    running = [start(root, name, total) for name in ("p1", "p2", "p3")]
    said: list[str] = []
    try:
        for process in running:
            go(process)
        for process in running:
            said += process.communicate(timeout=300)[0].split()
            assert process.returncode == 0
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()
    with store.read("a1") as reader:
        shares = reader.tallies("writes", "by")
        assert Counter(record["title"] for record in reader.get("Note", None, ["title"])) == Counter(said * 2)
    assert sum(shares.values()) == len(said) == total
    # Groups take turns as single writers do.
    assert min(shares.values()) >= max(shares.values()) * 0.4
    assert store.verify("a1") == []


def test_kill_nine_in_the_middle_of_groups(store: SqliteStore, root: Path) -> None:
    rng = random.Random(3)
    acknowledged: set[str] = set()
    for round in range(6):
        process = start(root, f"k{round}", 0)
        go(process)
        assert process.stdout is not None
        # So many of them however slow the machine is; then at any point of what comes next.
        first = "".join(process.stdout.readline() for _ in range(rng.randint(5, 20)))
        time.sleep(rng.uniform(0.0, 0.05))
        process.kill()
        rest, _ = process.communicate()
        acknowledged.update(line.strip() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n"))
        counted = Counter(titles(store))
        assert {title: counted[title] for title in acknowledged} == dict.fromkeys(acknowledged, 2)
        # What was not acknowledged is there as a whole, or not at all.
        assert set(counted.values()) == {2}
        assert store.verify("a1") == []
    assert len(acknowledged) >= 30


def test_errors_are_ours(store: SqliteStore, ends: list[int]) -> None:
    """What the members of a group get is part of the tree of errors."""

    def late(txn: SqliteTxn) -> None:
        txn.connection.db.set_commit_hook(lambda: True)

    ended = together(store, [write_note("0"), late])
    assert all(isinstance(error, FlaskmailError) for error in ended)
