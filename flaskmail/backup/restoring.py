"""Brings a backup back into an empty data folder.

Everything is first copied beside its place, compared with its hash, made durable, and checked; then it moves into its place,
``control.db`` last. Until then the folder holds nothing that a server could take for its data, and a restore that was killed is
begun again by the same command.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flaskmail.backup.manifest import SETTINGS, BackupError, DamagedBackup, Listed, Manifest, read_manifest, read_sums
from flaskmail.durable import copy_file, locked, make_folder, sync_folder
from flaskmail.upkeep import Tell, Verified, silent

_STAGE = ".restoring"
_MOST = 20

Check = Callable[[Path], Verified]
"""Verifies a whole data folder."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back. checked: what the check of it found; damaged: files of the backup that were not what they had been
    and were brought back nevertheless."""

    manifest: Manifest
    checked: Verified
    damaged: list[str]


def restore_backup(
    source: Path, data: Path, check: Check, *, even_damaged: bool = False, tell: Tell = silent
) -> Restored:
    """Brings the backup ``source`` back into the folder ``data``, which is empty, not there yet, or left by a restore that did
    not come to its end. tell: told of octets.

    even_damaged: brings back also a backup that was damaged after it was made; what is wrong then, the check says. BackupError
    when the folder is in use, DamagedBackup, StoreError or Cancelled; then nothing was brought back."""
    manifest = read_manifest(source)
    listed = list(read_sums(source, manifest))
    try:
        with _stage(data) as stage:
            damaged = _copy(source, stage, listed, manifest, tell)
            if damaged and not even_damaged:
                told = "; ".join(damaged[:_MOST]) + (f" and {len(damaged) - _MOST} more" if damaged[_MOST:] else "")
                raise DamagedBackup(f"the backup {source} is damaged: {told}")
            checked = check(stage)
            _settle(stage, data)
    except OSError as error:
        raise BackupError(f"{source} cannot be brought back to {data}: {error.strerror}") from error
    return Restored(manifest, checked, damaged)


@contextmanager
def _stage(data: Path) -> Iterator[Path]:
    """An empty folder in the data folder, removed at the end. BackupError when the data folder is in use."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    stage = data / _STAGE
    found = {entry.name for entry in os.scandir(data)}
    # What lies there without control.db was never in its place as a whole.
    if found and not (_STAGE in found and found <= {_STAGE, "accounts", "secret.key"}):
        raise BackupError(f"{data} is not empty: a backup is brought back to an empty folder only")
    # Not before: somebody else's folder stays as it is.
    data.chmod(0o700)
    make_folder(stage)
    with locked(stage) as mine:
        if not mine:
            raise BackupError(f"another backup is being brought back to {data} right now")
        try:
            for path in [data / name for name in found - {_STAGE}] + list(stage.iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def _copy(source: Path, stage: Path, listed: list[Listed], manifest: Manifest, tell: Tell) -> list[str]:
    damaged: list[str] = []
    folders = {stage}
    done = 0
    # As the store makes them, also for accounts without a large blob.
    for account in manifest.accounts:
        for path in (stage / "accounts", stage / "accounts" / account.id, stage / "accounts" / account.id / "blobs"):
            make_folder(path)
            folders.add(path)
    make_folder(stage / "accounts")
    for one in listed:
        if one.path == SETTINGS:
            # It is for a person to put in its place.
            continue
        target = stage / one.path
        for folder in reversed(target.relative_to(stage).parents[:-1]):
            make_folder(stage / folder)
            folders.add(stage / folder)
        try:
            found, size = copy_file(source / one.path, target)
        except FileNotFoundError:
            damaged.append(f"{one.path} is gone")
            continue
        done += size
        if found.hex() != one.sha256:
            damaged.append(f"{one.path} has changed")
        tell(done, max(done, manifest.octets), one.path)
    for folder in sorted(folders, reverse=True):
        sync_folder(folder)
    return damaged


def _settle(stage: Path, data: Path) -> None:
    """Moves everything to its place. BackupError when a server was started on the folder meanwhile."""
    if (data / "control.db").exists():
        raise BackupError(f"a server was started on {data} meanwhile; stop it and begin again with an empty folder")
    (stage / "accounts").rename(data / "accounts")
    for name in ("secret.key", "control.db"):
        if (stage / name).exists():
            # Unlike a rename, never takes the place of another file.
            (data / name).hardlink_to(stage / name)
            (stage / name).unlink()
    sync_folder(data)
