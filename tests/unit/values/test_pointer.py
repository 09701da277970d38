from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.values import pointer
from flaskmail.values.pointer import PointerError, Steps, TooMany, resolve

# RFC 6901 section 5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_pointers_of_the_rfc(text: str, value: Any) -> None:
    assert pointer.resolve(DOCUMENT, text) == value


@pytest.mark.parametrize(
    "text",
    ["foo", "/foo/2", "/foo/-", "/foo/01", "/foo/+1", "/foo/٠", "/bar", "/foo/0/x", "/m~2n", "/m~", "/foo/*", "#/foo"],
)
def test_pointers_to_nothing(text: str) -> None:
    with pytest.raises(pointer.PointerError):
        pointer.resolve(DOCUMENT, text)


def test_a_star_maps_and_flattens_once() -> None:
    document = {"list": [{"id": "a", "to": [["x"], ["y"]]}, {"id": "b", "to": []}, {"id": "c", "to": [["z"]]}], "*": 1}
    assert pointer.resolve(document, "/list/*/id", star=True) == ["a", "b", "c"]
    assert pointer.resolve(document, "/list/*/to", star=True) == [["x"], ["y"], ["z"]]
    assert pointer.resolve(document, "/list/*/to/*", star=True) == ["x", "y", "z"]
    assert pointer.resolve(document, "/*", star=True) == 1
    assert pointer.resolve({"list": []}, "/list/*/id", star=True) == []
    with pytest.raises(pointer.PointerError):
        pointer.resolve(document, "/list/*/other", star=True)


def test_a_star_makes_no_more_than_the_limit() -> None:
    document = [[1] * 10] * 10
    assert len(pointer.resolve(document, "/*", star=True, limit=100)) == 100
    with pytest.raises(pointer.TooMany):
        pointer.resolve(document, "/*", star=True, limit=99)


def test_ready_json_is_decoded_on_the_way_and_at_the_end() -> None:
    document = {"list": [msgspec.Raw(b'{"id":"a","n":{"x":1}}'), msgspec.Raw(b'{"id":"b","n":{}}')]}
    assert pointer.resolve(document, "/list/*/id", star=True) == ["a", "b"]
    assert pointer.resolve(document, "/list/0/n/x") == 1
    assert pointer.resolve(document, "/list/1") == {"id": "b", "n": {}}


@given(st.text())
def test_escaping_is_undone_by_parsing(token: str) -> None:
    assert pointer.parse("/" + pointer.escape(token)) == (token,)


RECORD = {"name": "a", "keywords": {"$seen": True}, "alerts": {"1": {"offset": 5}}, "list": [{"a": 1}], "none": None}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, {}),
        ({"name": "b"}, {"name": "b"}),
        ({"name": None}, {"name": "default name"}),
        ({"new": 1}, {"new": 1}),
        ({"keywords/$flagged": True}, {"keywords": {"$seen": True, "$flagged": True}}),
        ({"keywords/$seen": None}, {"keywords": {}}),
        ({"keywords/other": None}, {"keywords": {"$seen": True}}),
        ({"keywords/a~1b~0": True, "keywords/$seen": None}, {"keywords": {"a/b~": True}}),
        ({"alerts/1/offset": 6, "alerts/2": {}}, {"alerts": {"1": {"offset": 6}, "2": {}}}),
        ({"list": []}, {"list": []}),
        ({"keywords": {}, "alerts": {}}, {"keywords": {}, "alerts": {}}),
        ({"keywords/a": 1, "keywords/a-b": 2}, {"keywords": {"$seen": True, "a": 1, "a-b": 2}}),
    ],
)
def test_patches(patch: dict[str, Any], changed: dict[str, Any]) -> None:
    before, sent = copy.deepcopy(RECORD), copy.deepcopy(patch)
    assert pointer.patched(RECORD, patch, lambda name: f"default {name}") == changed
    after = pointer.apply_patch(RECORD, patch, lambda name: f"default {name}")
    assert after == {**RECORD, **changed}
    assert before == RECORD
    assert sent == patch


@pytest.mark.parametrize(
    "patch",
    [
        {"alerts/1/offset": 1, "alerts": {}},
        {"alerts": {}, "alerts/1": {}},
        {"alerts/1": {}, "alerts-1": 1, "alerts/1/offset": 1},
        {"list/0": {}},
        {"list/0/a": 2},
        {"list/-": 2},
        {"name/x": 1},
        {"none/x": 1},
        {"new/x": 1},
        {"alerts/2/offset": 1},
        {"alerts/2/offset": None},
        {"/keywords/$seen": True},
        {"keywords/~2": True},
        {"keywords/~": True},
    ],
)
def test_patches_that_cannot_be_applied(patch: dict[str, Any]) -> None:
    before = copy.deepcopy(RECORD)
    with pytest.raises(pointer.PatchError) as refused:
        pointer.patched(RECORD, patch)
    assert str(refused.value).endswith(".")
    assert before == RECORD


def test_without_defaults_null_removes_a_property() -> None:
    assert pointer.apply_patch({"a": 1, "b": 2}, {"a": None, "c": None}) == {"b": 2}


def test_what_a_patch_leaves_alone_is_shared_and_the_rest_is_not() -> None:
    after = pointer.apply_patch(RECORD, {"keywords/x": True})
    assert after["alerts"] is RECORD["alerts"]
    assert after["keywords"] is not RECORD["keywords"]


def test_many_patches_of_one_value_copy_it_once() -> None:
    record = {"keywords": {f"k{n}": True for n in range(20_000)}}
    patch = {f"keywords/n{n}": True for n in range(20_000)}
    assert len(pointer.patched(record, patch)["keywords"]) == 40_000


READY = (
    b'[{"id":"a","to":[1,2],"deep":{"x":"p"}},{"id":"b\\u00e9","to":[],"deep":{"x":null}},'
    b'{"id":null,"to":3,"deep":{"x":[[4]]}}]'
)


@pytest.mark.parametrize(
    "path", ["/list/*/id", "/list/*/to", "/list/*/deep", "/list/*/deep/x", "/list/*", "/list/1/id", "/list"]
)
def test_ready_json_is_resolved_as_what_it_stands_for(path: str) -> None:
    plain = {"list": msgspec.json.decode(READY)}
    assert resolve({"list": msgspec.Raw(READY)}, path, star=True) == resolve(plain, path, star=True)


@pytest.mark.parametrize(
    "path",
    ["/list/*/none", "/list/*/a\\b", '/list/*/"', "/list/*/" + "n" * 200, "/list/*/id/x", "/list/*/to/x", "/list/3"],
)
def test_ready_json_fails_as_what_it_stands_for(path: str) -> None:
    said = []
    for value in (msgspec.Raw(READY), msgspec.json.decode(READY)):
        with pytest.raises(PointerError) as caught:
            resolve({"list": value}, path, star=True)
        said.append(str(caught.value))
    assert said[0].split("{")[0] == said[1].split("{")[0]


@pytest.mark.parametrize("ready", [b'{"id":[1]}', b'[[{"id":1}]]', b"[1]", b'"text"', b"[]"])
def test_a_star_on_other_ready_json(ready: bytes) -> None:
    def outcome(value: object) -> object:
        try:
            return resolve({"list": value}, "/list/*/id", star=True)
        except PointerError:
            return "refused"

    assert outcome(msgspec.Raw(ready)) == outcome(msgspec.json.decode(ready))


def test_ready_json_has_the_same_limits() -> None:
    document = {"list": msgspec.Raw(READY)}
    with pytest.raises(TooMany):
        resolve(document, "/list/*/id", star=True, limit=2)
    with pytest.raises(TooMany):
        resolve(document, "/list/*/id", star=True, steps=Steps(2))
