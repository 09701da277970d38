"""Other stores answer random questions about random records as the memory store does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notes import Note, note
from stores import STORES

from flaskmail.jmap.conditions import (
    And,
    Compare,
    Condition,
    Contains,
    HasMember,
    HasOtherMember,
    InGroup,
    Matches,
    Not,
    Or,
    Query,
    QueryResult,
    Scan,
    Sort,
    SortBy,
    SortByMember,
)
from flaskmail.jmap.storage import Record, Store
from flaskmail.values.collations import COLLATIONS

titles = st.sampled_from(["", "a", "A", "ab", "B b", "ä", "ß", "10", "9", "%", "a_c", "zebra"])
bodies = st.sampled_from(["", "red house", "House réd", "the red-house", "a a b", "42"])
members = st.sampled_from(["x", "y", "z"])
priorities = st.sampled_from([None, -1, 0, 1, 2])
notes = st.fixed_dictionaries(
    {
        "title": titles,
        "body": bodies,
        "categories": st.sets(members).map(lambda names: dict.fromkeys(sorted(names), True)),
        "topic": st.sampled_from(["t1", "t2", "t3"]),
        "code": titles,
        "priority": priorities,
        "done": st.booleans(),
        "createdAt": st.integers(1, 3).map(lambda day: f"2024-01-0{day}T00:00:00Z"),
    }
)
holds = st.builds(HasMember, st.just("categories"), members)
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, st.just("priority"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), priorities),
    st.builds(Compare, st.just("code"), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), titles),
    st.builds(Compare, st.just("done"), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Contains, st.just("title"), titles),
    holds,
    st.builds(HasOtherMember, st.just("categories"), st.frozensets(members)),
    st.builds(InGroup, st.sampled_from(["some", "all"]), holds),
    st.builds(
        Matches,
        st.sampled_from([(), ("title",), ("body",), ("title", "body")]),
        st.sampled_from(["red", '"red house"', "ho*", "a", "b a", "", "-", "re* 'the red'", "ä"]),
    ),
    st.builds(Scan, st.just("longTitle"), st.tuples(st.integers(0, 2))),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: And(tuple(each))),
        st.lists(inner, max_size=3).map(lambda each: Or(tuple(each))),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)
sorts: st.SearchStrategy[Sort] = st.one_of(
    st.builds(SortBy, st.sampled_from(["priority", "done", "createdAt"]), st.booleans()),
    st.builds(SortBy, st.sampled_from(["title", "code"]), st.booleans(), st.sampled_from([None, *COLLATIONS])),
    st.builds(SortByMember, st.just("categories"), members, st.sampled_from([None, "some", "all"]), st.booleans()),
)
windows = st.fixed_dictionaries(
    {
        "condition": conditions,
        "sort": st.lists(sorts, max_size=2).map(tuple),
        "collapse": st.booleans(),
        "position": st.integers(-4, 6),
        "limit": st.sampled_from([None, 0, 1, 3]),
        "total": st.booleans(),
        "anchor_offset": st.integers(-2, 2),
    }
)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(0, 20), notes),
        st.tuples(st.just("destroy"), st.integers(0, 20), st.none()),
        st.tuples(st.just("create"), st.integers(0, 20), notes),
    ),
    max_size=4,
)
NAMES = [name for name, prop in Note.props.items() if not prop.computed]
_numbers = itertools.count()


class Pair:
    """The same account in two stores; ids are told apart by what they stand for."""

    def __init__(self, *stores: Store) -> None:
        self.stores = stores
        self.account = f"o{next(_numbers)}"
        self.names: dict[str, int] = {}
        self.ids: list[list[str]] = [[] for _ in stores]
        for store in stores:
            store.create_account(self.account)

    def write(self, new: list[Record], later: list[tuple[str, int, Record | None]]) -> None:
        for store, ids in zip(self.stores, self.ids, strict=True):
            gone: set[int] = set()
            with store.write(self.account) as txn:
                for props in new:
                    ids.append(note(txn, **props))
                for what, number, change in later:
                    number %= max(1, len(ids))
                    if what == "create" and change is not None:
                        ids.append(note(txn, **change))
                    elif not ids or number in gone:
                        continue
                    elif what == "update" and change is not None:
                        kept = ("title", "categories", "priority", "done")
                        txn.update("Note", ids[number], {name: change[name] for name in kept})
                    else:
                        txn.destroy("Note", ids[number])
                        gone.add(number)
            self.names |= {id: n for n, id in enumerate(ids)}

    def named(self, result: QueryResult) -> tuple[list[int], int | None, int | None]:
        return [self.names[id] for id in result.ids], result.position if result.ids else None, result.total

    def ask(self, query: Query, anchor: int | None) -> list[object]:
        answers: list[object] = []
        for store, ids in zip(self.stores, self.ids, strict=True):
            asked = query
            if anchor is not None and ids:
                asked = Query(
                    query.condition, query.sort, query.collapse, query.position, ids[anchor % len(ids)],
                    query.anchor_offset, query.limit, query.total,
                )  # fmt: skip
            with store.read(self.account) as reader:
                try:
                    answers.append(self.named(reader.query("Note", asked)))
                except KeyError as error:
                    answers.append(("KeyError", self.names[error.args[0]]))
        return answers


@pytest.fixture(scope="module", params=[name for name in STORES if name != "memory"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    folder: Path = tmp_path_factory.mktemp("oracle")
    oracle, store = STORES["memory"](folder), STORES[request.param](folder)
    yield oracle, store
    store.close()
    oracle.close()


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(notes, max_size=8),
    changes,
    st.lists(st.tuples(windows, st.none() | st.integers(0, 20)), min_size=1, max_size=25),
)
def test_queries(
    both: tuple[Store, Store],
    new: list[Record],
    later: list[tuple[str, int, Record | None]],
    asked: list[tuple[Record, int | None]],
) -> None:
    pair = Pair(*both)
    pair.write(new, later)
    for window, anchor in asked:
        query = Query(**window)
        right, given = pair.ask(query, anchor)
        assert given == right, query
    for store in both:
        assert store.verify(pair.account) == []
        store.delete_account(pair.account)


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(notes, max_size=6), changes, st.integers(0, 14), st.sampled_from([None, 0, 1, 2, 5]))
def test_changes(
    both: tuple[Store, Store],
    new: list[Record],
    later: list[tuple[str, int, Record | None]],
    since: int,
    limit: int | None,
) -> None:
    pair = Pair(*both)
    pair.write(new, later)
    told: list[object] = []
    for store in both:
        with store.read(pair.account) as reader:
            changes = reader.changes("Note", since, limit or None)
            lists = [[pair.names[id] for id in ids] for ids in (changes.created, changes.updated, changes.destroyed)]
            touched = [reader.touched("Note", since, limit, group=group) for group in (False, True)]
            told.append(
                (
                    [pair.names[id] for id in reader.ids("Note")],
                    reader.state("Note"),
                    lists,
                    (changes.until, changes.more, changes.only_counters),
                    [None if ids is None else sorted(pair.names[id] for id in ids) for ids in touched],
                    [[pair.names[id] for id in reader.members("Note", "categories", name)] for name in "xyz"],
                    [reader.count_members("Note", "categories", name) for name in "xyz"],
                    [
                        {
                            k: [pair.names[id] for id in ids]
                            for k, ids in reader.grouped("Note", "topic", ["t1", "t2"]).items()
                        }
                    ],
                    [
                        {name: value for name, value in record.items() if name != "id"}
                        for record in reader.get("Note", None, NAMES)
                    ],
                )
            )
    assert told[0] == told[1]
    for store in both:
        store.delete_account(pair.account)
