"""/queryChanges: what it answers at once, what it leaves out, and what it refuses. RFC 8620 section 5.6.

That the answers rebuild the result is shown in tests/model.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from notes import Note

Client = Any

NEWEST_FIRST = [{"property": "createdAt", "isAscending": False}]


def date(day: int) -> str:
    return f"2024-01-{day:02}T00:00:00Z"


@pytest.fixture
def filled(client: Client) -> Client:
    for day in range(1, 6):
        client.create(title=f"n{day}", createdAt=date(day), categories={"x": True}, topic=f"t{day}")
    return client


def state(client: Client) -> str:
    return str(client.call("Note/query")["queryState"])


def changes(client: Client, since: str, **arguments: Any) -> dict[str, Any]:
    return dict(client.call("Note/queryChanges", sinceQueryState=since, **arguments))


def test_nothing_happened(filled: Client) -> None:
    since = state(filled)
    assert changes(filled, since) == {
        "accountId": filled.id, "oldQueryState": since, "newQueryState": since, "removed": [], "added": [],
    }  # fmt: skip
    assert changes(filled, since, calculateTotal=True)["total"] == 5
    assert changes(filled, since, calculateTotal=True, filter={"title": "n1"})["total"] == 1
    assert changes(filled, since, maxChanges=0)["added"] == []


def test_a_new_record(filled: Client) -> None:
    since = state(filled)
    new = filled.create(createdAt=date(3), categories={"x": True})
    for filter in (None, {"inCategory": "x"}):
        answer = changes(filled, since, sort=NEWEST_FIRST, filter=filter)
        assert answer["removed"] == []
        assert answer["added"] == [{"id": new, "index": 2}]
        assert answer["newQueryState"] == state(filled)
        assert answer["oldQueryState"] == since
    assert changes(filled, since, filter={"inCategory": "y"})["added"] == []


def test_what_came_and_went_is_not_told(filled: Client) -> None:
    since = state(filled)
    filled.call("Note/set", destroy=[filled.create(categories={"x": True})])
    for filter in (None, {"inCategory": "x"}):
        answer = changes(filled, since, filter=filter)
        assert (answer["removed"], answer["added"]) == ([], [])
        assert answer["newQueryState"] != since


def test_updates_move_nothing_where_only_immutable_properties_are_read(filled: Client) -> None:
    since = state(filled)
    ids = filled.call("Note/query", sort=NEWEST_FIRST)["ids"]
    filled.call("Note/set", update={id: {"categories": {}, "title": "new"} for id in ids})
    for arguments in ({}, {"sort": NEWEST_FIRST}, {"filter": {"after": date(2)}}, {"filter": {"text": "n1"}}):
        answer = changes(filled, since, **arguments)
        assert (answer["removed"], answer["added"]) == ([], [])
    answer = changes(filled, since, sort=[{"property": "title"}, *NEWEST_FIRST])
    assert sorted(answer["removed"]) == sorted(ids)
    assert answer["added"] == [{"id": id, "index": index} for index, id in enumerate(ids)]


def test_up_to_id_with_immutable_properties(filled: Client) -> None:
    since = state(filled)
    ids = filled.call("Note/query", sort=NEWEST_FIRST)["ids"]
    before, behind = filled.create(createdAt=date(9)), filled.create(createdAt=date(1))
    answer = changes(filled, since, sort=NEWEST_FIRST, upToId=ids[1], calculateTotal=True)
    assert answer["added"] == [{"id": before, "index": 0}]
    assert answer["total"] == 7
    whole = [{"id": before, "index": 0}, {"id": behind, "index": 5}]
    # Ignored: it is not in the result, or the filter reads what can change.
    assert changes(filled, since, sort=NEWEST_FIRST, upToId="gone")["added"] == whole
    assert changes(filled, since, sort=NEWEST_FIRST, upToId=ids[1], filter={"done": False})["added"] == whole
    assert changes(filled, since, sort=NEWEST_FIRST, upToId=ids[1], maxChanges=1)["added"] == whole[:1]


def test_a_changed_record_moves_its_whole_group(client: Client) -> None:
    old, new = client.create(topic="t", createdAt=date(1)), client.create(topic="t", createdAt=date(2))
    apart = client.create(topic="u", createdAt=date(3))
    since = state(client)
    client.call("Note/set", destroy=[new])
    answer = changes(client, since, collapseTopics=True, sort=NEWEST_FIRST)
    assert new in answer["removed"]
    assert apart not in answer["removed"]
    assert answer["added"] == [{"id": old, "index": 1}]


def test_max_changes(filled: Client) -> None:
    since = state(filled)
    new = [filled.create(createdAt=date(9)) for _ in range(3)]
    assert len(changes(filled, since, maxChanges=3)["added"]) == 3
    for most in (0, 2):
        arguments = {"sinceQueryState": since, "maxChanges": most}
        assert filled.error("Note/queryChanges", **arguments) == "tooManyChanges"
        assert filled.error("Note/queryChanges", **arguments, filter={"done": False}) == "tooManyChanges"
    since = state(filled)
    filled.call("Note/set", destroy=new)
    assert filled.error("Note/queryChanges", sinceQueryState=since, maxChanges=2) == "tooManyChanges"


def test_the_servers_own_bound(filled: Client) -> None:
    since = state(filled)
    filled.limits = dataclasses.replace(filled.limits, maxChanges=4)
    ids = filled.call("Note/query")["ids"]
    filled.call("Note/set", update={id: {"done": True} for id in ids})
    arguments = {"sinceQueryState": since, "filter": {"done": True}}
    assert filled.error("Note/queryChanges", **arguments) == "cannotCalculateChanges"
    assert filled.error("Note/queryChanges", **arguments, maxChanges=3) == "tooManyChanges"
    assert changes(filled, since)["added"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        *({"filter": {name: True}} for name, each in Note.filters.items() if not each.local),
        *({"sort": [{"property": name}]} for name, term in Note.sorts.items() if not term.local),
        {"backwards": True},
    ],
)
def test_what_cannot_be_calculated(filled: Client, arguments: dict[str, Any]) -> None:
    answer = filled.call("Note/query", **arguments)
    assert answer["canCalculateChanges"] is False
    for since in ("0", answer["queryState"]):
        assert filled.error("Note/queryChanges", **arguments, sinceQueryState=since) == "cannotCalculateChanges"


@pytest.mark.parametrize(
    "arguments",
    [
        {"maxChanges": -1}, {"maxChanges": "1"}, {"maxChanges": 1.5}, {"maxChanges": True}, {"upToId": ""}, {"upToId": 5},
        {"calculateTotal": None}, {"position": 0}, {"anchor": None}, {"limit": 5}, {"collapseTopics": 1},
    ],
)  # fmt: skip
def test_wrong_arguments(client: Client, arguments: dict[str, Any]) -> None:
    assert client.error("Note/queryChanges", sinceQueryState="0", **arguments) == "invalidArguments"
