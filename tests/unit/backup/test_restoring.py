"""A backup comes back whole, or nothing that a server could use is there."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flaskmail.backup import BackupError, restore_backup
from flaskmail.server import Server
from flaskmail.upkeep import Cancelled, Verified

Check = Callable[[Path], Verified]


def test_everything_comes_back(
    server: Server, backup: Path, tmp_path: Path, check: Check, opened: Callable[[Path], Server]
) -> None:
    told: list[tuple[int, int]] = []
    done = restore_backup(backup, tmp_path / "new/d", check, tell=lambda n, total, what: told.append((n, total)))
    assert (done.checked.accounts, done.checked.findings, done.damaged) == (3, [], [])
    assert told[-1] == (done.manifest.octets, done.manifest.octets)
    data = tmp_path / "new/d"
    for path in (data, *data.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert {path.name for path in data.iterdir()} <= {"control.db", "accounts", "secret.key"}
    copy = opened(data)
    assert copy.directory.principals.all() == server.directory.principals.all()
    for principal in copy.directory.principals.all():
        if principal.has_mail:
            with copy.store.read(principal.id) as reader, server.store.read(principal.id) as original:
                assert reader.used() == original.used() > 600_000
                assert reader.get("Mailbox", None, ("name", "role")) == original.get("Mailbox", None, ("name", "role"))
    # And it goes on.
    copy.create_account("new@example.org", "correct horse battery")
    copy.delete_account("ann@example.org")
    copy.close()
    assert check(data).findings == []


def files_of(backup: Path) -> list[Path]:
    return sorted(path for path in backup.rglob("*") if path.is_file() and path.name != "manifest.json")


@pytest.mark.parametrize("number", [0, 1, 2, -1])
@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_a_backup_that_was_damaged_is_refused(
    backup: Path, tmp_path: Path, check: Check, number: int, how: str
) -> None:
    path = files_of(backup)[number]
    octets = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(octets[:-1])
    else:
        octets[len(octets) // 2] ^= 1
        path.write_bytes(octets)
    with pytest.raises(BackupError, match=path.name):
        restore_backup(backup, tmp_path / "d", check)
    assert list((tmp_path / "d").iterdir()) == [] if (tmp_path / "d").exists() else True


def test_what_is_left_of_a_damaged_backup(backup: Path, tmp_path: Path, check: Check) -> None:
    blob = next(path for path in files_of(backup) if "blobs" in path.parts)
    blob.write_bytes(b"x" * blob.stat().st_size)
    done = restore_backup(backup, tmp_path / "d", check, even_damaged=True)
    assert len(done.damaged) == 1
    assert [f.what for _, f in done.checked.findings if "hash" in f.what] != []


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/passwd", "accounts/../../evil", "accounts/a1/lock", "accounts/a/blobs/x", "plugins/x.py"]
)
def test_a_list_that_names_strange_files_is_refused(backup: Path, tmp_path: Path, check: Check, path: str) -> None:
    (tmp_path / "evil").write_text("evil")
    sums = (backup / "SHA256SUMS").read_bytes() + f"{'0' * 64}  {path}\n".encode()
    (backup / "SHA256SUMS").write_bytes(sums)
    manifest = json.loads((backup / "manifest.json").read_bytes())
    manifest["sums"] = hashlib.sha256(sums).hexdigest()
    (backup / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="belongs into no backup"):
        restore_backup(backup, tmp_path / "d", check)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"format": 2, "flaskmail": "9.9"}, "9.9"),
        ({"sums": None}, "damaged"),
        ({"accounts": [{"id": "../x"}]}, "damaged"),
    ],
)
def test_a_manifest_that_cannot_be_used(
    backup: Path, tmp_path: Path, check: Check, members: dict[str, object], what: str
) -> None:
    manifest = json.loads((backup / "manifest.json").read_bytes()) | members
    (backup / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match=what):
        restore_backup(backup, tmp_path / "d", check)


def test_accounts_of_a_manifest_are_no_paths(backup: Path, tmp_path: Path, check: Check) -> None:
    manifest = json.loads((backup / "manifest.json").read_bytes())
    manifest["accounts"][0]["id"] = "../../../evil"
    (backup / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="evil"):
        restore_backup(backup, tmp_path / "d", check)
    assert not (tmp_path / "evil").exists()


def test_where_no_backup_comes_back(server: Server, backup: Path, tmp_path: Path, check: Check) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")
    (tmp_path / "other").chmod(0o755)
    for place in ("data", "other"):
        before = sorted(path.name for path in (tmp_path / place).iterdir())
        mode = (tmp_path / place).stat().st_mode
        with pytest.raises(BackupError, match="not empty"):
            restore_backup(backup, tmp_path / place, check)
        assert sorted(path.name for path in (tmp_path / place).iterdir()) == before
        assert (tmp_path / place).stat().st_mode == mode
    with pytest.raises(BackupError, match=r"manifest\.json"):
        restore_backup(tmp_path / "other", tmp_path / "d", check)
    (tmp_path / "empty").mkdir()
    assert restore_backup(backup, tmp_path / "empty", check).checked.findings == []


def test_a_restore_that_is_given_up_leaves_nothing(backup: Path, tmp_path: Path, check: Check) -> None:
    def tell(done: int, total: int, what: str) -> None:
        if done == total:
            raise Cancelled

    with pytest.raises(Cancelled):
        restore_backup(backup, tmp_path / "d", check, tell=tell)
    assert list((tmp_path / "d").iterdir()) == []
    restore_backup(backup, tmp_path / "d", check)


KILLED = """
import os, sys
from pathlib import Path
from flaskmail.backup import restoring
from flaskmail.upkeep import Verified
backup, data, where = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def die(*_):
    os._exit(9)
if where == "link":
    Path.hardlink_to = die
restoring.restore_backup(
    backup, data,
    die if where == "check" else lambda folder: Verified(),
    tell=die if where == "copy" else lambda *_: None)
"""


@pytest.mark.parametrize("where", ["copy", "check", "link"])
def test_a_restore_that_was_killed_is_begun_again(
    backup: Path, tmp_path: Path, check: Check, opened: Callable[[Path], Server], where: str
) -> None:
    data = tmp_path / "d"
    done = subprocess.run([sys.executable, "-c", KILLED, str(backup), str(data), where], timeout=300)
    assert done.returncode == 9
    # Nothing that a server takes for its data.
    assert not (data / "control.db").exists()
    assert restore_backup(backup, data, check).checked.findings == []
    assert len(opened(data).store.accounts()) == 3
