from __future__ import annotations

import pytest
from smallmail import World

from flaskmail.jmap.storage import Reader


def test_email_ids_stand_in_the_order_in_which_they_were_received(world: World) -> None:
    inbox = world.role("inbox")
    dates = ["2024-03-01T00:00:00Z", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]
    ids = [world.email(inbox, thread="t1", receivedAt=date) for date in dates]
    answer = world.call("Thread/get", ids=["t1", "nowhere"])
    assert answer["list"] == [{"id": "t1", "emailIds": [ids[1], ids[2], ids[0]]}]
    assert answer["notFound"] == ["nowhere"]


def test_only_the_id_is_answered_when_nothing_else_is_asked_for(world: World) -> None:
    world.email(world.role("inbox"), thread="t1")
    assert world.call("Thread/get", ids=["t1"], properties=["id"])["list"] == [{"id": "t1"}]


def test_fifty_threads_are_one_question(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = world.role("inbox")
    emails = {f"t{n}": [world.email(inbox, thread=f"t{n}")] for n in range(50)}
    asked: list[int] = []
    with world.reader() as reader:
        kind = type(reader)
    real = kind.grouped

    def grouped(self: Reader, kind: str, column: str, values: list[str]) -> dict[str, list[str]]:
        asked.append(len(values))
        return real(self, kind, column, values)

    monkeypatch.setattr(kind, "grouped", grouped)
    listed = world.call("Thread/get", ids=list(emails))["list"]
    assert {thread["id"]: thread["emailIds"] for thread in listed} == emails
    assert asked == [50]
