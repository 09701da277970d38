"""The six methods: what every one of them answers and refuses, whatever the type."""

from __future__ import annotations

from typing import Any

import pytest
from notes import Note

Client = Any

METHODS = [f"Note/{name}" for name in Note.methods]
NEEDED: dict[str, dict[str, Any]] = {
    "Note/changes": {"sinceState": "0"},
    "Note/queryChanges": {"sinceQueryState": "0"},
    "Note/copy": {"create": {}},
}


def right(client: Client, method: str) -> dict[str, Any]:
    more = {"fromAccountId": client.other} if method == "Note/copy" else {}
    return {**NEEDED.get(method, {}), **more}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_its_account(client: Client, method: str) -> None:
    assert client.call(method, **right(client, method))["accountId"] == client.id


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("account", "error"),
    [("nobody", "accountNotFound"), (None, "invalidArguments"), (5, "invalidArguments"), ("", "invalidArguments")],
)
def test_accounts_are_checked(client: Client, method: str, account: Any, error: str) -> None:
    assert client.error(method, **{**right(client, method), "accountId": account}) == error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["nothing", "Ids", "accountid", ""])
def test_unknown_arguments_are_refused(client: Client, method: str, name: str) -> None:
    assert client.error(method, **{**right(client, method), name: None}) == "invalidArguments"


@pytest.mark.parametrize("method", ["Note/changes", "Note/queryChanges"])
@pytest.mark.parametrize("state", ["1", "99999999999999999999999", "-1", "", "x", "00", "1.0", " 0", "\u0660"])
def test_states_that_never_were(client: Client, method: str, state: str) -> None:
    name = "sinceState" if method == "Note/changes" else "sinceQueryState"
    assert client.error(method, **{name: state}) == "cannotCalculateChanges"


@pytest.mark.parametrize("method", ["Note/changes", "Note/queryChanges"])
def test_states_that_are_too_old(client: Client, method: str) -> None:
    name = "sinceState" if method == "Note/changes" else "sinceQueryState"
    first, second = client.create(), client.create()
    state = client.call("Note/get", ids=[])["state"]
    client.call("Note/set", destroy=[first])
    newer = client.call("Note/set", destroy=[second])["oldState"]
    store = client.server.store
    store.keep_history(1)
    try:
        assert store.trim(client.id) == 1
    finally:
        store.keep_history(10**9)
    assert client.error(method, **{name: state}) == "cannotCalculateChanges"
    told = client.call(method, **{name: newer})
    assert told.get("destroyed", told.get("removed")) == [second]


@pytest.mark.parametrize("method", ["Note/changes", "Note/queryChanges"])
def test_a_state_must_be_given_as_text(client: Client, method: str) -> None:
    name = "sinceState" if method == "Note/changes" else "sinceQueryState"
    assert client.error(method) == "invalidArguments"
    for wrong in (None, 0, [], {}):
        assert client.error(method, **{name: wrong}) == "invalidArguments"


def test_a_life(client: Client) -> None:
    empty = client.call("Note/get", ids=None)
    assert (empty["list"], empty["notFound"]) == ([], [])
    made = client.call("Note/set", create={"a": {"title": "one"}, "b": {"title": "two"}})
    assert made["oldState"] == empty["state"]
    one, two = made["created"]["a"]["id"], made["created"]["b"]["id"]
    got = client.call("Note/get", ids=[two, "zzz", one], properties=["title"])
    assert got["list"] == [{"id": two, "title": "two"}, {"id": one, "title": "one"}]
    assert got["notFound"] == ["zzz"]
    assert got["state"] == made["newState"]
    changes = client.call("Note/changes", sinceState=empty["state"])
    assert changes["created"] == [one, two]
    assert (changes["updated"], changes["destroyed"], changes["hasMoreChanges"]) == ([], [], False)
    assert changes["newState"] == made["newState"]
    updated = client.call("Note/set", update={one: {"title": "1"}}, destroy=[two])
    changes = client.call("Note/changes", sinceState=made["newState"])
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [one], [two])
    assert changes["newState"] == updated["newState"]
    assert changes["updatedProperties"] is None
    assert client.call("Note/query")["ids"] == [one]
    assert client.error("Note/set", ifInState=made["newState"], destroy=[one]) == "stateMismatch"
    assert client.call("Note/set", ifInState=updated["newState"], destroy=[one])["destroyed"] == [one]
    assert client.call("Note/get", ids=None)["list"] == []


def test_changes_in_pages(client: Client) -> None:
    ids = [client.create(title=str(n)) for n in range(5)]
    since, seen = "0", []
    for _ in range(5):
        page = client.call("Note/changes", sinceState=since, maxChanges=2)
        seen.append(page["created"])
        since = page["newState"]
        if not page["hasMoreChanges"]:
            break
    assert seen == [ids[:2], ids[2:4], ids[4:]]
    for wrong in (0, -1, "2", 1.5, True):
        assert client.error("Note/changes", sinceState="0", maxChanges=wrong) == "invalidArguments"


def test_counters_are_told_apart(client: Client) -> None:
    id = client.create()
    before = client.call("Note/get", ids=[])["state"]
    with client.server.store.write(client.id) as txn:
        txn.update("Note", id, {"views": 5})
    answer = client.call("Note/changes", sinceState=before)
    assert (answer["updated"], answer["updatedProperties"]) == ([id], ["views"])


def test_copy(client: Client) -> None:
    id = client.create(title="mine", body="text", categories={"x": True}, topic="t", createdAt="2020-01-01T00:00:00Z")
    answer = client.call(
        "Note/copy", accountId=client.other, fromAccountId=client.id, create={"k": {"id": id, "title": "theirs"}}
    )
    assert answer["notCreated"] is None
    new = answer["created"]["k"]["id"]
    (copied,) = client.call("Note/get", accountId=client.other, ids=[new])["list"]
    (original,) = client.call("Note/get", ids=[id])["list"]
    assert copied == {**original, "id": new, "title": "theirs"}
    assert client.call("Note/query", accountId=client.other, filter={"text": "theirs"})["ids"] == [new]
    assert client.error("Note/copy", fromAccountId=client.id, create={"k": {"id": id}}) == "invalidArguments"
    answer = client.call("Note/copy", accountId=client.other, fromAccountId=client.id, create={"k": {"id": "none"}})
    assert answer["notCreated"]["k"]["type"] == "notFound"
    assert client.error("Note/copy", fromAccountId="nobody", create={}) == "fromAccountNotFound"
