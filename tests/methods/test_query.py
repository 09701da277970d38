"""/query of every declared filter and sort, and every argument, right and wrong. RFC 8620 section 5.5."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from notes import Note

from flaskmail.jmap.methods.query import MAX_DEPTH, MAX_SIZE, MAX_SORT
from flaskmail.values.collations import COLLATIONS
from flaskmail.values.searching import MAX_QUERY, MAX_TERMS

Client = Any

POOL: list[Any] = [
    None, True, False, 0, 3, -1, 7.5, "", "x", "red", "2024-01-03T00:00:00Z", [], ["x"], ["x", 5], {}, {"x": True},
]  # fmt: skip
FILTERS = Note.filters
RIGHT = [(name, value) for name, each in FILTERS.items() for value in POOL if each.check(value) is None]
WRONG = [(name, value) for name, each in FILTERS.items() for value in POOL if each.check(value) is not None]
NOTES = [
    {"title": "red", "body": "a red house", "categories": {"x": True}, "topic": "t1", "code": "x", "priority": 3},
    {"title": "Rad", "body": "blue", "categories": {"x": True, "y": True}, "topic": "t1", "code": "red", "priority": 0},
    {"title": "äx", "body": "", "categories": {}, "topic": "t2", "done": True, "code": "X"},
    {"title": "zebra", "body": "striped", "categories": {"y": True}, "topic": "t3", "priority": -1},
]


def comparator(name: str, **more: Any) -> dict[str, Any]:
    return {"property": name, **dict.fromkeys(Note.sorts[name].arguments, "x"), **more}


@pytest.fixture(scope="module")
def filled(fresh: Callable[[], Client]) -> Client:
    """One that no test here writes to."""
    client = fresh()
    for day, props in enumerate(NOTES, 1):
        client.create(createdAt=f"2024-01-0{day}T00:00:00Z", **props)
    return client


def titles(client: Client, **arguments: Any) -> list[str]:
    ids = client.call("Note/query", **arguments)["ids"]
    by_id = {record["id"]: record["title"] for record in client.call("Note/get", ids=ids)["list"]}
    return [by_id[id] for id in ids]


# ---- filters


def test_every_filter_is_tried() -> None:
    assert {name for name, _ in RIGHT} == {name for name, _ in WRONG} == set(FILTERS)


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_a_filter_and_its_opposite_part_the_records(filled: Client, name: str, value: Any) -> None:
    whole = filled.call("Note/query", sort=[{"property": "createdAt"}])["ids"]
    answer = filled.call("Note/query", filter={name: value}, sort=[{"property": "createdAt"}], calculateTotal=True)
    opposite = filled.call("Note/query", filter={"operator": "NOT", "conditions": [{name: value}]})["ids"]
    assert answer["total"] == len(answer["ids"])
    assert [id for id in whole if id in answer["ids"]] == answer["ids"]
    assert set(answer["ids"]) | set(opposite) == set(whole)
    assert not set(answer["ids"]) & set(opposite)
    assert answer["canCalculateChanges"] is FILTERS[name].local


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("method", ["query", "queryChanges"])
def test_a_wrong_value_of_a_filter(filled: Client, method: str, name: str, value: Any) -> None:
    more = {"sinceQueryState": "0"} if method == "queryChanges" else {}
    assert filled.error(f"Note/{method}", filter={name: value}, **more) == "invalidArguments"
    nested = {"operator": "AND", "conditions": [{"title": "x"}, {name: value}]}
    assert filled.error(f"Note/{method}", filter=nested, **more) == "invalidArguments"


EXPECTED: list[tuple[Any, list[str]]] = [
    (None, ["red", "Rad", "äx", "zebra"]),
    ({}, ["red", "Rad", "äx", "zebra"]),
    ({"title": "r"}, ["red", "Rad", "zebra"]),
    ({"title": "Ä"}, ["äx"]),
    ({"code": "x"}, ["red"]),
    ({"priority": None}, ["äx"]),
    ({"notPriority": None}, ["red", "Rad", "zebra"]),
    ({"notPriority": 3}, ["Rad", "äx", "zebra"]),
    ({"minPriority": 0}, ["red", "Rad"]),
    ({"minPriority": 0, "inCategory": "y"}, ["Rad"]),
    ({"done": True}, ["äx"]),
    ({"before": "2024-01-03T00:00:00Z"}, ["red", "Rad"]),
    ({"after": "2024-01-03T00:00:00Z"}, ["äx", "zebra"]),
    ({"inCategory": "x"}, ["red", "Rad"]),
    ({"notOnlyIn": ["x"]}, ["Rad", "zebra"]),
    ({"notOnlyIn": []}, ["red", "Rad", "zebra"]),
    ({"someOfTopicIn": "y"}, ["red", "Rad", "zebra"]),
    ({"allOfTopicIn": "y"}, ["zebra"]),
    ({"noneOfTopicIn": "y"}, ["äx"]),
    ({"text": "RED"}, ["red"]),
    ({"text": "red house"}, ["red"]),
    ({"text": "'house red'"}, []),
    ({"inBody": "red"}, ["red"]),
    ({"inBody": "zebra"}, []),
    ({"text": "stri*"}, ["zebra"]),
    ({"longTitle": 3}, ["zebra"]),
    ({"operator": "AND", "conditions": []}, ["red", "Rad", "äx", "zebra"]),
    ({"operator": "OR", "conditions": []}, []),
    ({"operator": "NOT", "conditions": []}, ["red", "Rad", "äx", "zebra"]),
    ({"operator": "NOT", "conditions": [{"inCategory": "x"}, {"done": True}]}, ["zebra"]),
    ({"operator": "OR", "conditions": [{"done": True}, {"text": "zebra"}]}, ["äx", "zebra"]),
    (
        {"operator": "AND", "conditions": [{"inCategory": "x"}, {"operator": "NOT", "conditions": [{"code": "x"}]}]},
        ["Rad"],
    ),
    ({"operator": "NOT", "conditions": [{}]}, []),
]


@pytest.mark.parametrize(("filter", "expected"), EXPECTED)
def test_filters(filled: Client, filter: Any, expected: list[str]) -> None:
    assert titles(filled, filter=filter, sort=[{"property": "createdAt"}]) == expected
    assert titles(filled, filter=filter) == expected[::-1]


@pytest.mark.parametrize(
    ("filter", "error"),
    [
        ([], "invalidArguments"),
        ("x", "invalidArguments"),
        (False, "invalidArguments"),
        ({"operator": "XOR", "conditions": []}, "invalidArguments"),
        ({"operator": "and", "conditions": []}, "invalidArguments"),
        ({"operator": ["AND"], "conditions": []}, "invalidArguments"),
        ({"operator": None, "conditions": []}, "invalidArguments"),
        ({"operator": "AND"}, "invalidArguments"),
        ({"operator": "AND", "conditions": None}, "invalidArguments"),
        ({"operator": "AND", "conditions": {}}, "invalidArguments"),
        ({"operator": "AND", "conditions": [None]}, "invalidArguments"),
        ({"operator": "AND", "conditions": [5]}, "invalidArguments"),
        ({"operator": "AND", "conditions": [], "title": "x"}, "invalidArguments"),
        ({"nothing": 5}, "unsupportedFilter"),
        ({"body": "x"}, "unsupportedFilter"),
        ({"": 5}, "unsupportedFilter"),
        ({"conditions": []}, "unsupportedFilter"),
        ({"operator": "NOT", "conditions": [{"title": "x"}, {"nothing": 5}]}, "unsupportedFilter"),
        ({"notOnlyIn": ["x"] * MAX_SIZE}, "unsupportedFilter"),
        ({"operator": "OR", "conditions": [{"title": "x"}] * MAX_SIZE}, "unsupportedFilter"),
        ({"text": "x" * (MAX_QUERY + 1)}, "unsupportedFilter"),
        ({"text": "x " * (MAX_TERMS + 1)}, "unsupportedFilter"),
    ],
)
def test_what_is_no_filter(filled: Client, filter: Any, error: str) -> None:
    assert filled.error("Note/query", filter=filter) == error
    assert filled.error("Note/queryChanges", filter=filter, sinceQueryState="0") == error


def test_depth_is_bounded(filled: Client) -> None:
    def nested(depth: int) -> Any:
        filter: Any = {"inCategory": "x"}
        for _ in range(depth):
            filter = {"operator": "NOT", "conditions": [filter]}
        return filter

    assert titles(filled, filter=nested(MAX_DEPTH)) == ["Rad", "red"]
    assert filled.error("Note/query", filter=nested(MAX_DEPTH + 1)) == "unsupportedFilter"


def test_as_much_as_is_allowed_is_answered(filled: Client) -> None:
    wide = {"operator": "OR", "conditions": [{"inCategory": f"c{n}"} for n in range(MAX_SIZE // 2 - 1)]}
    assert titles(filled, filter=wide) == []
    assert titles(filled, filter={"notOnlyIn": [f"c{n}" for n in range(MAX_SIZE - 1)]}) == ["zebra", "Rad", "red"]
    assert titles(filled, filter={"text": "red " * MAX_TERMS}) == ["red"]


# ---- sorts


@pytest.mark.parametrize("name", list(Note.sorts))
def test_a_sort_and_its_reverse(filled: Client, name: str) -> None:
    up = titles(filled, sort=[comparator(name), {"property": "createdAt"}])
    down = titles(filled, sort=[comparator(name, isAscending=False), {"property": "createdAt", "isAscending": False}])
    assert down == up[::-1]
    assert sorted(up) == sorted(titles(filled))
    answer = filled.call("Note/query", sort=[comparator(name)])
    assert answer["canCalculateChanges"] is Note.sorts[name].local


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ["zebra", "äx", "Rad", "red"]),
        ([], ["zebra", "äx", "Rad", "red"]),
        ([{"property": "createdAt"}], ["red", "Rad", "äx", "zebra"]),
        ([{"property": "title"}], ["äx", "Rad", "red", "zebra"]),
        ([{"property": "title", "collation": None}], ["äx", "Rad", "red", "zebra"]),
        ([{"property": "title", "collation": "i;ascii-casemap"}], ["Rad", "red", "zebra", "äx"]),
        (
            [{"property": "title", "collation": "i;unicode-casemap", "isAscending": False}],
            ["zebra", "red", "Rad", "äx"],
        ),
        ([{"property": "title", "collation": "i;ascii-numeric"}], ["red", "Rad", "äx", "zebra"]),
        ([{"property": "priority"}], ["äx", "zebra", "Rad", "red"]),
        ([{"property": "priority", "collation": "of no matter"}], ["äx", "zebra", "Rad", "red"]),
        ([{"property": "done", "isAscending": False}, {"property": "title"}], ["äx", "Rad", "red", "zebra"]),
        ([{"property": "inCategory", "category": "x"}, {"property": "createdAt"}], ["äx", "zebra", "red", "Rad"]),
        ([{"property": "someOfTopicIn", "category": "y", "isAscending": False}], ["zebra", "Rad", "red", "äx"]),
        ([{"property": "allOfTopicIn", "category": "y", "isAscending": False}], ["zebra", "äx", "Rad", "red"]),
        ([{"property": "title", "anchor": None, "position": 0}], ["äx", "Rad", "red", "zebra"]),
    ],
)
def test_sorts(filled: Client, sort: Any, expected: list[str]) -> None:
    assert titles(filled, sort=sort) == expected


@pytest.mark.parametrize("name", [name for name, term in Note.sorts.items() if term.text])
@pytest.mark.parametrize("collation", list(COLLATIONS))
def test_every_collation_of_every_text(filled: Client, name: str, collation: str) -> None:
    assert len(titles(filled, sort=[comparator(name, collation=collation)])) == len(NOTES)


@pytest.mark.parametrize("name", [name for name, term in Note.sorts.items() if term.text])
def test_an_unknown_collation(filled: Client, name: str) -> None:
    assert filled.error("Note/query", sort=[comparator(name, collation="i;nothing")]) == "unsupportedSort"
    assert filled.error("Note/query", sort=[comparator(name, collation=5)]) == "invalidArguments"


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, term in Note.sorts.items() for argument in term.arguments]
)
def test_arguments_of_a_sort(filled: Client, name: str, argument: str) -> None:
    assert filled.error("Note/query", sort=[{"property": name}]) == "invalidArguments"
    assert filled.error("Note/query", sort=[comparator(name, **{argument: 5})]) == "invalidArguments"


@pytest.mark.parametrize(
    ("sort", "error"),
    [
        ({}, "invalidArguments"),
        ("title", "invalidArguments"),
        (["title"], "invalidArguments"),
        ([None], "invalidArguments"),
        ([{}], "invalidArguments"),
        ([{"property": None}], "invalidArguments"),
        ([{"property": "title", "isAscending": None}], "invalidArguments"),
        ([{"property": "title", "isAscending": 1}], "invalidArguments"),
        ([{"property": "nothing"}], "unsupportedSort"),
        ([{"property": "body"}], "unsupportedSort"),
        ([{"property": ""}], "unsupportedSort"),
        ([{"property": "title"}, {"property": "nothing"}], "unsupportedSort"),
        ([{"property": "title"}] * (MAX_SORT + 1), "unsupportedSort"),
    ],
)
def test_what_is_no_sort(filled: Client, sort: Any, error: str) -> None:
    assert filled.error("Note/query", sort=sort) == error
    assert filled.error("Note/queryChanges", sort=sort, sinceQueryState="0") == error


# ---- windows


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize(
    ("arguments", "start", "end"),
    [
        ({}, 0, 4),
        ({"position": 1}, 1, 4),
        ({"position": 1, "limit": 2}, 1, 3),
        ({"position": -1}, 3, 4),
        ({"position": -3, "limit": 2}, 1, 3),
        ({"position": -99, "limit": 1}, 0, 1),
        ({"limit": 0}, 0, 0),
        ({"limit": 99}, 0, 4),
        ({"anchor": 2}, 2, 4),
        ({"anchor": 2, "position": 1}, 2, 4),
        ({"anchor": 2, "anchorOffset": -1, "limit": 2}, 1, 3),
        ({"anchor": 2, "anchorOffset": -99, "limit": 2}, 0, 2),
        ({"anchor": 0, "anchorOffset": 3}, 3, 4),
        ({"anchor": None, "anchorOffset": 3}, 0, 4),
        ({"position": 4}, 4, 4),
        ({"position": 99}, 99, 99),
        ({"anchor": 3, "anchorOffset": 1}, 4, 4),
    ],
)
def test_windows(filled: Client, arguments: dict[str, Any], start: int, end: int, total: bool, backwards: bool) -> None:
    whole = filled.call("Note/query", backwards=backwards)["ids"]
    asked = dict(arguments)
    if asked.get("anchor") is not None:
        asked["anchor"] = whole[asked["anchor"]]
    answer = filled.call("Note/query", **asked, calculateTotal=total, backwards=backwards)
    assert answer["ids"] == whole[start:end]
    assert answer["position"] == start
    assert ("total" in answer) is total
    assert not total or answer["total"] == 4
    assert answer["canCalculateChanges"] is not backwards


def test_backwards_is_backwards(filled: Client) -> None:
    whole = filled.call("Note/query")["ids"]
    assert filled.call("Note/query", backwards=True)["ids"] == whole[::-1]


@pytest.mark.parametrize("backwards", [False, True])
def test_an_anchor_that_is_not_in_the_result(filled: Client, backwards: bool) -> None:
    (outside,) = filled.call("Note/query", filter={"done": True})["ids"]
    for anchor in (outside, "nothing"):
        arguments = {"filter": {"done": False}, "anchor": anchor, "backwards": backwards}
        assert filled.error("Note/query", **arguments) == "anchorNotFound"


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": -1}, {"limit": "1"}, {"limit": 1.5}, {"limit": True}, {"limit": 2**53},
        {"position": "0"}, {"position": None}, {"position": 0.5}, {"position": False}, {"position": -(2**53)},
        {"anchor": 5}, {"anchor": ""}, {"anchor": ["x"]}, {"anchorOffset": "1"}, {"anchorOffset": None},
        {"calculateTotal": None}, {"calculateTotal": 1}, {"collapseTopics": None}, {"backwards": "yes"},
        {"maxChanges": 5}, {"sinceQueryState": "0"}, {"upToId": "x"},
    ],
)  # fmt: skip
def test_wrong_arguments(filled: Client, arguments: dict[str, Any]) -> None:
    assert filled.error("Note/query", **arguments) == "invalidArguments"


def test_the_limit_is_told_when_it_is_the_servers(filled: Client) -> None:
    filled = dataclasses.replace(filled, limits=dataclasses.replace(filled.limits, maxQueryResults=3))
    assert filled.call("Note/query")["limit"] == 3
    assert len(filled.call("Note/query")["ids"]) == 3
    answer = filled.call("Note/query", limit=4, calculateTotal=True)
    assert (answer["limit"], len(answer["ids"]), answer["total"]) == (3, 3, 4)
    assert "limit" not in filled.call("Note/query", limit=3)
    assert "limit" not in filled.call("Note/query", limit=0)


def test_collapse(filled: Client) -> None:
    assert titles(filled, collapseTopics=True) == ["zebra", "äx", "Rad"]
    assert titles(filled, collapseTopics=True, sort=[{"property": "createdAt"}]) == ["red", "äx", "zebra"]
    assert titles(filled, collapseTopics=True, filter={"inCategory": "x"}, limit=1) == ["Rad"]
    assert filled.call("Note/query", collapseTopics=True, calculateTotal=True, limit=1)["total"] == 3


def test_the_query_state_changes_with_the_result(client: Client) -> None:
    before = client.call("Note/query")
    assert client.call("Note/query")["queryState"] == before["queryState"]
    client.create()
    assert client.call("Note/query")["queryState"] != before["queryState"]
