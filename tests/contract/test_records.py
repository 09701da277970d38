"""Records, ids, order, members, groups, tallies, indexes and notes."""

from __future__ import annotations

import json

import pytest
from notes import note

from flaskmail.errors import AccountMissing
from flaskmail.jmap.conditions import HasMember, Query
from flaskmail.jmap.storage import Store

A = "a1"
NAMES = ["title", "body", "categories", "priority", "secret"]


def test_a_new_account_is_empty(store: Store) -> None:
    with store.read(A) as reader:
        assert reader.account_id == A
        assert reader.state("Note") == 0
        assert reader.get("Note", None, NAMES) == []
        assert reader.ids("Note") == []
        assert reader.used() == 0
        assert reader.note("x") is None
        assert reader.tallies("t", "k") == {}
        assert reader.members("Note", "categories", "c") == []
        assert reader.count_members("Note", "categories", "c") == 0


def test_an_account_that_is_not_there(store: Store) -> None:
    with pytest.raises(AccountMissing), store.read("nobody"):
        pass
    with pytest.raises(AccountMissing), store.write("nobody"):
        pass


def test_accounts_come_and_go(store: Store) -> None:
    store.create_account("b2")
    assert sorted(store.accounts()) == [A, "b2"]
    with store.write("b2") as txn:
        note(txn, title="gone")
    store.delete_account("b2")
    assert store.accounts() == [A]
    with pytest.raises(AccountMissing), store.read("b2"):
        pass
    store.create_account("b2")
    with store.read("b2") as reader:
        assert reader.ids("Note") == []


def test_accounts_do_not_see_each_other(store: Store) -> None:
    store.create_account("b2")
    with store.write(A) as txn:
        id = note(txn, title="mine")
        txn.set_note("n", "1")
        txn.tally("t", "k", "m", 1)
        txn.link("l", ["key"], "value")
    with store.read("b2") as reader:
        assert reader.get("Note", [id], NAMES) == []
        assert reader.existing("Note", [id]) == set()
        assert reader.note("n") is None
        assert reader.tallies("t", "k") == {}
        assert reader.linked("l", ["key"]) == {}


def test_get_answers_exactly_what_was_stored(store: Store) -> None:
    with store.write(A) as txn:
        id = note(
            txn, title="ti\u00e9\U0001f600\0tle", body='quo"te\\ \u2028', categories={"c1": True}, priority=-(2**53) + 1
        )
        other = note(txn)
    with store.read(A) as reader:
        got = reader.get("Note", [other, "nothing", id, other], ["title", "body", "categories", "priority"])
        assert got == [
            {"id": other, "title": "", "body": "", "categories": {}, "priority": None},
            {
                "id": id,
                "title": "ti\u00e9\U0001f600\0tle",
                "body": 'quo"te\\ \u2028',
                "categories": {"c1": True},
                "priority": -(2**53) + 1,
            },
        ]
        assert reader.get("Note", [id], []) == [{"id": id}]
        assert reader.get("Note", [], NAMES) == []


def test_absent_and_null_stay_apart(store: Store) -> None:
    with store.write(A) as txn:
        id = txn.new_id("Label")
        txn.create("Label", {"id": id})
        null = txn.new_id("Label")
        txn.create("Label", {"id": null, "name": None})
    with store.read(A) as reader:
        assert reader.get("Label", [id, null], ["name"]) == [{"id": id}, {"id": null, "name": None}]
        assert json.loads(reader.get_json("Label", [id, null], ["name"])[1]) == [
            {"id": id},
            {"id": null, "name": None},
        ]


@pytest.mark.parametrize("names", [[], ["title"], ["body"], ["title", "body"], ["secret", "categories", "views"]])
def test_get_json_is_get_as_bytes(store: Store, names: list[str]) -> None:
    with store.write(A) as txn:
        ids = [note(txn, title=f"t{n}", body="b\n" * n, categories={f"c{n}": True}) for n in range(3)]
    with store.read(A) as reader:
        for asked in (None, ids[::-1], [ids[0], "unknown", ids[0]]):
            found, octets = reader.get_json("Note", asked, names)
            records = reader.get("Note", asked, names)
            assert found == [record["id"] for record in records]
            assert json.loads(octets) == records


def test_what_is_read_can_be_changed_without_harm(store: Store) -> None:
    with store.write(A) as txn:
        categories = {"c1": True}
        id = note(txn, categories=categories)
        categories["c2"] = True
        assert txn.get("Note", [id], ["categories"])[0]["categories"] == {"c1": True}
    with store.read(A) as reader:
        reader.get("Note", [id], ["categories"])[0]["categories"].clear()
        assert reader.get("Note", [id], ["categories"])[0]["categories"] == {"c1": True}


def test_record_order_is_the_date_then_arrival(store: Store) -> None:
    dates = ["2024-05-01T00:00:00Z", "1969-12-31T23:59:59Z", "2024-05-01T00:00:00.25Z", "2024-05-01T00:00:00Z"]
    with store.write(A) as txn:
        first, old, late, second = [note(txn, createdAt=date) for date in dates]
    with store.read(A) as reader:
        order = [old, first, second, late]
        assert reader.ids("Note") == order
        assert reader.ids("Note", 2) == order[:2]
        assert [record["id"] for record in reader.get("Note", None, [])] == order


def test_without_an_order_it_is_arrival(store: Store) -> None:
    ids = []
    for _ in range(5):
        with store.write(A) as txn:
            id = txn.new_id("Label")
            txn.create("Label", {"id": id, "name": "x"})
            ids.append(id)
    with store.read(A) as reader:
        assert reader.ids("Label") == ids


def test_ids_are_new_and_well_formed(store: Store) -> None:
    with store.write(A) as txn:
        ids = {txn.new_id("Note") for _ in range(100)}
    assert len(ids) == 100
    assert all(id[0] == "n" and len(id) == 25 and id.isalnum() and id.islower() for id in ids)


def test_update_replaces_whole_properties(store: Store) -> None:
    with store.write(A) as txn:
        id = note(txn, title="old", categories={"a": True, "b": True}, body="stays")
    with store.write(A) as txn:
        txn.update("Note", id, {"title": "new", "categories": {"b": True, "c": True}})
        assert txn.get("Note", [id], ["title"]) == [{"id": id, "title": "new"}]
        assert txn.members("Note", "categories", "c") == [id]
    with store.read(A) as reader:
        (record,) = reader.get("Note", [id], ["title", "categories", "body"])
        assert record == {"id": id, "title": "new", "categories": {"b": True, "c": True}, "body": "stays"}
        assert reader.members("Note", "categories", "a") == []
        assert reader.count_members("Note", "categories", "a") == 0
        assert reader.count_members("Note", "categories", "b") == 1


def test_members_follow_the_records(store: Store) -> None:
    with store.write(A) as txn:
        late = note(txn, createdAt="2024-02-01T00:00:00Z", categories={"c": True, "d": True})
        early = note(txn, createdAt="2024-01-01T00:00:00Z", categories={"c": True})
        note(txn, categories={})
    with store.write(A) as txn:
        assert txn.members("Note", "categories", "c") == [early, late]
        assert txn.members("Note", "categories", "c", 1) == [early]
        assert txn.count_members("Note", "categories", "c") == 2
        txn.destroy("Note", early)
        assert txn.members("Note", "categories", "c") == [late]
        assert txn.count_members("Note", "categories", "c") == 1
    with store.read(A) as reader:
        assert reader.count_members("Note", "categories", "c") == 1
        assert reader.count_members("Note", "categories", "d") == 1


def test_grouped(store: Store) -> None:
    with store.write(A) as txn:
        late = note(txn, topic="x", createdAt="2024-02-01T00:00:00Z")
        early = note(txn, topic="x", createdAt="2024-01-01T00:00:00Z")
        other = note(txn, topic="y")
        gone = note(txn, topic="y")
        txn.destroy("Note", gone)
    with store.read(A) as reader:
        found = reader.grouped("Note", "topic", ["y", "x", "nothing", "x"])
        assert found["x"] == [early, late]
        assert found["y"] == [other]
        assert found.get("nothing", []) == []
        assert set(found) <= {"x", "y", "nothing"}
        assert reader.grouped("Note", "topic", []) == {}


def test_destroy_leaves_nothing_to_read(store: Store) -> None:
    with store.write(A) as txn:
        id = note(txn, title="gone", categories={"c": True})
    with store.write(A) as txn:
        txn.destroy("Note", id)
        assert txn.get("Note", [id], NAMES) == []
    with store.read(A) as reader:
        assert reader.get("Note", [id], NAMES) == []
        assert reader.existing("Note", [id]) == set()
        assert reader.ids("Note") == []
        assert reader.members("Note", "categories", "c") == []


def test_existing(store: Store) -> None:
    with store.write(A) as txn:
        one, two = note(txn), note(txn)
        txn.destroy("Note", two)
    with store.read(A) as reader:
        assert reader.existing("Note", [one, two, "zzz"]) == {one}
        assert reader.existing("Label", [one]) == set()
        assert reader.existing("Note", iter([one, one])) == {one}


def test_many_ids_at_once(store: Store) -> None:
    with store.write(A) as txn:
        ids = [note(txn, title=str(n)) for n in range(1200)]
    with store.read(A) as reader:
        assert [record["title"] for record in reader.get("Note", ids, ["title"])] == [str(n) for n in range(1200)]
        assert reader.existing("Note", ids) == set(ids)


def test_tallies(store: Store) -> None:
    with store.write(A) as txn:
        assert txn.tally("unread", "t1", "m1", 2) == 2
        assert txn.tally("unread", "t1", "m1", -1) == 1
        assert txn.tally("unread", "t1", "m2", 1) == 1
        assert txn.tally("unread", "t2", "m1", 5) == 5
        assert txn.tally("total", "t1", "m1", 7) == 7
        assert txn.tallies("unread", "t1") == {"m1": 1, "m2": 1}
    with store.write(A) as txn:
        assert txn.tally("unread", "t1", "m1", -1) == 0
        assert txn.tallies("unread", "t1") == {"m2": 1}
    with store.read(A) as reader:
        assert reader.tallies("unread", "t1") == {"m2": 1}
        assert reader.tallies("unread", "t2") == {"m1": 5}
        assert reader.tallies("total", "t1") == {"m1": 7}
        assert reader.state("Note") == 0


def test_links(store: Store) -> None:
    with store.write(A) as txn:
        txn.link("messageId", ["a", "b"], "t1")
        txn.link("messageId", ["b", "c"], "t2")
        txn.link("other", ["a"], "t9")
        assert txn.linked("messageId", ["a", "b", "c", "d"]) == {"a": "t1", "b": "t1", "c": "t2"}
        txn.unlink("messageId", "t1")
    with store.read(A) as reader:
        assert reader.linked("messageId", ["a", "b", "c", "d", "c"]) == {"c": "t2"}
        assert reader.linked("other", ["a"]) == {"a": "t9"}
        assert reader.linked("other", []) == {}


def test_notes(store: Store) -> None:
    with store.write(A) as txn:
        txn.set_note("one", "1")
        txn.set_note("empty", "")
        assert txn.note("one") == "1"
    with store.write(A) as txn:
        txn.set_note("one", None)
        txn.set_note("empty", "now")
    with store.read(A) as reader:
        assert reader.note("one") is None
        assert reader.note("empty") == "now"


def test_many_updates_are_the_same_as_each(store: Store) -> None:
    """Also when records of one group come to a category and leave it together, or have no group."""

    def fill() -> list[str]:
        with store.write(A) as txn:
            return [
                note(txn, title=str(n), topic=None if n > 8 else f"t{n % 3}", categories={"c": True} if n % 2 else {})
                for n in range(12)
            ]

    def told(ids: list[str]) -> object:
        with store.read(A) as reader:
            records = reader.get("Note", ids, ["title", "categories", "done", "views", "body"])
            return (
                [{name: value for name, value in record.items() if name != "id"} for record in records],
                [reader.count_members("Note", "categories", member) for member in "cd"],
                [
                    reader.query("Note", Query(HasMember("categories", member), collapse=True, total=True)).total
                    for member in "cd"
                ],
            )

    rounds = [
        {n: {"categories": {"d": True}} for n in range(6)},
        {n: {"categories": {"c": True, "d": True}} for n in range(12)},
        {n: {"categories": {"d": True} if n % 3 else {}} for n in range(11)},
        {n: {"title": f"new {n}", "done": True} for n in range(5)},
        {n: {"views": n} for n in range(5)},
        {n: {"body": "text", "categories": {}} for n in range(5)},
        {n: {"categories": {"c": True}} if n % 2 else {"title": "x", "categories": {}} for n in range(8)},
    ]
    together, apart = fill(), fill()
    for changes in rounds:
        since = _state(store)
        with store.write(A) as txn:
            txn.update_many("Note", {together[n]: dict(changed) for n, changed in changes.items()})
        middle = _state(store)
        with store.write(A) as txn:
            for n, changed in changes.items():
                txn.update("Note", apart[n], dict(changed))
        with store.read(A) as reader:
            assert reader.changes("Note", middle, None).updated == [apart[n] for n in changes]
            first = reader.changes("Note", since, len(changes))
            assert first.updated == [together[n] for n in changes]
            assert (first.until, first.more) == (middle, True)
        # Both halves of the account count in one.
        assert told(together)[0] == told(apart)[0]  # type: ignore[index]
    with pytest.raises(KeyError), store.write(A) as txn:
        txn.update_many("Note", {id: {"categories": {}} for id in [*together[:5], "nobody"]})
    with store.write(A) as txn:
        for id in apart:
            txn.destroy("Note", id)
    alone = told(together)
    with store.write(A) as txn:
        for id in together:
            txn.destroy("Note", id)
        txn.update_many("Note", {})
    again = fill()
    for changes in rounds:
        with store.write(A) as txn:
            for n, changed in changes.items():
                txn.update("Note", again[n], dict(changed))
    assert told(again) == alone
    assert store.verify(A) == []


def _state(store: Store) -> int:
    with store.read(A) as reader:
        return reader.state("Note")
