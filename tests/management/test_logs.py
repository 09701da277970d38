from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from flaskmail.logs import Writer
from flaskmail.logs.events import event, line
from flaskmail.testing import PASSWORD, MadeServer, basic

from .conftest import Manager

NOW = 20_000 * 86400.0


def folder(made: MadeServer) -> Path:
    return made.server.settings.storage.path / "logs"


def write(made: MadeServer, *numbers: int) -> None:
    writer = Writer(folder(made), clock=lambda: NOW)
    for number in numbers:
        level = ("INFO", "WARN")[number % 2]
        writer.write(
            line(event(NOW + number, level, f"number {number}", f"area.{number % 3}", {"n": number, "who": "x y"}))
        )
    writer.close()


def test_the_log_is_listed_newest_first(made: MadeServer, admin: Manager) -> None:
    assert admin("GET", "/logs").data == {"items": [], "total": 0, "complete": True}
    write(made, *range(250))
    found = admin("GET", "/logs").data
    assert (len(found["items"]), found["total"], found["complete"]) == (100, 250, True)
    assert found["items"][0] == {
        "timestamp": "2024-10-04T00:04:09.000Z",
        "level": "WARN",
        "event": "number 249",
        "event_id": "area.0",
        "details": "n = 249, who = x y",
        "data": {"n": 249, "who": "x y"},
    }
    assert [one["data"]["n"] for one in admin("GET", "/logs", page=3, limit=100).data["items"]] == list(
        range(49, -1, -1)
    )
    assert len(admin("GET", "/logs", limit=0).data["items"]) == 250


def test_the_log_is_searched(made: MadeServer, admin: Manager) -> None:
    write(made, *range(20))

    def numbers(**query: object) -> list[int]:
        return [one["data"]["n"] for one in admin("GET", "/logs", **query).data["items"]]

    assert numbers(filter="NUMBER 1", level="WARN") == [19, 17, 15, 13, 11, 1]
    assert numbers(event_id="area.1", before="2024-10-04T00:00:08Z") == [7, 4, 1]
    assert numbers(since="2024-10-04T02:00:17+02:00") == [19, 18, 17]


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ({"level": "LOUD"}, "level"),
        ({"since": "yesterday"}, "since"),
        ({"limit": -1}, "limit"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_wrong_questions_are_named(admin: Manager, query: dict[str, object], member: str) -> None:
    said = admin("GET", "/logs", **query)
    assert said.status == 400
    assert said.json["member"] == member


def test_only_who_may_reads_the_log(made: MadeServer, anybody: Manager) -> None:
    made.account("alice@example.org")
    alice = Manager(made, basic("alice@example.org"))
    for path in ("/logs", "/logs/live"):
        assert anybody("GET", path).status == 401
        said = alice("GET", path)
        assert (said.status, said.json["permission"]) == (403, "logs-view")


def test_the_log_is_followed(made: MadeServer) -> None:
    write(made, 1)
    response = made.client.get(
        "/api/logs/live?level=WARN&seconds=30", headers={"Authorization": basic("admin", PASSWORD)}, buffered=False
    )
    assert response.status_code == 200
    assert response.content_type == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    pieces = response.response
    assert next(pieces) == b"retry: 3000\n\n"
    write(made, 2, 3)
    text = next(pieces).decode()
    assert text.startswith("event: log\ndata: {")
    assert json.loads(text.split("data: ")[1])["event"] == "number 3"
    response.close()


def test_streams_are_bounded_and_end_with_the_credential(
    made: MadeServer, admin: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flaskmail.management.logs.max", lambda *numbers: 2, raising=False)
    signed = {"Authorization": basic("admin", PASSWORD)}
    open_ones = [made.client.get("/api/logs/live", headers=signed, buffered=False) for _ in range(2)]
    refused = admin("GET", "/logs/live")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
    open_ones.pop().close()
    # What was given back can be taken again, also when nothing of it was ever read.
    open_ones.append(made.client.get("/api/logs/live", headers=signed, buffered=False))
    assert open_ones[-1].status_code == 200
    stream = iter(open_ones[0].response)
    next(stream)
    made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash("another one entirely"))
    began = time.monotonic()
    assert all(piece == b":\n\n" for piece in stream)
    # By itself it would end after ten minutes.
    assert time.monotonic() - began < 300
    for one in open_ones:
        one.close()
