"""``flaskmail backup``, ``restore``, ``reindex``, ``purge`` and ``job`` on the store."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import Result

from flaskmail.cli.working import progress
from flaskmail.upkeep import verify_all

Command = Callable[..., Result]


def imported(flaskmail: Command, tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(b"Subject: milk\r\nFrom: x@example.net\r\n\r\nbread\r\n")
    assert flaskmail("import", tmp_path / "one.eml", "--account", "ann@example.org").exit_code == 0


def test_there_and_back(flaskmail: Command, tmp_path: Path) -> None:
    imported(flaskmail, tmp_path)
    done = flaskmail("backup", tmp_path / "b")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"Copied 1 account to {tmp_path / 'b'}: ")
    done = flaskmail("restore", tmp_path / "b", "--to", tmp_path / "new")
    assert (done.exit_code, "checked: nothing is wrong" in done.output) == (0, True), done.output
    again = flaskmail("restore", tmp_path / "b", "--to", tmp_path / "new")
    assert (again.exit_code, "not empty" in again.output) == (1, True)
    # By default to where the settings say, which is in use.
    assert "not empty" in flaskmail("restore", tmp_path / "b").output
    manifest = json.loads(flaskmail("backup", tmp_path / "b2", "--json").stdout)
    assert (manifest["backup"], manifest["accounts"]) == (str(tmp_path / "b2"), 1)
    listed = json.loads((tmp_path / "b2/manifest.json").read_text())["accounts"]
    assert [account["name"] for account in listed] == ["ann@example.org"]
    told = json.loads(flaskmail("restore", tmp_path / "b2", "--to", tmp_path / "n2", "--json").stdout)
    assert (told["findings"], told["damaged"], told["backup"]["files"]) == ([], [], manifest["files"])


def test_what_is_damaged_is_told(flaskmail: Command, tmp_path: Path) -> None:
    assert flaskmail("backup", tmp_path / "b").exit_code == 0
    with (tmp_path / "b/control.db").open("r+b") as file:
        file.seek(100)
        file.write(b"x")
    done = flaskmail("restore", tmp_path / "b", "--to", tmp_path / "new")
    assert (done.exit_code, "control.db has changed" in done.output) == (1, True)
    assert "--even-damaged" in done.stderr


def test_accounts_are_named_by_their_ids_too(flaskmail: Command, tmp_path: Path) -> None:
    imported(flaskmail, tmp_path)
    assert flaskmail("account", "create", "zoë@bücher.example").exit_code == 1
    assert flaskmail("account", "create", "zoe@bücher.example").exit_code == 0
    id = json.loads(flaskmail("account", "show", "ann@example.org", "--json").stdout)["id"]
    for name in (id, "ANN@example.org", "zoe@bücher.example"):
        for command in (["verify"], ["reindex"], ["purge", "blob"], ["token", "create"]):
            done = flaskmail(*command, name)
            assert done.exit_code == 0, (command, name, done.output)
    again = flaskmail("import", tmp_path / "one.eml", "--account", id)
    assert "1 already there" in again.output
    assert flaskmail("verify", "a-role-that-is-none").exit_code == 1


def test_one_account_comes_back(flaskmail: Command, tmp_path: Path) -> None:
    imported(flaskmail, tmp_path)
    assert flaskmail("backup", tmp_path / "b").exit_code == 0
    assert flaskmail("account", "rename", "ann@example.org", "anna@example.org").exit_code == 0
    there = flaskmail("restore", tmp_path / "b", "--account", "ann@example.org")
    assert (there.exit_code, "as 'anna@example.org': delete it first" in there.stderr) == (1, True), there.output
    assert flaskmail("account", "rename", "anna@example.org", "ann@example.org").exit_code == 0
    assert flaskmail("restore", tmp_path / "b", "--account", "ann@example.org").exit_code == 1
    [noted, *_] = json.loads(flaskmail("audit", "--json").stdout)
    assert (noted["operation"], noted["status"]) == ("restore", 409)
    assert flaskmail("account", "delete", "ann@example.org", "--yes").exit_code == 0
    done = flaskmail("restore", tmp_path / "b", "--account", "ann@example.org")
    assert (done.exit_code, "Brought the account ann@example.org back" in done.output) == (0, True), done.output
    assert flaskmail("verify").output == "Checked 1 account: nothing is wrong.\n"
    assert flaskmail("reindex").output == "Indexed 1 records of 1 account.\n"
    assert flaskmail("restore", tmp_path / "b", "--account", "x@example.org", "--to", tmp_path / "d").exit_code == 2


def test_where_a_backup_goes_without_a_place(flaskmail: Command, tmp_path: Path) -> None:
    done = flaskmail("backup")
    assert (done.exit_code, "storage.backup-path" in done.output) == (1, True)
    (tmp_path / "config.toml").write_text("[storage]\nbackup-path = 'kept'\n")
    assert "there is no folder" in flaskmail("backup").output
    (tmp_path / "kept").mkdir()
    done = flaskmail("backup")
    assert (done.exit_code, "config.toml is not part of it" in done.output) == (0, True), done.output
    [folder] = (tmp_path / "kept").iterdir()
    assert not (folder / "config.toml").exists()
    assert flaskmail("backup", tmp_path / "all", "--with-settings").exit_code == 0
    assert (tmp_path / "all/config.toml").read_text() == (tmp_path / "config.toml").read_text()
    assert flaskmail("restore", tmp_path / "all", "--to", tmp_path / "new").exit_code == 0
    assert not (tmp_path / "new/config.toml").exists()


def test_indexes(flaskmail: Command, tmp_path: Path) -> None:
    imported(flaskmail, tmp_path)
    assert flaskmail("reindex").output == "Indexed 1 records of 1 account.\n"
    assert flaskmail("reindex", "ann@example.org", "--missing").output == "Indexed 0 records of 1 account.\n"
    assert json.loads(flaskmail("reindex", "--fresh", "--json").stdout)["records"] == 1
    assert flaskmail("reindex", "nobody@example.org").exit_code == 1
    assert flaskmail("reindex", "--missing", "--fresh").exit_code == 2


def test_purging(flaskmail: Command) -> None:
    assert flaskmail("purge", "blob").output == "Removed 0 uploads.\n"
    assert flaskmail("purge", "blob", "ann@example.org").output == "Removed 0 uploads.\n"
    assert flaskmail("purge", "account", "ann@example.org").output == "Forgot 0 destroyed records.\n"
    assert json.loads(flaskmail("purge", "account", "--json").stdout) == {"accounts": 1, "forgotten": 0, "failed": []}
    assert flaskmail("purge", "data").output == "There was nothing to remove.\n"
    assert json.loads(flaskmail("purge", "in-memory", "--json").stdout) == {"throttle": 0}


def test_jobs_on_the_store(flaskmail: Command) -> None:
    assert json.loads(flaskmail("job", "list", "--json").stdout) == []
    assert flaskmail("job", "list").exit_code == 0
    assert flaskmail("job", "show", "nothing").exit_code == 1


def test_what_is_done_here_is_written_down(flaskmail: Command, tmp_path: Path) -> None:
    for arguments in (
        ("verify",),
        ("verify", "--repair"),
        ("backup", tmp_path / "b"),
        ("reindex", "ann@example.org"),
        ("purge", "blob"),
        ("purge", "account"),
        ("purge", "data"),
        ("purge", "in-memory"),
        ("token", "create", "ann@example.org"),
        ("account", "delete", "ann@example.org"),
        ("restore", tmp_path / "b", "--account", "ann@example.org"),
    ):
        assert flaskmail(*arguments).exit_code == 0, arguments
    found = json.loads(flaskmail("audit", "--json").stdout)
    assert [(one["operation"], one["status"]) for one in reversed(found)][-10:] == [
        ("store.verify", 200),
        ("store.backup", 200),
        ("store.reindex", 200),
        ("store.purgeBlobs", 200),
        ("store.purgeAccounts", 200),
        ("store.purgeData", 200),
        ("store.purgeInMemory", 200),
        ("account.credential.create", 200),
        ("principal.delete", 200),
        ("restore", 200),
    ]
    assert {one["actor"] for one in found} == {"local"}
    assert flaskmail("restore", tmp_path / "b", "--account", "ann@example.org").exit_code == 1
    assert json.loads(flaskmail("audit", "--json").stdout)[0]["status"] == 409


def test_somebody_elses_data_is_left_alone(flaskmail: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root would stand before it.
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    done = flaskmail("account", "create", "bob@example.org")
    assert (done.exit_code, "belongs to" in done.stderr) == (1, True), done.output
    monkeypatch.undo()


def test_long_work_is_ended_by_ctrl_c(flaskmail: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **named: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return verify_all(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("flaskmail.cli.verify.verify_all", interrupted)
    done = flaskmail("verify")
    assert (done.exit_code, done.stdout, "Interrupted." in done.stderr) == (130, "", True), done.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from flaskmail.cli import main; main()", "permission", "list"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300, check=False
        )
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n"), done


@pytest.mark.parametrize(("octets", "words"), [(True, "2.5 kB one.eml"), (False, "one.eml")])
def test_progress_at_a_terminal(monkeypatch: pytest.MonkeyPatch, octets: bool, words: str) -> None:
    here, there = pty.openpty()
    with os.fdopen(there, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress("Copying", hidden=False, octets=octets) as tell:
            tell(2500, 5000, "one.eml")
        monkeypatch.undo()
    written = b""
    # One read answers what is there by then; at the end of all of it, with the other end closed, comes an error.
    with suppress(OSError):
        while piece := os.read(here, 65536):
            written += piece
    os.close(here)
    assert b"Copying" in written
    assert words.encode() in written


@pytest.mark.parametrize("words", [("backup", "b"), ("verify",)])
def test_what_is_not_there_is_neither_copied_nor_right(bare: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = bare(*words)
    assert (done.exit_code, f"there is no data in {tmp_path / 'data'}" in done.stderr) == (1, True), done.output
    assert list(tmp_path.iterdir()) == []
