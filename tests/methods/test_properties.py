"""/get and /set of every declared property: generated from the declaration."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from notes import Note

from flaskmail.jmap.datatype import REQUIRED

Client = Any

POOL: list[Any] = [
    None, True, False, 0, 1, -1, 7.5, 2**53, "", "text", "#x", "2024-02-03T04:05:06Z", "2024-02-30T00:00:00Z",
    [], ["x"], {}, {"x": True}, {"x": False}, {"": True}, {"a b": True},
]  # fmt: skip
PROPS = Note.props
WIRE = {name: prop for name, prop in PROPS.items() if not prop.internal}
SETTABLE = {name: prop for name, prop in WIRE.items() if not (prop.server_set or prop.computed)}
MUTABLE = {name: prop for name, prop in SETTABLE.items() if not prop.immutable}
# An attachment has to name a blob that is there.
RIGHT = [
    (name, value)
    for name, prop in SETTABLE.items()
    for value in POOL
    if prop.check(value) is None and (name != "attachment" or value is None)
]
WRONG = [(name, value) for name, prop in SETTABLE.items() for value in POOL if prop.check(value) is not None]


def other(name: str, value: Any) -> Any:
    return next(each for each in POOL if PROPS[name].check(each) is None and each != value)


def test_the_pool_is_rich_enough() -> None:
    assert {name for name, _ in RIGHT} == set(SETTABLE)
    assert {name for name, _ in WRONG} == set(SETTABLE)


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_a_right_value_is_kept(client: Client, name: str, value: Any) -> None:
    id = client.create(**{name: value})
    assert client.get(id, name) == {"id": id, name: value}
    whole = client.call("Note/get", ids=[id])["list"][0]
    assert whole[name] == value
    assert set(whole) == {"id", *WIRE}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in RIGHT if name in MUTABLE])
def test_a_right_value_can_be_set_later(client: Client, name: str, value: Any) -> None:
    id = client.create()
    before = client.call("Note/get", ids=[id])["list"][0]
    answer = client.call("Note/set", update={id: {name: value}})
    assert id in answer["updated"]
    expected = {**before, name: value}
    expected["words"] = len(expected["body"].split())
    assert client.call("Note/get", ids=[id])["list"] == [expected]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused(client: Client, name: str, value: Any) -> None:
    id = client.create()
    before = client.call("Note/get", ids=[id])["list"]
    answer = client.call("Note/set", create={"k": {"title": "", name: value}}, update={id: {name: value}})
    assert answer["created"] is None
    assert answer["notCreated"]["k"]["type"] == "invalidProperties"
    assert answer["notCreated"]["k"]["properties"] == [name]
    # RFC 8620 section 5.3: null in a patch means the default.
    if value is None and PROPS[name].default is not REQUIRED:
        assert id in answer["updated"]
        return
    assert answer["updated"] is None
    assert answer["notUpdated"][id]["type"] in ("invalidProperties", "invalidPatch")
    assert client.call("Note/get", ids=[id])["list"] == before
    assert answer["oldState"] == answer["newState"]


@pytest.mark.parametrize("name", [name for name, prop in SETTABLE.items() if prop.immutable])
def test_an_immutable_property_stays(client: Client, name: str) -> None:
    id = client.create()
    value = client.get(id, name)[name]
    answer = client.call("Note/set", update={id: {name: other(name, value)}})
    assert answer["notUpdated"][id]["type"] == "invalidProperties"
    assert answer["notUpdated"][id]["properties"] == [name]
    assert id in client.call("Note/set", update={id: {name: value}})["updated"]
    assert client.get(id, name)[name] == value


@pytest.mark.parametrize("name", [name for name, prop in WIRE.items() if prop.server_set or prop.computed])
def test_what_the_server_sets(client: Client, name: str) -> None:
    id = client.create()
    value = client.get(id, name)[name]
    answer = client.call("Note/set", create={"k": {"title": "", name: value}}, update={id: {name: 99}})
    assert answer["notCreated"]["k"]["properties"] == [name]
    assert answer["notUpdated"][id]["properties"] == [name]
    # RFC 8620 section 5.3: the value that it has may be sent back.
    assert id in client.call("Note/set", update={id: {name: value}})["updated"]


@pytest.mark.parametrize(
    "name", [name for name, prop in PROPS.items() if prop.internal] + ["nothing", "", "ID", "title/x"]
)
def test_what_is_no_property(client: Client, name: str) -> None:
    id = client.create()
    assert client.error("Note/get", ids=[id], properties=[name]) == "invalidArguments"
    answer = client.call("Note/set", create={"k": {"title": "", name: "x"}}, update={id: {name: "x"}})
    assert answer["notCreated"]["k"]["type"] == "invalidProperties"
    assert answer["notCreated"]["k"]["properties"] == [name]
    assert answer["notUpdated"][id]["type"] in ("invalidProperties", "invalidPatch")


@pytest.mark.parametrize("name", [name for name, prop in SETTABLE.items() if prop.default is not REQUIRED])
def test_a_default_is_told_and_taken(client: Client, name: str) -> None:
    answer = client.call("Note/set", create={"k": {"title": "x"}})["created"]["k"]
    default = copy.deepcopy(PROPS[name].default)
    assert answer[name] == default
    assert client.get(answer["id"], name)[name] == default


@pytest.mark.parametrize("name", [name for name, prop in SETTABLE.items() if prop.default is REQUIRED])
def test_a_required_property(client: Client, name: str) -> None:
    answer = client.call("Note/set", create={"k": {}})
    assert answer["notCreated"]["k"]["type"] == "invalidProperties"
    assert name in answer["notCreated"]["k"]["properties"]


@pytest.mark.parametrize("name", [name for name, prop in MUTABLE.items() if prop.members])
def test_members_are_patched(client: Client, name: str) -> None:
    id = client.create(**{name: {"x": True}})
    assert id in client.call("Note/set", update={id: {f"{name}/y": True, f"{name}/x": None}})["updated"]
    assert client.get(id, name)[name] == {"y": True}
    answer = client.call("Note/set", update={id: {f"{name}/z": 5}})
    assert id in answer["notUpdated"]
    answer = client.call("Note/set", update={id: {f"{name}/z/z": True}})
    assert answer["notUpdated"][id]["type"] == "invalidPatch"
    answer = client.call("Note/set", update={id: {f"{name}/z": True, name: {}}})
    assert answer["notUpdated"][id]["type"] == "invalidPatch"
    assert client.get(id, name)[name] == {"y": True}


@pytest.mark.parametrize("name", list(WIRE))
def test_get_answers_what_was_asked(client: Client, name: str) -> None:
    id = client.create(title="a", body="two words")
    assert set(client.get(id, name)) == {"id", name}
    assert set(client.get(id, name, "id", name)) == {"id", name}
