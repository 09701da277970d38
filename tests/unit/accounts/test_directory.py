from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from flaskmail.accounts.database import Database
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.faults import InUse, NameTaken, UnknownName
from flaskmail.accounts.schema import CONTROL
from flaskmail.durable import said
from flaskmail.errors import StoreError
from flaskmail.values.ids import is_id

from .conftest import add


def test_an_account_makes_its_domain_once(directory: Directory) -> None:
    _, made = directory.principals.add("a1", "Alice@Example.org", "hash", description="Alice", quota=5)
    assert made
    _, made = directory.principals.add("a2", "bob@example.org", "hash")
    assert not made
    alice = directory.principals.get("ALICE@example.org")
    assert (alice.id, alice.name, alice.description, alice.quota) == ("a1", "alice@example.org", "Alice", 5)
    assert (alice.admin, alice.disabled) == (False, False)
    assert [(d.name, d.accounts) for d in directory.domains.all()] == [("example.org", 2)]


def test_admin_has_no_domain(directory: Directory) -> None:
    principal = add(directory, "admin")
    assert principal.admin
    assert directory.domains.all() == []


def test_a_name_is_taken_once(directory: Directory) -> None:
    add(directory, "alice@example.org")
    with pytest.raises(NameTaken, match=r"alice@example\.org"):
        add(directory, "ALICE@example.org")
    with pytest.raises(NameTaken):
        add(directory, "alice@new.example") and add(directory, "alice@new.example")
    assert [p.name for p in directory.principals.all()] == ["alice@example.org", "alice@new.example"]


def test_a_taken_name_leaves_no_domain_behind(directory: Directory) -> None:
    directory.principals.add("same", "alice@example.org", "hash")
    with pytest.raises(NameTaken):
        directory.principals.add("same", "bob@new.example", "hash")
    assert [d.name for d in directory.domains.all()] == ["example.org"]


def test_ids_are_random_ids(directory: Directory) -> None:
    ids = {add(directory, f"user{i}@example.org").id for i in range(20)}
    assert len(ids) == 20
    assert all(is_id(id) and id.startswith("a") and len(id) == 25 for id in ids)


def test_unknown_names_come_with_the_nearest(directory: Directory) -> None:
    add(directory, "alice@example.org")
    with pytest.raises(UnknownName, match=r"did you mean 'alice@example.org'") as caught:
        directory.principals.get("alise@example.org")
    assert caught.value.nearest == "alice@example.org"
    with pytest.raises(UnknownName) as caught:
        directory.domains.get("completely.different")
    assert "did you mean" not in str(caught.value)


def test_a_domain_with_accounts_stays(directory: Directory) -> None:
    add(directory, "alice@example.org")
    with pytest.raises(InUse, match="1 account:"):
        directory.domains.delete("example.org")
    directory.principals.delete("alice@example.org")
    directory.domains.delete("example.org")
    assert directory.domains.all() == []
    with pytest.raises(UnknownName):
        directory.domains.delete("example.org")


def test_domains_are_made_once(directory: Directory) -> None:
    assert directory.domains.create("Example.ORG", "ours").name == "example.org"
    with pytest.raises(NameTaken):
        directory.domains.create("example.org")


def test_deleting_an_account_ends_its_tokens(directory: Directory) -> None:
    alice = add(directory, "alice@example.org")
    directory.tokens.create(alice, "phone")
    directory.principals.delete(alice.name)
    assert directory.tokens.all() == []


def test_tokens_are_revoked_by_id(directory: Directory) -> None:
    alice, bob = add(directory, "alice@example.org"), add(directory, "bob@example.org")
    kept, _ = directory.tokens.create(alice, "one")
    gone, _ = directory.tokens.create(bob, "two")
    assert {t.name for t in directory.tokens.all()} == {"one", "two"}
    assert [t.name for t in directory.tokens.all(bob)] == ["two"]
    directory.tokens.revoke(gone.id)
    assert directory.tokens.all() == [kept]
    with pytest.raises(UnknownName):
        directory.tokens.revoke(gone.id)


def test_no_secret_lies_in_the_files(directory: Directory, tmp_path: Path) -> None:
    alice = add(directory, "alice@example.org", "canary-password")
    _, token = directory.tokens.create(alice)
    directory.authenticator.authenticate(f"Bearer {token}", "192.0.2.1")
    for file in (tmp_path / "data").iterdir():
        data = file.read_bytes()
        assert b"canary-password" not in data
        assert token.encode() not in data
        assert token.removeprefix("fmt_").encode() not in data


def test_files_are_for_their_owner_alone(directory: Directory, tmp_path: Path) -> None:
    add(directory, "alice@example.org")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for file in (tmp_path / "data").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version=999")
    connection.close()
    before = path.read_bytes()
    database = Database(path, CONTROL)
    with pytest.raises(StoreError, match=r"newer flaskmail \(version 999\).* Install the newer one again"):
        database.rows("SELECT 1")
    assert path.read_bytes()[:100][60:64] == before[:100][60:64]


def test_a_folder_of_somebody_else_says_what_helps() -> None:
    # Root, who may run the tests, is refused nothing.
    assert said(PermissionError(errno.EACCES, "Permission denied")).startswith(
        "Permission denied; give the folder to the user"
    )
    assert said(OSError(errno.EROFS, "Read-only file system")) == "Read-only file system"


def test_what_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    path.write_bytes(b"this is no database file, and long enough to tell" * 100)
    with pytest.raises(StoreError, match=r"control\.db: .*; bring the data folder back from a backup"):
        Database(path, CONTROL).rows("SELECT 1")


def test_a_full_disk_is_called_by_its_name(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with suppress(OSError), (disk / "fill").open("wb", buffering=0) as fill:
            while True:
                fill.write(b"x" * 4096)
        with pytest.raises(StoreError, match="disk is full"):
            Database(disk / "control.db", CONTROL).rows("SELECT 1")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_an_exception_rolls_back(directory: Directory, tmp_path: Path) -> None:
    database = Database(tmp_path / "data" / "control.db", CONTROL)

    def fail() -> None:
        with database.write() as execute:
            execute("INSERT INTO domain(name, description, created) VALUES('x.example','','')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert database.rows("SELECT name FROM domain") == []
    database.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_process_opens_its_own_connection(
    directory: Directory, open_directory: Callable[[], Directory]
) -> None:
    add(directory, "alice@example.org")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            add(directory, "bob@example.org")
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert [p.name for p in directory.principals.all()] == ["alice@example.org", "bob@example.org"]
    assert directory.principals.get("bob@example.org")
