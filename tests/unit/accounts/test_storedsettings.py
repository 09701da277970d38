"""Stored settings: one transaction a change, a history without secrets, a way back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.storedsettings import KEPT, SECRET, Changed, Stale, StoredSettings, read_state


@pytest.fixture
def settings(directory: Directory) -> StoredSettings:
    return directory.settings


def test_a_change_makes_one_revision(settings: StoredSettings) -> None:
    assert settings.marks() == (0, 0)
    assert settings.change({"b": "1", "a": '"x"'}, actor="jane") == 1
    assert settings.state().texts == {"a": '"x"', "b": "1"}
    assert settings.change({"b": None, "c": "2", "a": '"x"'}, actor="joe") == 2
    assert settings.state().texts == {"a": '"x"', "c": "2"}
    found, total = settings.history()
    assert [(one.revision, one.actor) for one in found] == [(2, "joe"), (1, "jane")]
    assert total == 2
    # What was the same before is no change.
    assert found[0].changes == (Changed("b", "1", None), Changed("c", None, "2"))
    assert settings.history(1, 1)[0] == [found[1]]


def test_what_changes_nothing_makes_no_revision(settings: StoredSettings) -> None:
    settings.change({"a": "1"}, actor="jane")
    assert settings.change({"a": "1", "b": None}, actor="jane") == 1
    assert settings.history()[1] == 1


def test_of_two_writers_with_the_same_revision_one_is_stale(settings: StoredSettings) -> None:
    settings.change({"a": "1"}, actor="jane", expected=0)
    with pytest.raises(Stale):
        settings.change({"a": "2"}, actor="joe", expected=0)
    assert settings.state().texts == {"a": "1"}
    assert settings.marks() == (1, 0)


def test_writers_that_race_never_both_win(open_directory: Callable[[], Directory]) -> None:
    directories = [open_directory() for _ in range(4)]
    won: list[int] = []

    def write(directory: Directory, name: int) -> None:
        for number in range(20):
            revision = directory.settings.marks()[0]
            try:
                won.append(directory.settings.change({"a": f'"{name}-{number}"'}, actor="", expected=revision))
            except Stale:
                pass

    threads = [threading.Thread(target=write, args=(one, name)) for name, one in enumerate(directories)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, len(won) + 1))
    assert directories[0].settings.marks()[0] == len(won)


def test_secrets_are_not_in_the_history(settings: StoredSettings) -> None:
    def is_secret(key: str, text: str) -> bool:
        return key == "s"

    settings.change({"s": '"hunter2"', "a": "1"}, actor="jane", is_secret=is_secret)
    settings.change({"s": '"hunter3"'}, actor="jane", is_secret=is_secret)
    settings.change({"s": None}, actor="jane", is_secret=is_secret)
    found = [one.changes[-1] for one in settings.history()[0]]
    assert found == [Changed("s", SECRET, None), Changed("s", SECRET, SECRET), Changed("s", None, SECRET)]
    rows = settings._database.rows("SELECT changes FROM setting_history")
    assert not any("hunter" in row[0] for row in rows)


def test_the_way_back(settings: StoredSettings) -> None:
    def is_secret(key: str, text: str) -> bool:
        return key == "s"

    settings.change({"a": "1", "b": "1"}, actor="")
    settings.change({"a": "2", "c": "3", "s": '"x"'}, actor="", is_secret=is_secret)
    settings.change({"a": None, "s": '"y"'}, actor="", is_secret=is_secret)
    state = settings.state()
    back = settings.at(2, state)
    # What the secret was is known to nobody.
    assert back.texts == {"a": "2", "b": "1", "c": "3", "s": '"y"'}
    assert back.kept == ("s",)
    assert state.texts == {"b": "1", "c": "3", "s": '"y"'}
    assert settings.at(1, settings.state()).texts == {"a": "1", "b": "1"}
    assert settings.at(1, settings.state()).kept == ()
    assert settings.at(0, settings.state()).texts == {}
    assert settings.at(3, settings.state()).texts == state.texts
    for missing in (4, -1):
        with pytest.raises(UnknownName):
            settings.at(missing, state)


def test_the_history_has_an_end(settings: StoredSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flaskmail.accounts.storedsettings.KEPT", 3)
    assert KEPT > 3
    for number in range(5):
        settings.change({"a": str(number)}, actor="")
    assert [one.revision for one in settings.history()[0]] == [5, 4, 3]
    assert settings.at(2, settings.state()).texts == {"a": "1"}
    with pytest.raises(UnknownName):
        settings.at(1, settings.state())


def test_a_request_to_reload_is_no_change(settings: StoredSettings) -> None:
    settings.ask_for_reload()
    assert settings.marks() == (0, 1)
    assert settings.history() == ([], 0)


def test_reading_a_folder_makes_nothing(tmp_path: Path) -> None:
    assert read_state(tmp_path / "nowhere").texts == {}
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from flaskmail.accounts.storedsettings import stored_settings
with stored_settings(Path(sys.argv[1])) as settings:
    print("begun", flush=True)
    number = settings.marks()[0]
    while True:
        number += 1
        settings.change({f"k{i}": str(number) for i in range(20)}, actor="")
        print("changed", flush=True)
"""


def test_kill_9_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    for changes, pause in ((0, 0.0), (1, 0.013), (0, 0.041), (2, 0.087)):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(1 + changes)] == [b"begun\n"] + [b"changed\n"] * changes
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        state = read_state(tmp_path)
        assert set(state.texts.values()) <= {str(state.revision)}
        assert len(state.texts) == (20 if state.revision else 0)
    assert state.revision > 0
