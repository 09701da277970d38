"""State, changes and touched: what a client's copy is kept right by."""

from __future__ import annotations

from notes import note

from flaskmail.jmap.storage import Changes, Store

A = "a1"


def changes(store: Store, since: int, limit: int | None = None) -> Changes:
    with store.read(A) as reader:
        return reader.changes("Note", since, limit)


def state(store: Store, kind: str = "Note") -> int:
    with store.read(A) as reader:
        return reader.state(kind)


def test_every_change_moves_the_state_of_its_type_only(store: Store) -> None:
    seen = [state(store)]
    with store.write(A) as txn:
        id = note(txn)
        seen.append(txn.state("Note"))
        txn.update("Note", id, {"title": "x"})
        seen.append(txn.state("Note"))
        txn.touch("Note", id)
        seen.append(txn.state("Note"))
        txn.destroy("Note", id)
        seen.append(txn.state("Note"))
    assert seen == sorted(set(seen))
    assert state(store) == seen[-1]
    assert state(store, "Label") == 0
    with store.write(A) as txn:
        txn.create("Label", {"id": txn.new_id("Label"), "name": "x"})
    assert state(store) == seen[-1]
    assert state(store, "Label") > seen[-1]


def test_reading_moves_nothing(store: Store) -> None:
    with store.write(A) as txn:
        note(txn)
    before = state(store)
    with store.write(A) as txn:
        txn.ids("Note")
    assert state(store) == before
    assert changes(store, before) == Changes([], [], [], before, False, False)


def test_created_updated_destroyed(store: Store) -> None:
    with store.write(A) as txn:
        kept, gone, same = note(txn), note(txn), note(txn)
    since = state(store)
    with store.write(A) as txn:
        new = note(txn)
        txn.update("Note", kept, {"title": "x"})
        txn.destroy("Note", gone)
        brief = note(txn)
        txn.update("Note", brief, {"title": "x"})
        txn.destroy("Note", brief)
        txn.update("Note", new, {"title": "y"})
    assert changes(store, since) == Changes([new], [kept], [gone], state(store), False, False)
    everything = changes(store, 0)
    assert everything.created == [kept, same, new]
    assert (everything.updated, everything.destroyed) == ([], [])


def test_a_cut_tells_a_true_intermediate_state(store: Store) -> None:
    with store.write(A) as txn:
        one, two, three = note(txn), note(txn), note(txn)
    since = state(store)
    with store.write(A) as txn:
        new = note(txn)
        txn.update("Note", two, {"title": "x"})
        txn.destroy("Note", three)
        txn.update("Note", one, {"title": "x"})
        txn.update("Note", new, {"title": "late"})
    told: list[tuple[list[str], list[str], list[str]]] = []
    for _ in range(10):
        got = changes(store, since, 1)
        told.append((got.created, got.updated, got.destroyed))
        assert got.until > since
        since = got.until
        if not got.more:
            break
    # The new record counts where it was created; that it changed afterwards is told once that is behind.
    assert told == [([new], [], []), ([], [two], []), ([], [], [three]), ([], [one], []), ([], [new], [])]
    assert since == state(store)


def test_a_limit_that_is_just_enough_cuts_nothing(store: Store) -> None:
    with store.write(A) as txn:
        ids = [note(txn) for _ in range(3)]
    assert changes(store, 0, 3) == Changes(ids, [], [], state(store), False, False)
    cut = changes(store, 0, 2)
    assert cut.created == ids[:2]
    assert cut.more
    assert cut.until < state(store)


def test_what_came_and_went_after_a_cut_is_told_as_destroyed(store: Store) -> None:
    with store.write(A) as txn:
        one = note(txn)
        note(txn)
    cut = changes(store, 0, 1)
    assert cut.created == [one]
    with store.write(A) as txn:
        txn.destroy("Note", one)
    assert changes(store, cut.until).destroyed == [one]
    assert one not in changes(store, 0).created
    assert changes(store, 0).destroyed == []


def test_counters(store: Store) -> None:
    with store.write(A) as txn:
        one, two = note(txn), note(txn)
    since = state(store)
    assert not changes(store, since).only_counters
    with store.write(A) as txn:
        txn.update("Note", one, {"views": 1})
    assert changes(store, since).only_counters
    assert changes(store, since).updated == [one]
    with store.write(A) as txn:
        txn.update("Note", two, {"views": 1, "title": "proper"})
    assert not changes(store, since).only_counters
    after = state(store)
    with store.write(A) as txn:
        txn.update("Note", two, {"views": 2})
    assert changes(store, after).only_counters
    assert not changes(store, since).only_counters
    after = state(store)
    with store.write(A) as txn:
        txn.touch("Note", one)
    assert not changes(store, after).only_counters


def test_counters_with_creations(store: Store) -> None:
    with store.write(A) as txn:
        one = note(txn)
    since = state(store)
    with store.write(A) as txn:
        note(txn)
    assert not changes(store, since).only_counters
    with store.write(A) as txn:
        txn.update("Note", one, {"views": 1})
    assert changes(store, since).only_counters


def test_touched(store: Store) -> None:
    with store.write(A) as txn:
        quiet, mate, other = note(txn, topic="x"), note(txn, topic="y"), note(txn, topic="y")
        gone = note(txn, topic="z")
        neighbour = note(txn, topic="z")
    since = state(store)
    with store.write(A) as txn:
        txn.update("Note", mate, {"title": "x"})
        txn.destroy("Note", gone)
        brief = note(txn, topic="q")
        txn.destroy("Note", brief)
    with store.read(A) as reader:
        alone = reader.touched("Note", since, None, group=False)
        assert alone is not None
        assert len(alone) == len(set(alone))
        assert set(alone) - {brief} == {mate, gone}
        grouped = reader.touched("Note", since, None, group=True)
        assert grouped is not None
        assert len(grouped) == len(set(grouped))
        assert set(grouped) - {brief} == {mate, other, gone, neighbour}
        assert quiet not in grouped
        assert reader.touched("Note", since, 1, group=False) is None
        assert reader.touched("Note", since, 2, group=True) is None
        assert reader.touched("Note", since, 10, group=True) is not None
        assert reader.touched("Note", reader.state("Note"), 0, group=True) == []


def test_touched_of_a_type_without_groups(store: Store) -> None:
    with store.write(A) as txn:
        id = txn.new_id("Label")
        txn.create("Label", {"id": id, "name": "x"})
    with store.read(A) as reader:
        assert reader.touched("Label", 0, None, group=True) == [id]


def test_an_update_that_was_rolled_back_leaves_no_trace(store: Store) -> None:
    with store.write(A) as txn:
        id = note(txn, title="old", categories={"a": True})
    since = state(store)
    try:
        with store.write(A) as txn:
            txn.update("Note", id, {"title": "new", "categories": {}})
            note(txn, title="too")
            raise RuntimeError("stop")
    except RuntimeError:
        pass
    assert state(store) == since
    assert changes(store, since) == Changes([], [], [], since, False, False)


def test_what_was_destroyed_long_ago_is_forgotten(store: Store) -> None:
    with store.write(A) as txn:
        kept, *ids = [note(txn) for _ in range(6)]
    born = state(store)
    for id in ids[:3]:
        with store.write(A) as txn:
            txn.destroy("Note", id)
    with store.read(A) as reader:
        assert reader.history("Note") == 0
    # From now on: the newest two changes of the account.
    store.keep_history(2)
    assert store.trim(A) == 1
    with store.read(A) as reader:
        assert (reader.history("Note"), reader.history("Label")) == (born + 1, 0)
    assert changes(store, born + 1).destroyed == ids[1:3]
    # Whoever destroys forgets a little on the way.
    with store.write(A) as txn:
        txn.destroy("Note", ids[3])
    assert store.trim(A) == 0
    with store.read(A) as reader:
        assert reader.history("Note") == born + 2
        assert reader.changes("Note", born + 2, None) == Changes([], [], ids[2:4], born + 4, False, False)
        assert reader.ids("Note") == [kept, ids[4]]


def test_a_change_of_other_types_counts_for_the_history(store: Store) -> None:
    with store.write(A) as txn:
        gone = note(txn)
        txn.destroy("Note", gone)
        for _ in range(3):
            txn.create("Label", {"id": txn.new_id("Label"), "name": "x"})
    before = state(store)
    store.keep_history(3)
    assert store.trim(A) == 1
    with store.read(A) as reader:
        assert reader.history("Note") == before
        assert reader.changes("Note", before, None) == Changes([], [], [], before, False, False)
