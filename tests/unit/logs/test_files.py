"""The files of the log: written by several processes, followed, cleaned up, and a disk that is full."""

from __future__ import annotations

import logging
import multiprocessing
import os
from datetime import date
from pathlib import Path

import pytest

from flaskmail.logs import Handler, Wanted, Writer, search
from flaskmail.logs.events import event, line, read_line
from flaskmail.logs.files import LogFile, files, outdated

DAY = 86400.0


class Clock:
    def __init__(self, now: float = 20_000 * DAY) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def text(number: int, at: float = 20_000 * DAY) -> bytes:
    return line(event(at, "INFO", f"number {number}", "test", {"padding": "x" * 50}))


def lines(folder: Path) -> list[str]:
    found = [one for file in files(folder) for one in (folder / file.name).read_bytes().splitlines() if one]
    return [event.event for one in found if (event := read_line(one)) is not None]


def test_a_day_has_its_file_and_a_full_one_is_followed(tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "a" / "logs"
    writer = Writer(folder, max_size=1000, clock=clock)
    for number in range(20):
        assert writer.write(text(number))
    assert len(files(folder)) > 1
    clock.now += DAY
    writer.write(text(20))
    names = [one.name for one in files(folder)]
    assert names[0] == "flaskmail-2024-10-04-000.log"
    assert names[-1] == "flaskmail-2024-10-05-000.log"
    assert lines(folder) == [f"number {n}" for n in range(21)]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all((folder / name).stat().st_mode & 0o777 == 0o600 for name in names)
    assert max((folder / name).stat().st_size for name in names) < 1000 + len(text(10))


def test_another_writer_goes_on_in_the_newest_file(tmp_path: Path) -> None:
    clock = Clock()
    Writer(tmp_path, max_size=100, clock=clock).write(text(1))
    Writer(tmp_path, max_size=100, clock=clock).write(text(2))
    Writer(tmp_path, max_size=10_000, clock=clock).write(text(3))
    assert [one.number for one in files(tmp_path)] == [0, 1]
    assert lines(tmp_path) == ["number 1", "number 2", "number 3"]


def test_old_files_and_those_beyond_the_whole_size_go(tmp_path: Path) -> None:
    clock = Clock()
    writer = Writer(tmp_path, max_size=1000, most=5000, keep=3, clock=clock)
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(6):
        writer.write(text(0))
        clock.now += DAY
    assert [one.day for one in files(tmp_path)] == [date(2024, 10, 7), date(2024, 10, 8), date(2024, 10, 9)]
    for number in range(200):
        writer.write(text(number))
    assert sum((tmp_path / one.name).stat().st_size for one in files(tmp_path)) <= 6000
    assert (tmp_path / "notes.txt").exists()


def test_the_newest_file_is_never_outdated() -> None:
    old, new = LogFile(date(2026, 1, 1), 0), LogFile(date(2026, 1, 1), 1)
    assert outdated({old: 10, new: 10}, date(2027, 1, 1), 1, 0) == [old]


def write_many(folder: Path, number: int) -> None:
    writer = Writer(folder, max_size=20_000)
    for one in range(300):
        writer.write(text(number * 1000 + one))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_several_processes_write_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write_many, args=(tmp_path, number)) for number in range(4)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(60)
        assert one.exitcode == 0
    found = lines(tmp_path)
    assert len(files(tmp_path)) > 3
    assert sorted(found) == sorted(f"number {n * 1000 + i}" for n in range(4) for i in range(300))
    for n in range(4):
        own = [one for one in found if int(one.split()[1]) // 1000 == n]
        assert own == [f"number {n * 1000 + i}" for i in range(300)]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_writer_opens_anew_after_a_fork_and_after_its_file_was_removed(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write(text(1))
    child = os.fork()
    if child == 0:
        os._exit(0 if writer.write(text(2)) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lines(tmp_path) == ["number 1", "number 2"]
    for one in files(tmp_path):
        (tmp_path / one.name).unlink()
    assert writer.write(text(3))
    assert lines(tmp_path) == ["number 3"]


def test_lines_that_cannot_be_written_are_counted_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("a file stands where the folder should be")
    writer = Writer(folder)
    assert not writer.write(text(1))
    assert not writer.write(text(2))
    folder.unlink()
    assert writer.write(text(3))
    assert lines(folder) == ["2 lines of the log are lost", "number 3"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path)
    writer.write(text(1))
    real = os.write
    # The kernel takes what fits and says how much that was.
    monkeypatch.setattr(os, "write", lambda file, octets: real(file, octets[:30]))
    assert not writer.write(text(2))
    monkeypatch.undo()
    assert writer.write(text(3))
    found = search(tmp_path, Wanted())
    assert [one.event for one in found.events] == ["number 3", "1 lines of the log are lost", "number 1"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    clock = Clock()
    aim = tmp_path / "aim"
    aim.write_text("")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "flaskmail-2024-10-04-000.log").symlink_to(aim)
    assert not Writer(tmp_path / "logs", clock=clock).write(text(1))
    assert aim.read_text() == ""


def test_the_handler_never_raises(tmp_path: Path) -> None:
    handler = Handler(Writer(tmp_path))
    logger = logging.Logger("flaskmail.test")
    logger.addHandler(handler)

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    logger.error("%d and %s", "no number")
    logger.error("%s", Rude())
    logger.error("well", extra={"details": {"rude": Rude()}})
    logger.error("well")
    handler.close()
    assert [one.event for one in search(tmp_path, Wanted()).events] == ["well", "3 lines of the log are lost"]
