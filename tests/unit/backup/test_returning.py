"""One account comes back from a backup, beside those that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flaskmail.backup import BackupError, make_backup, restore_account
from flaskmail.errors import StoreError
from flaskmail.server import Server
from flaskmail.testing import basic
from flaskmail.upkeep import Verified, verify_all


def check(server: Server) -> Verified:
    return verify_all(server.store, server.types.values(), server.directory)


def test_an_account_that_was_deleted_comes_back(server: Server, backup: Path) -> None:
    before = server.directory.principals.get("ben@example.org")
    with server.store.read(before.id) as reader:
        used, boxes = reader.used(), reader.get("Mailbox", None, ("name", "role"))
    server.delete_account("ben@example.org")
    told: list[tuple[int, int]] = []
    principal, damaged = restore_account(
        backup, server.store, server.directory, "Ben@example.org", tell=lambda n, total, what: told.append((n, total))
    )
    assert (principal.id, principal.name, damaged) == (before.id, before.name, [])
    assert told[-1][0] == told[-1][1] > 600_000
    # With the password of then.
    assert server.authenticate(basic("ben@example.org", "correct horse battery"), "192.0.2.1").id == before.id
    with server.store.read(principal.id) as reader:
        assert (reader.used(), reader.get("Mailbox", None, ("name", "role"))) == (used, boxes)
    server.store.put_blob(principal.id, b"more", 4)
    assert check(server).findings == []
    # And it can be backed up again.
    make_backup(server.store, server.directory, server.settings.storage.path, backup.with_name("b2"))


def test_one_that_was_kept_out_stays_out(server: Server, tmp_path: Path) -> None:
    server.directory.principals.set_disabled("ben@example.org", True)
    make_backup(server.store, server.directory, server.settings.storage.path, tmp_path / "b")
    server.delete_account("ben@example.org")
    principal, _ = restore_account(tmp_path / "b", server.store, server.directory, "ben@example.org")
    assert principal.disabled
    assert server.directory.principals.get("ben@example.org").disabled


def test_what_is_there_stays(server: Server, backup: Path) -> None:
    with pytest.raises(BackupError, match="delete it first"):
        restore_account(backup, server.store, server.directory, "ben@example.org")
    with pytest.raises(BackupError, match="no account"):
        restore_account(backup, server.store, server.directory, "nobody@example.org")
    # Somebody else has the name by now.
    server.delete_account("ben@example.org")
    new = server.create_account("ben@example.org", "correct horse battery").principal
    with pytest.raises(BackupError, match="delete it first"):
        restore_account(backup, server.store, server.directory, "ben@example.org")
    assert server.directory.principals.get("ben@example.org") == new
    assert check(server).findings == []
    assert len(server.store.accounts()) == 3


@pytest.mark.parametrize("name", ["mail.db", "control.db", "blob"])
@pytest.mark.parametrize("how", ["flip", "gone"])
def test_a_damaged_backup_brings_nothing_back(server: Server, backup: Path, name: str, how: str) -> None:
    id = server.directory.principals.get("ben@example.org").id
    server.delete_account("ben@example.org")
    [path] = (
        (backup / "accounts" / id / "blobs").glob("??/??/*")
        if name == "blob"
        else [next(p for p in (backup / "accounts" / id / name, backup / name) if p.exists())]
    )
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets) if how == "flip" else path.unlink()
    with pytest.raises(BackupError, match=path.name):
        restore_account(backup, server.store, server.directory, "ben@example.org")
    assert len(server.store.accounts()) == 2
    assert list((server.settings.storage.path / "accounts").glob(".making-*")) == []
    assert check(server).findings == []


def test_an_id_that_is_taken(server: Server, backup: Path) -> None:
    id = server.directory.principals.get("ben@example.org").id
    server.delete_account("ben@example.org")
    server.store.create_account(id)
    with pytest.raises(StoreError, match="already"):
        restore_account(backup, server.store, server.directory, "ben@example.org")
    with server.store.read(id) as reader:
        assert reader.used() == 0
