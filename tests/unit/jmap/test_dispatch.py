from __future__ import annotations

import logging
from typing import Any

import pytest

from flaskmail.errors import ConfigError, RequestError
from flaskmail.jmap.context import Limits
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.method import Method

CORE = "urn:ietf:params:jmap:core"
FOLDERS = "https://example.com/jmap/folders"
TAGS = "https://example.com/jmap/tags"
PROBLEM = "urn:ietf:params:jmap:error:"


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"this is not json", "notJSON"),
        (b'{"using":[],"using":[],"methodCalls":[]}', "notJSON"),
        (b'{"foo":"bar"}', "notRequest"),
        (b"[]", "notRequest"),
        (b'{"using":"x","methodCalls":[]}', "notRequest"),
        (b'{"using":[1],"methodCalls":[]}', "notRequest"),
        (b'{"using":[]}', "notRequest"),
        (b'{"using":[],"methodCalls":"x"}', "notRequest"),
        (b'{"using":[],"methodCalls":[["a",{}]]}', "notRequest"),
        (b'{"using":[],"methodCalls":[["a",[],"c"]]}', "notRequest"),
        (b'{"using":[],"methodCalls":[["a",{},1]]}', "notRequest"),
        (b'{"using":[],"methodCalls":[[1,{},"c"]]}', "notRequest"),
        (b'{"using":[],"methodCalls":[],"createdIds":[]}', "notRequest"),
        (b'{"using":[],"methodCalls":[],"createdIds":{"a":" "}}', "notRequest"),
        (b'{"using":["urn:other"],"methodCalls":[]}', "unknownCapability"),
    ],
)
def test_requests_that_are_refused_as_a_whole(api: Any, body: bytes, type: str) -> None:
    with pytest.raises(RequestError) as refused:
        api.raw(body)
    assert refused.value.status == 400
    assert refused.value.type == PROBLEM + type
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize(("limit", "value"), [("maxCallsInRequest", 2), ("maxSizeRequest", 100)])
def test_limits_of_requests_are_named(make_api: Any, limit: str, value: int) -> None:
    api = make_api(**{limit: value})
    with pytest.raises(RequestError) as refused:
        api.batch(*[["Core/echo", {}, "c"]] * 3)
    assert (refused.value.type, refused.value.extra) == (PROBLEM + "limit", {"limit": limit})


def test_without_capabilities_no_method_is_known(api: Any) -> None:
    assert api.batch(["Core/echo", {}, "c"], using=[])[0][:2] == [
        "error",
        {"type": "unknownMethod", "description": f'Core/echo needs {CORE} in "using".'},
    ]


def test_a_capability_may_imply_others_unless_using_is_strict(make_api: Any) -> None:
    call = ["Tag/get", {"accountId": "A"}, "c"]
    assert make_api().batch(call, using=[FOLDERS])[0][0] == "Tag/get"
    assert make_api().batch(call, using=[CORE])[0][1]["type"] == "unknownMethod"
    strict = make_api(strict_using=True)
    assert strict.batch(call, using=[FOLDERS])[0][1]["type"] == "unknownMethod"
    assert strict.batch(call, using=[FOLDERS, TAGS])[0][0] == "Tag/get"


def test_calls_are_answered_in_order_under_their_ids(api: Any) -> None:
    responses = api.batch(["Core/echo", {"a": 1}, "c"], ["Core/eco", {}, ""], ["Core/echo", {}, "c"])
    assert [(name, id) for name, _, id in responses] == [("Core/echo", "c"), ("error", ""), ("Core/echo", "c")]
    assert "Did you mean Core/echo?" in responses[1][1]["description"]


@pytest.mark.parametrize(
    ("method", "arguments", "type"),
    [
        ("Folder/get", {}, "invalidArguments"),
        ("Folder/get", {"accountId": None}, "invalidArguments"),
        ("Folder/get", {"accountId": 1}, "invalidArguments"),
        ("Folder/get", {"accountId": "no id"}, "invalidArguments"),
        ("Folder/get", {"accountId": "Z"}, "accountNotFound"),
        ("Folder/get", {"accountId": "gone"}, "accountNotFound"),
        ("Folder/set", {"accountId": "R", "create": {}}, "accountReadOnly"),
        ("Folder/copy", {"accountId": "R", "fromAccountId": "A", "create": {}}, "accountReadOnly"),
        ("Folder/nothing", {}, "unknownMethod"),
    ],
)
def test_errors_of_methods(api: Any, method: str, arguments: Any, type: str) -> None:
    ((name, result, _),) = api.batch([method, arguments, "c"])
    assert (name, result["type"]) == ("error", type)


def test_a_mistake_of_ours_stays_here_and_the_next_call_is_made(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "flaskmail.jmap"):
        failed, echoed = api.batch(["Core/explode", {}, "a"], ["Core/echo", {}, "b"])
    assert failed[1]["type"] == "serverFail"
    assert "secret" not in str(failed)
    (record,) = caplog.records
    assert str(record.args[0]) in failed[1]["description"]  # type: ignore[index]
    assert "a secret of the server" in caplog.text
    assert echoed[0] == "Core/echo"


def test_created_ids_come_back_only_when_sent(api: Any) -> None:
    request = {
        "using": [FOLDERS],
        "methodCalls": [
            ["Folder/set", {"accountId": "A", "create": {"k": {"name": "a"}}}, "c"],
            ["Folder/set", {"accountId": "A", "create": {"l": {"name": "b", "parentId": "#k"}}}, "c"],
        ],
    }
    assert "createdIds" not in api.raw(request)
    request["methodCalls"][0][1]["create"]["k"]["name"] = "c"  # type: ignore[index]
    response = api.raw({**request, "createdIds": {"old": "x"}})
    assert set(response["createdIds"]) == {"old", "k", "l"}
    assert response["createdIds"]["k"] == response["methodResponses"][0][1]["created"]["k"]["id"]


def test_created_ids_of_another_server_are_found(api: Any) -> None:
    id = api.create(name="a")
    call = ["Folder/set", {"accountId": "A", "create": {"l": {"name": "b", "parentId": "#k"}}}, "c"]
    ((_, result, _),) = api.batch(call, createdIds={"k": id})
    assert api.folder(result["created"]["l"]["id"])["parentId"] == id


# ---- result references


def reference(result_of: Any = "a", name: Any = "Core/echo", path: Any = "/x") -> Any:
    return {"resultOf": result_of, "name": name, "path": path}


def test_references_bring_values(api: Any) -> None:
    responses = api.batch(
        ["Core/echo", {"x": {"y": [1, {"z": None}]}}, "a"],
        ["Core/echo", {"#v": reference(), "#w": reference(path="/x/y/1/z"), "u": 1}, "b"],
    )
    assert responses[1][1] == {"v": {"y": [1, {"z": None}]}, "w": None, "u": 1}


def test_references_into_lists_of_records(api: Any) -> None:
    ids = [api.create(name="a"), api.create(name="b")]
    responses = api.batch(
        ["Folder/get", {"accountId": "A", "properties": ["name"]}, "a"],
        ["Folder/get", {"accountId": "A", "#ids": reference("a", "Folder/get", "/list/*/id")}, "b"],
        ["Core/echo", {"#list": reference("a", "Folder/get", "/list")}, "c"],
    )
    assert [one["id"] for one in responses[1][1]["list"]] == ids
    assert responses[2][1]["list"] == responses[0][1]["list"]


@pytest.mark.parametrize(
    "wrong",
    [
        reference("z"),
        reference(name="Core/other"),
        reference(path="/y"),
        reference(path="x"),
        reference(path=None),
        {"resultOf": "a", "name": "Core/echo"},
        "a",
        None,
    ],
)
def test_references_to_nothing(api: Any, wrong: Any) -> None:
    responses = api.batch(["Core/echo", {"x": 1}, "a"], ["Core/echo", {"#v": wrong}, "b"])
    assert (responses[1][0], responses[1][1]["type"]) == ("error", "invalidResultReference")


def test_a_reference_takes_the_first_response_of_the_call(api: Any) -> None:
    responses = api.batch(
        ["Core/nothing", {}, "a"], ["Core/echo", {"x": 1}, "a"], ["Core/echo", {"#v": reference()}, "b"]
    )
    assert responses[2][1]["type"] == "invalidResultReference"


def test_an_argument_in_both_forms_is_refused(api: Any) -> None:
    responses = api.batch(["Core/echo", {"x": 1}, "a"], ["Core/echo", {"#v": reference(), "v": 1}, "b"])
    assert responses[1][1]["type"] == "invalidArguments"


def test_a_star_brings_no_more_than_may_be_asked_for(make_api: Any) -> None:
    api = make_api(maxObjectsInGet=5, maxObjectsInSet=5)
    for size, answer in ((5, "Core/echo"), (6, "error")):
        responses = api.batch(
            ["Core/echo", {"x": [["i"]] * size}, "a"], ["Core/echo", {"#v": reference(path="/x/*")}, "b"]
        )
        assert responses[1][0] == answer


def test_doubling_with_each_call_comes_to_an_end(api: Any) -> None:
    calls: list[Any] = [["Core/echo", {"l": ["x" * 100], "r": 1}, "0"]]
    for n in range(1, 64):
        both = {side: reference(str(n - 1), path="") for side in ("#l", "#r")}
        calls.append(["Core/echo", both, str(n)])
    responses = api.batch(*calls)
    assert responses[10][0] == "Core/echo"
    assert {result["type"] for name, result, _ in responses if name == "error"} == {"invalidResultReference"}
    assert sum(len(str(result)) for _, result, _ in responses) < 5 * Limits().maxSizeRequest


# ---- making an engine


def test_what_is_there_twice_or_refers_to_nothing_stops_the_start(api: Any) -> None:
    types, capabilities = list(api.engine.types.values()), list(api.engine.capabilities.values())
    stray = Method("Folder/get", "urn:none", lambda ctx, arguments: {})
    with pytest.raises(ConfigError) as refused:
        Engine([*types, types[0]], [stray], [*capabilities, capabilities[0]], Limits())
    told = str(refused.value)
    assert "Folder: found a second data type" in told
    assert "Folder/get: found a second method" in told
    assert f"{CORE}: found a second capability" in told
    assert "urn:none" in told
    with pytest.raises(ConfigError, match=r"Folder\.tags.*'Tag'"):
        Engine(types[:1], [], capabilities, Limits())


def test_standard_methods_may_be_passed_too(api: Any) -> None:
    from flaskmail.jmap.methods import standard_methods

    types = list(api.engine.types.values())
    methods = [method for kind in types for method in standard_methods(kind)]
    engine = Engine(types, methods, api.engine.capabilities.values(), Limits())
    assert len(engine.methods) == len(methods) == 8


def test_the_sentence_about_a_reference_ends_once(api: Any) -> None:
    reference = {"resultOf": "0", "name": "Core/echo", "path": "/list/6"}
    _, (name, error, _) = api.batch(["Core/echo", {"list": [1]}, "0"], ["Core/echo", {"#x": reference}, "1"])
    assert (name, error["type"]) == ("error", "invalidResultReference")
    assert error["description"] == '"#x" does not resolve: "6" is no index of an array of 1.'
