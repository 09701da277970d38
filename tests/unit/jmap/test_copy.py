from __future__ import annotations

from typing import Any

import pytest


def copied(api: Any, **arguments: Any) -> list[Any]:
    responses: list[Any] = api.batch(["Folder/copy", {"accountId": "B", "fromAccountId": "A", **arguments}, "c"])
    return responses


def test_a_copy_has_the_properties_of_the_original_but_those_that_are_sent(api: Any) -> None:
    id = api.create(name="Work", order=3, kind="special", tags={"t1": True})
    ((name, result, _),) = copied(api, create={"k": {"id": id, "order": 4}})
    assert name == "Folder/copy"
    new = result["created"]["k"]["id"]
    assert result == {
        "fromAccountId": "A",
        "accountId": "B",
        "oldState": "0",
        "newState": result["newState"],
        "created": {"k": {"id": new, "size": 0, "slug": "work", "upper": "WORK"}},
        "notCreated": None,
    }
    (folder,) = api("Folder/get", account="B")["list"]
    assert folder["id"] == new != id
    # Ids of another account's records mean nothing here.
    assert (folder["name"], folder["order"], folder["kind"], folder["tags"]) == ("Work", 4, "special", {})
    assert api.folder(id)["order"] == 3


def test_copies_refer_to_what_was_created_before(api: Any) -> None:
    id = api.create(name="a")
    first, second = api.batch(
        ["Folder/set", {"accountId": "B", "create": {"p": {"name": "p"}}}, "0"],
        ["Folder/copy", {"accountId": "B", "fromAccountId": "A", "create": {"k": {"id": id, "parentId": "#p"}}}, "1"],
    )
    found = api("Folder/get", account="B", ids=[second[1]["created"]["k"]["id"]])["list"][0]
    assert found["parentId"] == first[1]["created"]["p"]["id"]


def test_copies_that_fail_fail_alone(api: Any) -> None:
    a, b = api.create(name="a"), api.create(name="b")
    create = {
        "ok": {"id": a},
        "missing": {"id": "x"},
        "nothing": {"name": "y"},
        "wrong": {"id": b, "name": 1},
        "twice": {"id": a},
    }
    ((_, result, _),) = copied(api, create=create)
    assert list(result["created"]) == ["ok"]
    errors = result["notCreated"]
    assert {key: error["type"] for key, error in errors.items()} == {
        "missing": "notFound",
        "nothing": "invalidProperties",
        "wrong": "invalidProperties",
        "twice": "alreadyExists",
    }
    assert errors["nothing"]["properties"] == ["id"]
    assert errors["twice"]["existingId"] == result["created"]["ok"]["id"]


def test_originals_are_destroyed_when_asked(api: Any) -> None:
    a, b = api.create(name="a"), api.create(name="b")
    first, second = copied(api, create={"k": {"id": a}, "l": {"id": "x"}}, onSuccessDestroyOriginal=True)
    assert (first[0], second[0], first[2], second[2]) == ("Folder/copy", "Folder/set", "c", "c")
    assert (second[1]["accountId"], second[1]["destroyed"]) == ("A", [a])
    assert [one["id"] for one in api("Folder/get")["list"]] == [b]


def test_nothing_copied_nothing_destroyed(api: Any) -> None:
    assert len(copied(api, create={"l": {"id": "x"}}, onSuccessDestroyOriginal=True)) == 1


def test_the_copy_stands_when_the_originals_stay(api: Any) -> None:
    a = api.create(name="a")
    first, second = copied(api, create={"k": {"id": a}}, onSuccessDestroyOriginal=True, destroyFromIfInState="nonsense")
    assert (first[0], second[0], second[1]["type"]) == ("Folder/copy", "error", "stateMismatch")
    assert first[1]["created"]
    assert len(api("Folder/get")["list"]) == len(api("Folder/get", account="B")["list"]) == 1


def test_originals_in_a_read_only_account_stay(api: Any) -> None:
    with api.store.write("R") as txn:
        record = {
            "name": "a",
            "parentId": None,
            "tags": {},
            "links": [],
            "order": 1,
            "kind": "",
            "size": 0,
            "slug": "a",
        }
        txn.create("Folder", {"id": "f1", **record, "hidden": "h"})
    arguments = {"fromAccountId": "R", "create": {"k": {"id": "f1"}}, "onSuccessDestroyOriginal": True}
    first, second = copied(api, **arguments)
    assert first[1]["created"]
    assert (second[0], second[1]["type"]) == ("error", "accountReadOnly")


@pytest.mark.parametrize(
    ("arguments", "type"),
    [
        ({"fromAccountId": "B", "create": {}}, "invalidArguments"),
        ({"fromAccountId": "Z", "create": {}}, "fromAccountNotFound"),
        ({"fromAccountId": None, "create": {}}, "invalidArguments"),
        ({"create": None}, "invalidArguments"),
        ({}, "invalidArguments"),
        ({"create": {}, "onSuccessDestroyOriginal": 1}, "invalidArguments"),
        ({"create": {}, "ifInState": "nonsense"}, "stateMismatch"),
        ({"create": {}, "ifFromInState": "nonsense"}, "stateMismatch"),
        ({"create": {"k": {"id": "x"}, "l": {"id": "x"}}}, "requestTooLarge"),
    ],
)
def test_errors_of_copy(make_api: Any, arguments: Any, type: str) -> None:
    ((name, result, _),) = copied(make_api(maxObjectsInSet=1), **arguments)
    assert (name, result["type"]) == ("error", type)


def test_states_that_fit_are_right(api: Any) -> None:
    a = api.create(name="a")
    state = api("Folder/get")["state"]
    ((name, _, _),) = copied(api, create={"k": {"id": a}}, ifInState="0", ifFromInState=state)
    assert name == "Folder/copy"
