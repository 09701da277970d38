"""What conditions and sorts mean, spelt out; test_oracle compares stores on random ones."""

from __future__ import annotations

import pytest
from notes import note

from flaskmail.jmap.conditions import (
    EVERYTHING,
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
    Scan,
    Sort,
    SortBy,
    SortByMember,
)
from flaskmail.jmap.storage import Store

A = "a1"
NOTES = {
    "a": {"title": "Apfel", "priority": 1, "categories": {"x": True}, "topic": "t1", "body": "red and round"},
    "b": {"title": "birne", "priority": None, "categories": {}, "topic": "t1", "body": "yellow-green"},
    "c": {"title": "Äpfel", "priority": 3, "categories": {"x": True, "y": True}, "topic": "t2", "body": "réd café"},
    "d": {"title": "zebra 100%_", "priority": -2, "categories": {"y": True}, "topic": "t3", "body": ""},
    "e": {
        "title": "straße",
        "priority": 3,
        "categories": {"x": True},
        "topic": "t2",
        "body": "round and red",
        "done": True,
    },
}


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write(A) as txn:
        for day, (code, props) in enumerate(NOTES.items(), 1):
            note(txn, code=code, createdAt=f"2024-01-0{day}T00:00:00Z", **props)
    return store


def ask(store: Store, query: Query) -> str:
    with store.read(A) as reader:
        found = reader.query("Note", query)
        codes = {record["id"]: record["code"] for record in reader.get("Note", None, ["code"])}
        assert found.total is None or query.total
        return "".join(codes[id] for id in found.ids)


X, Y = HasMember("categories", "x"), HasMember("categories", "y")
CONDITIONS: list[tuple[Condition, str]] = [
    (EVERYTHING, "abcde"),
    (Or(()), ""),
    (Not(Or(())), "abcde"),
    (Not(And(())), ""),
    (Compare("priority", "=", 3), "ce"),
    (Compare("priority", "!=", 3), "abd"),
    (Compare("priority", "=", None), "b"),
    (Compare("priority", "!=", None), "acde"),
    (Compare("priority", "<", 3), "ad"),
    (Compare("priority", "<=", 1), "ad"),
    (Compare("priority", ">", -2), "ace"),
    (Compare("priority", ">=", 3), "ce"),
    (Compare("priority", "<", None), ""),
    (Not(Compare("priority", "<", 3)), "bce"),
    (Not(Compare("priority", "=", 3)), "abd"),
    (Not(Compare("priority", ">", 0)), "bd"),
    (Compare("done", "=", True), "e"),
    (Compare("done", "=", False), "abcd"),
    (Compare("code", ">=", "c"), "cde"),
    (Compare("title", "=", "apfel"), ""),
    (Contains("title", "PFEL"), "ac"),
    (Contains("title", "äpf"), "c"),
    (Contains("title", "%"), "d"),
    (Contains("title", "_"), "d"),
    (Contains("title", "0%_"), "d"),
    (Contains("title", "\\"), ""),
    (Contains("title", ""), "abcde"),
    (Not(Contains("title", "e")), ""),
    (Not(Contains("title", "pf")), "bde"),
    (X, "ace"),
    (Not(X), "bd"),
    (And((X, Y)), "c"),
    (Or((X, Y)), "acde"),
    (HasMember("categories", "nothing"), ""),
    (HasOtherMember("categories", frozenset()), "acde"),
    (HasOtherMember("categories", frozenset({"x"})), "cd"),
    (HasOtherMember("categories", frozenset({"x", "y"})), ""),
    (Not(HasOtherMember("categories", frozenset({"x"}))), "abe"),
    (InGroup("some", X), "abce"),
    (InGroup("all", X), "ce"),
    (InGroup("all", Y), "d"),
    (Not(InGroup("some", X)), "d"),
    (Not(InGroup("all", X)), "abd"),
    (Matches((), "red"), "ace"),
    (Matches((), "RED"), "ace"),
    (Matches((), "réd"), "ace"),
    (Matches((), "cafe"), "c"),
    (Matches((), "red round"), "ae"),
    (Matches((), '"red and"'), "a"),
    (Matches((), "'and red'"), "e"),
    (Matches((), "ro*"), "ae"),
    (Matches((), "ro"), ""),
    (Matches((), '"and r"*'), "ae"),
    (Matches((), "yellow-green"), "b"),
    (Matches((), "green-yellow"), ""),
    (Matches((), "apfel red"), "ac"),
    (Matches(("title",), "red"), ""),
    (Matches(("body",), "apfel"), ""),
    (Matches(("title", "body"), "apfel"), "ac"),
    (Matches((), ""), "abcde"),
    (Matches((), "   "), "abcde"),
    (Matches((), ":-) !"), ""),
    (Matches((), "red ;"), "ace"),
    (Matches((), 'NOT AND OR NEAR("'), ""),
    (Matches((), "title:red"), ""),
    (Matches((), "-red"), "ace"),
    (Matches((), "^red"), "ace"),
    (Not(Matches((), "red")), "bd"),
    (Or((Matches((), "yellow"), X)), "abce"),
    (Or((Matches((), "yellow"), Matches((), "cafe"))), "bc"),
    (And((Matches((), "red"), Matches((), "round"), Compare("done", "=", True))), "e"),
    (Scan("longTitle", (5,)), "de"),
    (Not(Scan("longTitle", (5,))), "abc"),
    (Or((Scan("longTitle", (10,)), Y)), "cd"),
    (And((X, Scan("longTitle", (5,)))), "e"),
    (And((Not(Or((X, Compare("priority", "<", 0)))),)), "b"),
]


@pytest.mark.parametrize(("condition", "codes"), CONDITIONS, ids=[str(c) for c, _ in CONDITIONS])
def test_conditions(filled: Store, condition: Condition, codes: str) -> None:
    # Records are ordered by date: without a sort the newest comes first.
    assert ask(filled, Query(condition)) == codes[::-1]
    assert ask(filled, Query(condition, (SortBy("createdAt"),))) == codes
    with filled.read(A) as reader:
        assert reader.query("Note", Query(condition, limit=0, total=True)).total == len(codes)


SORTS: list[tuple[tuple[Sort, ...], str]] = [
    ((), "edcba"),
    ((SortBy("createdAt"),), "abcde"),
    ((SortBy("createdAt", False),), "edcba"),
    ((SortBy("priority"),), "bdace"),
    ((SortBy("priority", False),), "ecadb"),
    ((SortBy("priority"), SortBy("createdAt", False)), "bdaec"),
    ((SortBy("priority", False), SortBy("createdAt")), "ceadb"),
    ((SortBy("done"),), "abcde"),
    ((SortBy("done", False),), "edcba"),
    ((SortBy("done"), SortBy("code", False)), "dcbae"),
    ((SortBy("title"),), "abedc"),
    ((SortBy("title", True, "i;ascii-casemap"),), "abedc"),
    ((SortBy("title", True, "i;unicode-casemap"),), "acbed"),
    ((SortBy("title", False, "i;unicode-casemap"),), "debca"),
    ((SortBy("title", True, "i;ascii-numeric"),), "abcde"),
    ((SortByMember("categories", "x"),), "bdace"),
    ((SortByMember("categories", "x", None, False),), "ecadb"),
    ((SortByMember("categories", "x", "some"),), "dabce"),
    ((SortByMember("categories", "x", "all", False),), "ecdba"),
    ((SortByMember("categories", "y", None, False), SortBy("code")), "cdabe"),
]


@pytest.mark.parametrize(("sort", "codes"), SORTS, ids=[str(s) for s, _ in SORTS])
def test_sorts(filled: Store, sort: tuple[Sort, ...], codes: str) -> None:
    assert ask(filled, Query(sort=sort)) == codes
    assert ask(filled, Query(Not(Compare("code", "=", "c")), sort)) == codes.replace("c", "")


def test_numbers_in_text(store: Store) -> None:
    with store.write(A) as txn:
        for title, code in [("10", "b"), ("9 lives", "a"), ("x", "d"), ("010", "c"), ("", "e"), ("1" * 5000, "z")]:
            note(txn, title=title, code=code)
    query = Query(sort=(SortBy("title", True, "i;ascii-numeric"), SortBy("code")))
    assert ask(store, query) == "abczde"


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        (Query(collapse=True), "edb"),
        (Query(sort=(SortBy("createdAt"),), collapse=True), "acd"),
        (Query(X, (SortBy("createdAt"),), True), "ac"),
        (Query(Not(X), collapse=True), "db"),
        (Query(sort=(SortBy("title", True, "i;unicode-casemap"),), collapse=True), "acd"),
        (Query(collapse=True, position=1), "db"),
        (Query(collapse=True, limit=2), "ed"),
        (Query(collapse=True, position=-1), "b"),
    ],
)
def test_collapse(filled: Store, query: Query, codes: str) -> None:
    assert ask(filled, query) == codes


def test_collapsed_totals_count_groups(filled: Store) -> None:
    with filled.read(A) as reader:
        assert reader.query("Note", Query(collapse=True, limit=1, total=True)).total == 3
        assert reader.query("Note", Query(X, collapse=True, limit=1, total=True)).total == 2


@pytest.mark.parametrize(
    ("position", "limit", "codes", "start"),
    [
        (0, None, "abcde", 0),
        (0, 2, "ab", 0),
        (3, 5, "de", 3),
        (3, 1, "d", 3),
        (4, 0, "", 4),
        (-2, None, "de", 3),
        (-2, 1, "d", 3),
        (-99, 2, "ab", 0),
        (5, None, "", 5),
        (2**53 - 1, 10, "", None),
        (-(2**53) + 1, 1, "a", 0),
    ],
)
@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("condition", [EVERYTHING, Scan("longTitle", (0,)), Not(HasMember("categories", "none"))])
def test_windows(
    filled: Store, position: int, limit: int | None, codes: str, start: int | None, total: bool, condition: Condition
) -> None:
    query = Query(condition, (SortBy("createdAt"),), position=position, limit=limit, total=total)
    assert ask(filled, query) == codes
    with filled.read(A) as reader:
        result = reader.query("Note", query)
        assert result.total == (5 if total else None)
        if codes:
            assert result.position == start


@pytest.mark.parametrize(
    ("anchor", "offset", "limit", "codes", "start"),
    [
        ("c", 0, None, "cde", 2),
        ("c", -1, 2, "bc", 1),
        ("c", -9, 2, "ab", 0),
        ("c", 1, 1, "d", 3),
        ("e", 0, 5, "e", 4),
        ("e", 5, None, "", None),
    ],
)
def test_anchors(filled: Store, anchor: str, offset: int, limit: int | None, codes: str, start: int | None) -> None:
    with filled.read(A) as reader:
        ids = {record["code"]: record["id"] for record in reader.get("Note", None, ["code"])}
        query = Query(sort=(SortBy("createdAt"),), anchor=ids[anchor], anchor_offset=offset, limit=limit, position=1)
        result = reader.query("Note", query)
        assert result.ids == [ids[code] for code in codes]
        if codes:
            assert result.position == start


@pytest.mark.parametrize("collapse", [False, True])
def test_an_anchor_that_is_not_in_the_result(filled: Store, collapse: bool) -> None:
    with filled.read(A) as reader:
        ids = {record["code"]: record["id"] for record in reader.get("Note", None, ["code"])}
        for anchor in ("nothing", ids["b"]):
            with pytest.raises(KeyError) as caught:
                reader.query("Note", Query(X, anchor=anchor, collapse=collapse))
            assert caught.value.args == (anchor,)


def test_queries_follow_the_records(filled: Store) -> None:
    with filled.write(A) as txn:
        ids = {record["code"]: record["id"] for record in txn.get("Note", None, ["code"])}
        txn.update("Note", ids["b"], {"categories": {"x": True}, "title": "Quitte", "priority": 9})
        txn.destroy("Note", ids["a"])
        assert txn.query("Note", Query(X)).ids == [ids["e"], ids["c"], ids["b"]]
    assert ask(filled, Query(X)) == "ecb"
    assert ask(filled, Query(Contains("title", "quitte"))) == "b"
    assert ask(filled, Query(Matches((), "apfel"))) == "c"
    assert ask(filled, Query(sort=(SortBy("priority", False),))) == "becd"
    assert ask(filled, Query(InGroup("all", X))) == "ecb"


def test_a_type_without_order_goes_by_arrival(store: Store) -> None:
    with store.write(A) as txn:
        ids = [txn.new_id("Label") for _ in range(4)]
        for id in ids:
            txn.create("Label", {"id": id, "name": "same"})
    with store.read(A) as reader:
        assert reader.query("Label", Query()).ids == ids
        assert reader.query("Label", Query(limit=2, position=1)).ids == ids[1:3]


def test_deep_and_wide_conditions(filled: Store) -> None:
    condition: Condition = X
    for _ in range(60):
        condition = Not(And((condition, EVERYTHING)))
    assert ask(filled, Query(condition)) == "eca"
    many = Or(tuple(HasMember("categories", f"c{n}") for n in range(2000)))
    assert ask(filled, Query(many)) == ""
    wide = HasOtherMember("categories", frozenset(f"c{n}" for n in range(5000)))
    assert ask(filled, Query(wide)) == "edca"
