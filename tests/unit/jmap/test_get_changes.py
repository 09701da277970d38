from __future__ import annotations

from typing import Any

import pytest


def test_get_answers_everything_that_is_public(api: Any) -> None:
    id = api.create(name="Work")
    result = api("Folder/get")
    assert result == {
        "accountId": "A",
        "state": result["state"],
        "list": [
            {
                "id": id,
                "name": "Work",
                "parentId": None,
                "tags": {},
                "links": [],
                "order": 7,
                "kind": "plain",
                "size": 0,
                "slug": "work",
                "upper": "WORK",
            }
        ],
        "notFound": [],
    }


def test_get_answers_what_is_asked_for_and_the_id(api: Any) -> None:
    id = api.create(name="Work")
    assert api.folder(id, "order") == {"id": id, "order": 7}
    assert api.folder(id, "upper", "upper") == {"id": id, "upper": "WORK"}
    assert api("Folder/get", ids=[id], properties=["id"])["list"] == [{"id": id}]
    assert api("Folder/get", ids=[id], properties=[])["list"] == [{"id": id}]


def test_get_passes_the_arguments_of_the_type_on(api: Any) -> None:
    id = api.create(name="Work")
    assert api("Folder/get", ids=[id], properties=["upper"], shout=True)["list"] == [{"id": id, "upper": "WORK!"}]
    refused = api("Folder/get", shout="loud")
    assert (refused["type"], refused["arguments"]) == ("invalidArguments", ["shout"])


def test_every_id_is_answered_once(api: Any) -> None:
    id = api.create(name="a")
    result = api("Folder/get", ids=[id, "x", id, "x", "no id!"], properties=["id"])
    assert result["list"] == [{"id": id}]
    assert result["notFound"] == ["x", "no id!"]
    empty = api("Folder/get", ids=[])
    assert (empty["list"], empty["notFound"]) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ids": "a"}, ["ids"]),
        ({"ids": [1]}, ["ids"]),
        ({"properties": {"a": True}}, ["properties"]),
        ({"properties": ["name", "nope", "hidden"]}, ["properties"]),
        ({"idss": [], "x": 1}, ["idss", "x"]),
    ],
)
def test_arguments_that_get_refuses_by_name(api: Any, arguments: Any, named: list[str]) -> None:
    result = api("Folder/get", **arguments)
    assert (result["type"], result["arguments"]) == ("invalidArguments", named)


def test_unknown_properties_are_told(api: Any) -> None:
    told = api("Folder/get", properties=["name", "nope", "hidden"])["description"]
    assert '"nope", "hidden"' in told


def test_get_has_a_limit(make_api: Any) -> None:
    api = make_api(maxObjectsInGet=2)
    for name in "abc":
        assert not api("Folder/get").get("error")
        api.create(name=name)
    assert api("Folder/get")["type"] == "requestTooLarge"
    assert api("Folder/get", ids=["x", "y", "z"])["type"] == "requestTooLarge"
    assert not api("Folder/get", ids=["x", "y", "y"]).get("error")


def test_changes_since_any_state(api: Any) -> None:
    start = api("Folder/get")["state"]
    a, b = api.create(name="a"), api.create(name="b")
    middle = api("Folder/get")["state"]
    api("Folder/set", update={a: {"order": 1}}, destroy=[b])
    assert api("Folder/changes", sinceState=start) | {"newState": ""} == {
        "accountId": "A",
        "oldState": start,
        "newState": "",
        "hasMoreChanges": False,
        "created": [a],
        "updated": [],
        "destroyed": [],
    }
    result = api("Folder/changes", sinceState=middle)
    assert (result["updated"], result["destroyed"], result["newState"]) == ([a], [b], api("Folder/get")["state"])
    nothing = api("Folder/changes", sinceState=result["newState"])
    assert (nothing["created"], nothing["updated"], nothing["destroyed"]) == ([], [], [])
    assert nothing["newState"] == nothing["oldState"]


def test_changes_come_in_portions(make_api: Any) -> None:
    api = make_api(maxChanges=2)
    made = [api.create(name=name) for name in "abcde"]
    state, seen = "0", []
    for portion in (2, 2, 1):
        result = api("Folder/changes", sinceState=state, maxChanges=1000)
        assert len(result["created"]) == portion
        assert result["hasMoreChanges"] == (portion == 2)
        seen += result["created"]
        state = result["newState"]
    assert seen == made
    assert len(api("Folder/changes", sinceState="0", maxChanges=1)["created"]) == 1


@pytest.mark.parametrize("state", ["", "x", "01", "+1", "-1", "1.0", "999", "9" * 100, "1" * 10_000, "¹", "٠"])
def test_changes_since_what_never_was(api: Any, state: str) -> None:
    assert api("Folder/changes", sinceState=state)["type"] == "cannotCalculateChanges"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sinceState": None},
        {"sinceState": 0},
        {"sinceState": "0", "maxChanges": 0},
        {"sinceState": "0", "maxChanges": -1},
        {"sinceState": "0", "maxChanges": True},
        {"sinceState": "0", "maxChanges": 2**53},
        {"sinceState": "0", "maxChanges": "1"},
    ],
)
def test_arguments_that_changes_refuses(api: Any, arguments: Any) -> None:
    assert api("Folder/changes", **arguments)["type"] == "invalidArguments"
