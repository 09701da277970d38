from __future__ import annotations

from typing import Any

import pytest

EMPTY = dict.fromkeys(("created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed"))


def test_a_set_of_nothing_changes_nothing(api: Any) -> None:
    api.create(name="a")
    state = api("Folder/get")["state"]
    result = api("Folder/set", create=None, update={}, destroy=[])
    assert result == {"accountId": "A", "oldState": state, "newState": state, **EMPTY}


def test_a_create_tells_what_was_not_sent(api: Any) -> None:
    result = api("Folder/set", create={"k": {"name": "Work", "order": 3, "parentId": None}})
    id = result["created"]["k"]["id"]
    assert result["created"] == {
        "k": {"id": id, "tags": {}, "links": [], "kind": "plain", "size": 0, "slug": "work", "upper": "WORK"}
    }
    assert (result["oldState"], result["newState"]) == ("0", api("Folder/get")["state"])
    assert {name: result[name] for name in EMPTY if name != "created"} == {n: None for n in EMPTY if n != "created"}
    assert api("Folder/set", create={"l": {"name": "x"}})["created"]["l"]["order"] == 7


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, ["name"]),
        ({"name": 1}, ["name"]),
        ({"name": "a", "nope": 1, "hidden": "x", "id": "f1"}, ["hidden", "id", "nope"]),
        ({"name": "a", "size": 0, "upper": "A"}, ["size", "upper"]),
        ({"name": "a", "order": True, "tags": {"t": False}}, ["order", "tags"]),
        ({"order": -1}, ["name", "order"]),
        (
            {"name": "a", "parentId": "#nobody", "tags": {"#none": True}, "links": ["#none"]},
            ["links", "parentId", "tags"],
        ),
    ],
)
def test_creates_that_are_wrong_name_every_property(api: Any, sent: Any, named: list[str]) -> None:
    result = api("Folder/set", create={"bad": sent, "good": {"name": "good"}})
    error = result["notCreated"]["bad"]
    assert (error["type"], sorted(error["properties"])) == ("invalidProperties", named)
    assert error["description"].endswith(".")
    assert list(result["created"]) == ["good"]


def test_creates_refer_to_each_other_in_any_order(api: Any) -> None:
    create = {
        "leaf": {"name": "leaf", "parentId": "#branch", "links": ["#root", "#branch"]},
        "branch": {"name": "branch", "parentId": "#root"},
        "root": {"name": "root"},
    }
    created = api("Folder/set", create=create)["created"]
    ids = {key: value["id"] for key, value in created.items()}
    leaf = api.folder(ids["leaf"])
    assert (leaf["parentId"], leaf["links"]) == (ids["branch"], [ids["root"], ids["branch"]])
    assert created["leaf"]["parentId"] == ids["branch"]
    assert "parentId" not in created["root"] or created["root"]["parentId"] is None
    # What refers to nothing of the same call is prepared before the transaction.
    assert api.engine.types["Folder"].prepared_in == [False, True, True]


def test_circles_and_failed_parents_are_not_created(api: Any) -> None:
    create = {
        "a": {"name": "a", "parentId": "#b"},
        "b": {"name": "b", "parentId": "#a"},
        "self": {"name": "s", "parentId": "#self"},
        "wrong": {"name": 1},
        "child": {"name": "c", "parentId": "#wrong"},
        "fine": {"name": "f"},
    }
    result = api("Folder/set", create=create)
    assert list(result["created"]) == ["fine"]
    assert {key: error["properties"] for key, error in result["notCreated"].items()} == {
        "a": ["parentId"],
        "b": ["parentId"],
        "self": ["parentId"],
        "wrong": ["name"],
        "child": ["parentId"],
    }


def test_references_across_calls_types_and_kinds_of_values(api: Any) -> None:
    _, set_folder, update, got = api.batch(
        ["Tag/set", {"accountId": "A", "create": {"t": {"name": "red"}, "u": {"name": "blue"}}}, "0"],
        ["Folder/set", {"accountId": "A", "create": {"k": {"name": "a", "tags": {"#t": True}}}}, "1"],
        ["Folder/set", {"accountId": "A", "update": {"#k": {"tags/#u": True, "parentId": "#k", "links": ["#k"]}}}, "2"],
        ["Folder/get", {"accountId": "A"}, "3"],
    )
    id = set_folder[1]["created"]["k"]["id"]
    assert update[1]["updated"] == {id: None}
    folder = got[1]["list"][0]
    assert (folder["parentId"], folder["links"], len(folder["tags"])) == (id, [id], 2)


def test_update_and_destroy_what_the_same_call_creates(api: Any) -> None:
    result = api(
        "Folder/set", create={"a": {"name": "a"}, "b": {"name": "b"}}, update={"#a": {"order": 1}}, destroy=["#b"]
    )
    a, b = (result["created"][key]["id"] for key in "ab")
    assert (result["updated"], result["destroyed"]) == ({a: None}, [b])
    assert [one["id"] for one in api("Folder/get")["list"]] == [a]


def test_the_newest_creation_under_an_id_counts(api: Any) -> None:
    calls = [["Folder/set", {"accountId": "A", "create": {"k": {"name": name}}}, name] for name in ("a", "b")]
    calls.append(["Folder/set", {"accountId": "A", "destroy": ["#k"]}, "c"])
    first, _, _ = api.batch(*calls)
    assert [one["id"] for one in api("Folder/get")["list"]] == [first[1]["created"]["k"]["id"]]


def test_an_update_tells_what_was_not_asked_for(api: Any) -> None:
    id = api.create(name="a")
    result = api("Folder/set", update={id: {"name": "B", "order": 1}})
    assert result["updated"] == {id: {"slug": "b"}}
    assert int(result["newState"]) == int(result["oldState"]) + 1
    again = api("Folder/set", update={id: {"name": "B"}})
    assert again["updated"] == {id: None}
    assert again["newState"] == again["oldState"]


def test_a_whole_record_may_be_sent_back(api: Any) -> None:
    id = api.create(name="a", tags={"t1": True})
    folder = api.folder(id)
    assert "upper" in folder
    assert "size" in folder
    assert api("Folder/set", update={id: folder | {"order": 2}})["updated"] == {id: None}
    assert api.folder(id) == folder | {"order": 2}


@pytest.mark.parametrize(
    ("patch", "named"),
    [
        ({"size": 1}, ["size"]),
        ({"size": False}, ["size"]),
        ({"upper": "B"}, ["upper"]),
        ({"id": "other"}, ["id"]),
        ({"kind": "other"}, ["kind"]),
        ({"nope": 1, "hidden": "h", "order": "x"}, ["hidden", "nope", "order"]),
        ({"name": None}, ["name"]),
        ({"tags/t2": False}, ["tags"]),
        ({"tags/no id": True}, ["tags"]),
        ({"parentId": "#nobody", "tags/#none": True}, ["parentId", "tags"]),
    ],
)
def test_updates_that_are_wrong_name_every_property(api: Any, patch: Any, named: list[str]) -> None:
    id = api.create(name="a")
    before = api("Folder/get")
    error = api("Folder/set", update={id: patch})["notUpdated"][id]
    assert (error["type"], sorted(error["properties"])) == ("invalidProperties", named)
    assert api("Folder/get") == before


@pytest.mark.parametrize(
    "patch",
    [
        {"tags": {}, "tags/t1": True},
        {"links/0": "x"},
        {"name/first": "x"},
        {"parentId/x": "y"},
        {"tags/t1/x": True},
        {"/name": "b"},
        {"tags/~": True},
    ],
)
def test_patches_that_are_no_patches(api: Any, patch: Any) -> None:
    id = api.create(name="a", tags={"t1": True})
    assert api("Folder/set", update={id: patch})["notUpdated"][id]["type"] == "invalidPatch"


def test_null_sets_the_default(api: Any) -> None:
    id = api.create(name="a", order=1, tags={"t1": True, "t2": True})
    assert api("Folder/set", update={id: {"order": None, "tags/t1": None}})["notUpdated"] is None
    folder = api.folder(id)
    assert (folder["order"], folder["tags"]) == (7, {"t2": True})
    api("Folder/set", update={id: {"tags": None}})
    assert api.folder(id)["tags"] == {}


def test_what_is_not_there(api: Any) -> None:
    result = api("Folder/set", update={"x": {}, "#k": {}, "no id": {}}, destroy=["x", "#k", "x", "no id"])
    assert {key: error["type"] for key, error in result["notUpdated"].items()} == dict.fromkeys(
        ("x", "#k", "no id"), "notFound"
    )
    assert {key: error["type"] for key, error in result["notDestroyed"].items()} == dict.fromkeys(
        ("x", "#k", "no id"), "notFound"
    )


def test_what_is_destroyed_is_not_updated_before(api: Any) -> None:
    id = api.create(name="a")
    result = api("Folder/set", update={id: {"order": 1}}, destroy=[id, id])
    assert result["notUpdated"][id]["type"] == "willDestroy"
    assert result["destroyed"] == [id]
    assert result["notDestroyed"] is None


def test_if_in_state(api: Any) -> None:
    id = api.create(name="a")
    state = api("Folder/get")["state"]
    for arguments in ({"create": {"k": {"name": "b"}}}, {"update": {id: {"order": 1}}}, {"destroy": [id]}, {}):
        assert api("Folder/set", ifInState="nonsense", **arguments)["type"] == "stateMismatch"
    assert api("Folder/get")["state"] == state
    assert api("Folder/set", ifInState=state, update={id: {"order": 1}})["updated"] == {id: None}
    assert api("Folder/set", ifInState=state, update={id: {"order": 2}})["type"] == "stateMismatch"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ifInState": 1}, ["ifInState"]),
        ({"create": []}, ["create"]),
        ({"create": {"k": None}}, ["create"]),
        ({"create": {"no id": {}}}, ["create"]),
        ({"update": {"x": None}}, ["update"]),
        ({"destroy": {"x": True}}, ["destroy"]),
        ({"destroy": [1]}, ["destroy"]),
        ({"evenWithChildren": 1, "other": 1}, ["evenWithChildren", "other"]),
    ],
)
def test_arguments_that_set_refuses_by_name(api: Any, arguments: Any, named: list[str]) -> None:
    result = api("Folder/set", **arguments)
    assert (result["type"], result["arguments"]) == ("invalidArguments", named)


def test_a_set_has_a_limit(make_api: Any) -> None:
    api = make_api(maxObjectsInSet=3)
    folders = {key: {"name": key} for key in "ab"}
    assert api("Folder/set", create=folders, update={"x": {}}, destroy=["y"])["type"] == "requestTooLarge"
    assert api("Folder/get")["list"] == []
    assert not api("Folder/set", create=folders, update={"x": {}}).get("error")


def test_arguments_of_the_type_reach_its_rules(api: Any) -> None:
    parent = api.create(name="a")
    api.create(name="b", parentId=parent)
    assert api("Folder/set", destroy=[parent])["notDestroyed"][parent]["type"] == "hasChild"
    assert api("Folder/set", destroy=[parent], evenWithChildren=True)["destroyed"] == [parent]


# ---- RFC 8620 section 5.3: what is right in the final state is right


def test_names_are_swapped(api: Any) -> None:
    a, b, c = (api.create(name=name) for name in "abc")
    result = api("Folder/set", update={a: {"name": "b"}, b: {"name": "c"}, c: {"name": "a"}})
    assert result["notUpdated"] is None
    assert result["updated"] == {a: {"slug": "b"}, b: {"slug": "c"}, c: {"slug": "a"}}
    assert [api.folder(id, "name")["name"] for id in (a, b, c)] == ["b", "c", "a"]


def test_names_are_handed_on(api: Any) -> None:
    a, b = (api.create(name=name) for name in "ab")
    assert api("Folder/set", update={a: {"name": "b"}, b: {"name": "c"}})["notUpdated"] is None
    assert [api.folder(id, "name")["name"] for id in (a, b)] == ["b", "c"]


def test_what_stays_wrong_is_not_touched(api: Any) -> None:
    a, b, _ = (api.create(name=name) for name in "abc")
    before = api("Folder/get")
    result = api("Folder/set", update={a: {"name": "c"}, b: {"name": "c"}})
    assert {key: error["type"] for key, error in result["notUpdated"].items()} == {
        a: "alreadyExists",
        b: "alreadyExists",
    }
    assert result["updated"] is None
    assert api("Folder/get") == before


def test_a_swap_that_stays_wrong_is_taken_back(api: Any) -> None:
    a, b, c = (api.create(name=name) for name in "abc")
    before = api("Folder/get")["list"]
    result = api("Folder/set", update={a: {"name": "b"}, b: {"name": "a", "parentId": "missing"}, c: {"order": 1}})
    assert {key: error["type"] for key, error in result["notUpdated"].items()} == {
        a: "alreadyExists",
        b: "invalidProperties",
    }
    assert result["updated"] == {c: None}
    before[2]["order"] = 1
    assert api("Folder/get")["list"] == before


def test_names_are_free_when_their_owners_go(api: Any) -> None:
    a, b, c = (api.create(name=name) for name in "abc")
    result = api("Folder/set", create={"k": {"name": "a"}}, update={b: {"name": "c"}}, destroy=[a, c])
    assert (list(result["created"]), list(result["updated"]), result["destroyed"]) == (["k"], [b], [a, c])
    assert result["notCreated"] is result["notUpdated"] is None
    assert api("Folder/set", create={"k": {"name": "a"}})["notCreated"]["k"]["type"] == "alreadyExists"


def test_parents_go_with_their_children(api: Any) -> None:
    a = api.create(name="a")
    b = api.create(name="b", parentId=a)
    c = api.create(name="c", parentId=b)
    result = api("Folder/set", destroy=[a, b, c])
    assert sorted(result["destroyed"]) == sorted([a, b, c])
    assert result["notDestroyed"] is None


# ---- one transaction


@pytest.mark.parametrize("where", ["create", "update"])
def test_a_mistake_of_ours_leaves_nothing_behind(api: Any, where: str) -> None:
    id = api.create(name="a")
    before = api("Folder/get")
    if where == "create":
        result = api("Folder/set", create={"k": {"name": "b"}, "l": {"name": "explode"}})
    else:
        result = api("Folder/set", create={"k": {"name": "b"}}, update={id: {"name": "explode"}})
    assert result["type"] == "serverFail"
    assert "secret" not in str(result)
    assert api("Folder/get") == before


def test_what_was_rolled_back_is_no_creation(api: Any) -> None:
    id = api.create(name="a")
    responses = api.batch(
        ["Folder/set", {"accountId": "A", "create": {"k": {"name": "b"}}, "update": {id: {"name": "explode"}}}, "0"],
        ["Folder/set", {"accountId": "A", "create": {"l": {"name": "c", "parentId": "#k"}}}, "1"],
        createdIds={},
    )
    assert responses[0][0] == "error"
    assert responses[1][1]["notCreated"]["l"]["properties"] == ["parentId"]


def test_what_refers_to_a_creation_that_waited_is_done_too(api: Any) -> None:
    old, other = api.create(name="new"), api.create(name="other")
    result = api(
        "Folder/set",
        create={"child": {"name": "child", "parentId": "#k"}, "k": {"name": "new"}},
        update={other: {"parentId": "#k", "order": 3}, "#child": {"order": 4}},
        destroy=[old],
    )
    assert (result["notCreated"], result["notUpdated"], result["destroyed"]) == (None, None, [old])
    new, child = (result["created"][key]["id"] for key in ("k", "child"))
    assert [api.folder(id)["parentId"] for id in (child, other)] == [new, new]
    assert [api.folder(id)["order"] for id in (child, other)] == [4, 3]


def test_a_parent_goes_when_its_child_could_move_in_the_end(api: Any) -> None:
    parent, taken = api.create(name="parent"), api.create(name="name")
    child = api.create(name="name", parentId=parent)
    result = api("Folder/set", update={child: {"parentId": None}}, destroy=[taken, parent])
    assert (result["notUpdated"], result["notDestroyed"]) == (None, None)
    assert sorted(result["destroyed"]) == sorted([taken, parent])
    assert [one["id"] for one in api("Folder/get")["list"]] == [child]


def test_what_refers_to_a_creation_that_never_came_is_refused(api: Any) -> None:
    taken, other = api.create(name="a"), api.create(name="b")
    result = api(
        "Folder/set",
        create={"k": {"name": "a"}, "child": {"name": "c", "parentId": "#k"}},
        update={other: {"parentId": "#k"}, "#k": {"order": 1}, "#child": {"parentId": taken}},
    )
    assert {key: error["type"] for key, error in result["notCreated"].items()} == {
        "k": "alreadyExists",
        "child": "invalidProperties",
    }
    assert {key: error["type"] for key, error in result["notUpdated"].items()} == {
        other: "invalidProperties",
        "#k": "notFound",
        "#child": "notFound",
    }
    assert result["oldState"] == result["newState"]
