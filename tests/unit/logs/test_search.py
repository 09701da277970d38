"""Searching the log, and following it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flaskmail import ending
from flaskmail.logs import LiveLog, Streams, Tail, Wanted, Writer, search
from flaskmail.logs.events import event, line
from flaskmail.logs.search import LONGEST, PIECE, backwards

BEGIN = 20_000 * 86400.0


def fill(folder: Path, count: int, *, max_size: int = 16_000_000) -> None:
    now = BEGIN
    writer = Writer(folder, max_size=max_size, clock=lambda: now)
    for number in range(count):
        level = ("DEBUG", "INFO", "WARN", "ERROR")[number % 4]
        details = {"account": f"user{number % 3}@example.org", "note": 'says "hi" \u2028'}
        writer.write(line(event(now, level, f"number {number}", f"area{number % 2}.thing", details)))
        now += 60


@pytest.mark.parametrize("max_size", [500, 16_000_000])
def test_newest_first_page_by_page(tmp_path: Path, max_size: int) -> None:
    fill(tmp_path, 95, max_size=max_size)
    got = []
    for page in range(1, 12):
        found = search(tmp_path, Wanted(), page=page, limit=10)
        assert (found.total, found.complete) == (95, True)
        got += [int(one.event.split()[1]) for one in found.events]
    assert got == list(range(94, -1, -1))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(text="NUMBER 7"), [79, 78, 77, 76, 75, 74, 73, 72, 71, 70, 7]),
        (Wanted(text="User2@", level="ERROR"), [71, 59, 47, 35, 23, 11]),
        (Wanted(text='says "HI"', level="ERROR", since=BEGIN + 70 * 60), [79, 75, 71]),
        (Wanted(text="account = user0@example.org", until=BEGIN + 7 * 60), [6, 3, 0]),
        (Wanted(since=BEGIN + 10 * 60, until=BEGIN + 12 * 60), [11, 10]),
        (Wanted(event_id="area1", level="WARN", until=BEGIN + 8 * 60), [7, 3]),
        (Wanted(event_id="area1.thing", until=BEGIN + 4 * 60), [3, 1]),
        (Wanted(event_id="area", until=BEGIN + 4 * 60), []),
        (Wanted(text="nowhere"), []),
        (Wanted(text="\u2028", until=BEGIN + 60), [0]),
        (Wanted(since=BEGIN + 10**7), []),
        (Wanted(until=BEGIN - 10**7), []),
    ],
)
def test_what_is_wanted(tmp_path: Path, wanted: Wanted, numbers: list[int]) -> None:
    fill(tmp_path, 80, max_size=2000)
    found = search(tmp_path, wanted)
    assert [int(one.event.split()[1]) for one in found.events] == numbers
    assert found.total == len(numbers)


def test_a_search_reads_no_more_than_it_may(tmp_path: Path) -> None:
    fill(tmp_path, 100)
    found = search(tmp_path, Wanted(), most=2000)
    assert not found.complete
    assert 0 < found.total < 20
    assert search(tmp_path, Wanted(text="nowhere"), seconds=-1) == search(tmp_path / "none", Wanted()).__class__(
        [], 0, False
    )


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    found = search(tmp_path / "none", Wanted())
    assert (found.events, found.total, found.complete) == ([], 0, True)


@pytest.mark.parametrize("last", [b"", b"\n", b"no end"])
def test_lines_are_read_backwards_across_pieces(tmp_path: Path, last: bytes) -> None:
    lines = [b"%d " % n + b"x" * (n * 37 % 5000) for n in range(200)]
    (tmp_path / "file").write_bytes(b"\n".join(lines) + b"\n\n" + last)
    assert (tmp_path / "file").stat().st_size > 3 * PIECE
    assert list(backwards(tmp_path / "file")) == [*filter(None, [last.strip()]), *reversed(lines)]
    assert list(backwards(tmp_path / "nothing")) == []


def test_a_damaged_stretch_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"first\nsecond" + b"\0" * (4 * LONGEST) + b"\nlast\n")
    found = list(backwards(tmp_path / "file"))
    assert found[0] == b"last"
    assert found[-1] == b"first"
    assert max(map(len, found)) <= LONGEST + PIECE


def test_what_comes_is_followed_into_the_next_file(tmp_path: Path) -> None:
    now = BEGIN
    writer = Writer(tmp_path, max_size=400, clock=lambda: now)

    def write(number: int) -> None:
        writer.write(line(event(now, "INFO", f"number {number}", "test")))

    write(0)
    tail = Tail(tmp_path, Wanted())
    assert tail.new() == []
    seen = []
    for number in range(1, 30):
        write(number)
        seen += tail.new()
    now += 86400
    write(30)
    for _ in range(20):
        seen += tail.new()
    assert [one.event for one in seen] == [f"number {n}" for n in range(1, 31)]


def test_a_line_that_is_half_written_is_waited_for(tmp_path: Path) -> None:
    octets = line(event(BEGIN, "INFO", "whole", "test"))
    path = tmp_path / "flaskmail-2024-10-04-000.log"
    path.write_bytes(b"")
    tail = Tail(tmp_path, Wanted())
    with path.open("ab") as file:
        file.write(octets[:20])
        file.flush()
        assert tail.new() == []
        file.write(octets[20:])
    assert [one.event for one in tail.new()] == ["whole"]


def test_a_stream_sends_events_and_heartbeats_and_ends(tmp_path: Path) -> None:
    closed: list[bool] = []
    fill(tmp_path, 1)
    stream = LiveLog(
        tmp_path, Wanted(level="WARN"), allowed=lambda: True, closed=lambda: closed.append(True), heartbeat=0, pause=0
    )
    assert next(stream) == b"retry: 3000\n\n"
    assert next(stream) == b":\n\n"
    fill(tmp_path, 4)
    piece = next(stream)
    while piece == b":\n\n":
        piece = next(stream)
    blocks = [one for one in piece.decode().split("\n\n") if one]
    assert [one.split("\n")[0] for one in blocks] == ["event: log"] * 2
    assert json.loads(blocks[0].split("\n")[1].removeprefix("data: "))["eventId"] == "area0.thing"
    stream.close()
    stream.close()
    assert closed == [True]


def test_a_stream_ends_with_the_permission_with_time_and_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    def stream(**more: object) -> LiveLog:
        return LiveLog(tmp_path, Wanted(), closed=lambda: closed.append(True), pause=0, **more)

    assert list(stream(allowed=lambda: True, seconds=0)) == [b"retry: 3000\n\n"]
    times = iter(range(10))
    monkeypatch.setattr("flaskmail.logs.tail.time.monotonic", lambda: next(times))
    assert list(stream(allowed=lambda: False, heartbeat=99)) == [b"retry: 3000\n\n"]
    monkeypatch.undo()
    monkeypatch.setattr(ending, "_near", True)
    assert list(stream(allowed=lambda: True)) == [b"retry: 3000\n\n"]
    assert closed == [True] * 3


def test_places_for_streams_are_bounded() -> None:
    streams = Streams()
    assert [streams.take(2) for _ in range(3)] == [True, True, False]
    streams.give_back()
    assert streams.take(2)
    assert not Streams().take(0)
