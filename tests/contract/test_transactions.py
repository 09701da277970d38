"""Snapshots, rollback, gathering, turns of writers."""

from __future__ import annotations

import threading

import pytest
from notes import note

from flaskmail.jmap.storage import Store, Txn

A = "a1"


class Stop(Exception):
    pass


def test_a_rollback_takes_everything_back(store: Store) -> None:
    with store.write(A) as txn:
        kept = note(txn, title="kept", categories={"c": True})
        txn.tally("t", "k", "m", 1)
        txn.set_note("n", "1")
        txn.link("l", ["a"], "1")
    blob = ""

    def fail() -> None:
        nonlocal blob
        with store.write(A) as txn:
            txn.destroy("Note", kept)
            note(txn, title="new", categories={"c": True})
            txn.tally("t", "k", "m", 5)
            txn.set_note("n", "2")
            txn.link("l", ["b"], "1")
            txn.unlink("l", "1")
            blob = txn.put_blob(b"octets")
            raise Stop

    with pytest.raises(Stop):
        fail()
    with store.read(A) as reader:
        assert reader.ids("Note") == [kept]
        assert reader.members("Note", "categories", "c") == [kept]
        assert reader.count_members("Note", "categories", "c") == 1
        assert reader.tallies("t", "k") == {"m": 1}
        assert reader.note("n") == "1"
        assert reader.linked("l", ["a", "b"]) == {"a": "1"}
        assert reader.blob(blob) is None
        assert reader.used() == 0
    assert store.verify(A) == []
    with store.write(A) as txn:
        note(txn)


def test_a_reader_sees_one_state(store: Store) -> None:
    with store.write(A) as txn:
        old = note(txn, title="old")
    with store.read(A) as reader:
        before = reader.state("Note")
        assert reader.ids("Note") == [old]
        with store.write(A) as txn:
            txn.update("Note", old, {"title": "new"})
            note(txn)
        assert reader.state("Note") == before
        assert reader.ids("Note") == [old]
        assert reader.get("Note", [old], ["title"])[0]["title"] == "old"
    with store.read(A) as reader:
        assert reader.state("Note") > before
        assert len(reader.ids("Note")) == 2


def test_what_is_not_committed_is_not_seen(store: Store) -> None:
    with store.write(A) as txn:
        note(txn)
        with store.read(A) as reader:
            assert reader.ids("Note") == []
        assert len(txn.ids("Note")) == 1


class Counts:
    """Gathers how many notes a topic got, and writes them once."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.settled = 0

    def settle(self, txn: Txn) -> None:
        self.settled += 1
        for topic, count in self.counts.items():
            txn.tally("topics", "all", topic, count)
        self.counts.clear()


def test_what_is_gathered_is_written_before_the_commit(store: Store) -> None:
    with store.write(A) as txn:
        for topic in "xxy":
            counts = txn.gather("counts", Counts).counts
            counts[topic] = counts.get(topic, 0) + 1
        assert txn.gather("counts", Counts) is txn.gather("counts", Counts)
        assert txn.tallies("topics", "all") == {}
        txn.settle()
        assert txn.tallies("topics", "all") == {"x": 2, "y": 1}
        txn.gather("counts", Counts).counts["z"] = 1
    with store.read(A) as reader:
        assert reader.tallies("topics", "all") == {"x": 2, "y": 1, "z": 1}


def test_what_is_gathered_is_forgotten_with_a_rollback(store: Store) -> None:
    def fail() -> None:
        with store.write(A) as txn:
            txn.gather("counts", Counts).counts["x"] = 1
            raise Stop

    with pytest.raises(Stop):
        fail()
    with store.write(A) as txn:
        assert txn.gather("counts", Counts).counts == {}
    with store.read(A) as reader:
        assert reader.tallies("topics", "all") == {}


def test_writers_take_turns(store: Store) -> None:
    threads, rounds = 4, 10
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(rounds):
                with store.write(A) as txn:
                    seen = int(txn.note("count") or 0)
                    note(txn, title=str(seen))
                    txn.set_note("count", str(seen + 1))
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failures == []
    with store.read(A) as reader:
        assert reader.note("count") == str(threads * rounds)
        titles = [record["title"] for record in reader.get("Note", None, ["title"])]
        assert titles == [str(n) for n in range(threads * rounds)]
    assert store.verify(A) == []


def test_readers_beside_a_writer_see_whole_transactions(store: Store) -> None:
    done = threading.Event()
    torn: list[object] = []

    def look() -> None:
        while not done.is_set():
            with store.read(A) as reader:
                count = int(reader.note("count") or 0)
                if len(reader.ids("Note")) != count or reader.tallies("t", "k").get("m", 0) != count:
                    torn.append(count)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for n in range(30):
        with store.write(A) as txn:
            note(txn)
            txn.tally("t", "k", "m", 1)
            txn.set_note("count", str(n + 1))
    done.set()
    for thread in looking:
        thread.join()
    assert torn == []
