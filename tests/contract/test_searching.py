"""The search index can be made anew from the records, at any time, record by record."""

from __future__ import annotations

import pytest
from notes import Note, note

from flaskmail.jmap.conditions import Matches, Query
from flaskmail.jmap.storage import Store

A = "a1"


@pytest.fixture
def ids(store: Store) -> list[str]:
    with store.write(A) as txn:
        return [note(txn, title=f"milk {n}", body=f"words of {n}") for n in range(3)]


def found(store: Store, text: str) -> list[str]:
    with store.read(A) as reader:
        return sorted(reader.query("Note", Query(Matches((), text))).ids)


def unindexed(store: Store) -> list[str]:
    with store.read(A) as reader:
        return reader.unindexed("Note")


def test_an_index_is_emptied_and_filled(store: Store, ids: list[str]) -> None:
    with store.read(A) as reader:
        before = reader.state("Note")
    assert unindexed(store) == []
    with store.write(A) as txn:
        fresh = note(txn, title="milk too")
        txn.clear_texts("Note")
        assert txn.unindexed("Note") == [*ids, fresh]
        txn.destroy("Note", fresh)
    assert found(store, "milk") == []
    assert unindexed(store) == ids
    with store.write(A) as txn:
        for id, text in Note().search_text(txn, ids[:2]).items():
            txn.set_text("Note", id, text)
        assert txn.unindexed("Note") == ids[2:]
    assert found(store, "milk") == sorted(ids[:2])
    assert unindexed(store) == ids[2:]
    with store.write(A) as txn:
        txn.set_text("Note", ids[2], {})
    assert unindexed(store) == []
    assert store.verify(A) == []
    with store.read(A) as reader:
        # Nothing has changed for clients; what came and went did.
        assert reader.changes("Note", before, None).updated == []


def test_an_entry_is_replaced(store: Store, ids: list[str]) -> None:
    with store.write(A) as txn:
        txn.set_text("Note", ids[1], {"title": "cheese"})
        txn.set_text("Note", ids[1], {"title": "bread"})
    assert found(store, "milk") == sorted([ids[0], ids[2]])
    assert found(store, "cheese") == []
    assert found(store, "bread") == [ids[1]]
    assert store.verify(A) == []


def test_a_record_that_was_just_made(store: Store) -> None:
    with store.write(A) as txn:
        id = note(txn, title="milk")
        txn.set_text("Note", id, {"title": "bread"})
        with pytest.raises(KeyError):
            txn.set_text("Note", "nobody", {})
    assert (found(store, "milk"), found(store, "bread")) == ([], [id])
    assert store.verify(A) == []


def test_a_type_without_an_index_has_nothing_to_make(store: Store) -> None:
    with store.write(A) as txn:
        txn.create("Label", {"id": "l1", "name": "x"})
        assert txn.unindexed("Label") == []
