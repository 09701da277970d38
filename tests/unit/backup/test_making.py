"""A backup is whole or not there, and what happens while it is made leaves owners and accounts that match."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flaskmail.backup import BackupError, Manifest, make_backup, read_manifest, restore_backup
from flaskmail.server import Server
from flaskmail.upkeep import Cancelled, Tell, Verified, silent

Check = Callable[[Path], Verified]


def back_up(server: Server, destination: Path, tell: Tell = silent, **more: object) -> Manifest:
    return make_backup(server.store, server.directory, server.settings.storage.path, destination, tell=tell, **more)  # type: ignore[arg-type]


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def at(step: str, do: Callable[[], object]) -> Tell:
    """Does something once, the first time that ``step`` is told of."""
    done: list[bool] = []

    def tell(octets: int, total: int, what: str) -> None:
        if what == step and not done:
            done.append(True)
            do()

    return tell


def test_a_backup_says_what_it_is(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    manifest = back_up(server, tmp_path / "b", tell=lambda done, total, what: told.append((done, total)))
    assert read_manifest(tmp_path / "b") == manifest
    assert [account.name for account in manifest.accounts] == ["ann@example.org", "ben@example.org", "cat@example.org"]
    assert [account.files for account in manifest.accounts] == [2, 2, 2]
    assert (manifest.problems, manifest.settings, manifest.with_settings) == ([], None, False)
    files = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
    assert len(files) == manifest.files + 2
    assert manifest.octets == sum(p.stat().st_size for p in files if p.name not in ("manifest.json", "SHA256SUMS"))
    assert all(0 <= done <= total for done, total in told)
    assert told[-1][0] == told[-1][1] == manifest.octets
    summed = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "b", capture_output=True, text=True)
    assert (summed.returncode, summed.stdout.count(": OK")) == (0, manifest.files)
    for path in (tmp_path / "b", *(tmp_path / "b").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    # The data folder holds what it held, and nothing waits beside the backup.
    assert names(tmp_path) == {"b", "data"}


def test_the_settings_come_along_when_they_are_asked_for(server: Server, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine")
    without = back_up(server, tmp_path / "b1", settings=tmp_path / "config.toml")
    assert (without.settings, without.with_settings) == (str(tmp_path / "config.toml"), False)
    assert not (tmp_path / "b1/config.toml").exists()
    back_up(server, tmp_path / "b2", settings=tmp_path / "config.toml", with_settings=True)
    assert (tmp_path / "b2/config.toml").read_text() == "# mine"


@pytest.mark.parametrize("step", ["control.db", "ann@example.org", "ben@example.org"])
def test_accounts_that_come_and_go_meanwhile(server: Server, tmp_path: Path, check: Check, step: str) -> None:
    def churn() -> None:
        server.create_account("new@example.org", "correct horse battery")
        server.delete_account("cat@example.org")

    manifest = back_up(server, tmp_path / "b", tell=at(step, churn))
    kept = {account.name for account in manifest.accounts}
    # Before the copy of control.db, what is new is there; afterwards it came too late.
    assert kept == {"ann@example.org", "ben@example.org"} | ({"new@example.org"} if step == "control.db" else set())
    assert manifest.problems == []
    done = restore_backup(tmp_path / "b", tmp_path / "d", check)
    assert (done.checked.accounts, done.checked.findings) == (len(kept), [])


def test_an_account_that_is_deleted_while_its_files_are_copied(server: Server, tmp_path: Path, check: Check) -> None:
    copied: list[int] = []

    def tell(done: int, total: int, what: str) -> None:
        if what == "ann@example.org" and not copied:
            copied.append(done)
            server.delete_account(what)

    manifest = back_up(server, tmp_path / "b", tell=tell)
    assert [account.name for account in manifest.accounts] == ["ben@example.org", "cat@example.org"]
    assert len(names(tmp_path / "b/accounts")) == 2
    assert restore_backup(tmp_path / "b", tmp_path / "d", check).checked.findings == []


def test_what_is_damaged_is_named(server: Server, tmp_path: Path, check: Check) -> None:
    accounts = tmp_path / "data/accounts"
    first, second, third = (server.directory.principals.get(f"{name}@example.org").id for name in ("ann", "ben", "cat"))
    [blob] = (accounts / first / "blobs").glob("??/??/*")
    blob.write_bytes(b"x" * blob.stat().st_size)
    server.close()
    database = bytearray((accounts / second / "mail.db").read_bytes())
    for start in range(4096, len(database) - 200, 4096):
        database[start : start + 200] = os.urandom(200)
    (accounts / second / "mail.db").write_bytes(database)
    (accounts / third).rename(tmp_path / "elsewhere")
    manifest = back_up(server, tmp_path / "b")
    assert [problem.partition(":")[0] for problem in manifest.problems] == [
        "ann@example.org",
        "ben@example.org",
        "cat@example.org",
    ]
    assert [account.name for account in manifest.accounts] == ["ann@example.org"]
    done = restore_backup(tmp_path / "b", tmp_path / "d", check)
    assert len(done.checked.findings) == 3


def test_where_no_backup_goes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "around").symlink_to(tmp_path / "data")
    for place, what in [
        ("taken", "there already"),
        ("file", "there already"),
        ("link", "there already"),
        ("data/accounts/b", "data folder"),
        ("around/b", "data folder"),
        ("data", "data folder"),
        ("missing/b", "no folder"),
        ("\udcff", "UTF-8"),
    ]:
        with pytest.raises(BackupError, match=what):
            back_up(server, tmp_path / place)
    (tmp_path / "empty").mkdir()
    back_up(server, tmp_path / "empty")
    assert (tmp_path / "empty/manifest.json").exists()


@pytest.mark.parametrize("step", ["control.db", "ann@example.org", "cat@example.org", ""])
def test_a_backup_that_is_given_up_leaves_nothing(server: Server, tmp_path: Path, step: str) -> None:
    def give_up() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        back_up(server, tmp_path / "b", tell=at(step, give_up))
    assert names(tmp_path) == {"data"}
    back_up(server, tmp_path / "b")


def test_what_a_killed_backup_left_goes_with_the_next(server: Server, tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from flaskmail.server import Server; from flaskmail.backup import make_backup;"
        "from flaskmail.config import Settings; from flaskmail.config.settings import Storage;"
        "data = Path(sys.argv[1]); s = Server(Settings(storage=Storage(path=data)), installed=False);"
        "make_backup(s.store, s.directory, data, data.parent / 'b',"
        " tell=lambda done, total, what: os._exit(9) if what.startswith('ben') else None)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "data")], timeout=300)
    assert killed.returncode == 9
    [left] = names(tmp_path) - {"data"}
    assert left.startswith(".b.unfinished-")
    # It may be one that has just begun.
    os.utime(tmp_path / left)
    back_up(server, tmp_path / "b")
    assert names(tmp_path) == {"data", "b", left}
    later = time.time
    time.time = lambda: later() + 120  # type: ignore[assignment]
    try:
        # As with names by the time: none comes again.
        back_up(server, tmp_path / "b1")
    finally:
        time.time = later
    assert names(tmp_path) == {"data", "b", "b1"}
