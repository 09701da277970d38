"""Makes a backup while the server writes.

``control.db`` is copied first: it says which accounts there are. Then each account as it is at one moment. An account that is
made meanwhile came after the backup; one that is deleted meanwhile is taken out of the copy of ``control.db``. So owners and
accounts of the copy match, and whatever was acknowledged before the backup began is in it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.principals import Principal
from flaskmail.backup.files import unfinished
from flaskmail.backup.manifest import FORMAT, MANIFEST, SETTINGS, SUMS, BackupError, CopiedAccount, Manifest
from flaskmail.durable import make_folder, sync_file, sync_folder, write_file
from flaskmail.errors import AccountMissing, StoreDamaged
from flaskmail.jmap.storage import Store
from flaskmail.upkeep import Tell, silent
from flaskmail.values.dates import format_utc_date


def make_backup(
    store: Store,
    directory: Directory,
    data: Path,
    destination: Path,
    *,
    settings: Path | None = None,
    with_settings: bool = False,
    tell: Tell = silent,
) -> Manifest:
    """Makes the backup ``destination``: a folder that is not there yet, or empty; it appears whole or not at all. The server may
    be running.

    data: the data folder of store and directory; settings: the file that the settings came from, which is copied
    ``with_settings``. tell: told of octets. What is damaged is copied as far as that goes, and told in ``problems``.
    BackupError, StoreError or Cancelled when nothing was made."""
    destination = destination.absolute()
    _check(data.absolute(), destination)
    try:
        with unfinished(destination.parent, destination.name) as folder:
            manifest = _Making(store, directory, folder, tell).run(settings, with_settings)
            sync_folder(folder)
            folder.rename(destination)
            sync_folder(destination.parent)
    except OSError as error:
        raise BackupError(f"the backup {destination} cannot be made: {error.strerror}") from error
    return manifest


def _check(data: Path, destination: Path) -> None:
    try:
        str(destination).encode()
    except UnicodeEncodeError:
        # SQLite knows no other names.
        raise BackupError(f"{str(destination)!a} is not text in UTF-8: choose another name") from None
    if destination.resolve().is_relative_to(data.resolve()):
        raise BackupError(f"{destination} lies in the data folder {data}: it would be lost with it")
    if not destination.parent.is_dir():
        raise BackupError(f"there is no folder {destination.parent}")
    if destination.is_symlink() or (destination.exists() and (not destination.is_dir() or any(destination.iterdir()))):
        raise BackupError(f"{destination} is there already")


def name_of_now() -> str:
    """A name for a backup that is made now; names sort by time."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def now() -> str:
    """The UTCDate of this second."""
    return format_utc_date(datetime.now(UTC).replace(microsecond=0))


class _Making:
    """One backup. folder: where it is made."""

    def __init__(self, store: Store, directory: Directory, folder: Path, tell: Tell) -> None:
        self.store, self.directory, self.folder, self.tell = store, directory, folder, tell
        self.problems: list[str] = []
        self.accounts: list[CopiedAccount] = []
        self.lines: list[str] = []
        self.octets = 0
        self.total = 0

    def run(self, settings: Path | None, with_settings: bool) -> Manifest:
        began = now()
        self.tell(0, 0, "control.db")
        names = self.directory.copy(self.folder)
        make_folder(self.folder / "accounts")
        owners = self._owners()
        self.total = sum(map(self._expected, owners))
        self._drop([owner for owner in owners if not self._copied(owner)])
        sync_folder(self.folder / "accounts")
        for name in names:
            self._list(name, self.folder / name)
        if settings is not None and with_settings:
            write_file(self.folder / SETTINGS, settings.read_bytes())
            self._list(SETTINGS, self.folder / SETTINGS)
        sums = "".join(self.lines).encode("ascii")
        write_file(self.folder / SUMS, sums)
        manifest = Manifest(
            format=FORMAT,
            flaskmail=version("flaskmail"),
            began=began,
            ended=now(),
            settings=None if settings is None else str(settings.absolute()),
            with_settings=settings is not None and with_settings,
            accounts=self.accounts,
            files=len(self.lines),
            octets=self.octets,
            sums=hashlib.sha256(sums).hexdigest(),
            problems=self.problems,
        )
        write_file(self.folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        self.tell(self.octets, self.octets, "")
        return manifest

    def _owners(self) -> list[Principal]:
        copy = Directory(self.folder)
        try:
            return [principal for principal in copy.principals.all() if principal.has_mail]
        finally:
            copy.close()

    def _expected(self, owner: Principal) -> int:
        try:
            return self.store.footprint(owner.id)
        except (AccountMissing, StoreDamaged):
            return 0

    def _copied(self, owner: Principal) -> bool:
        """Copies an account; False when it was deleted meanwhile."""
        target = self.folder / "accounts" / owner.id
        begun, files = self.octets, len(self.lines)
        try:
            for line in self._files(owner, target):
                self.lines.append(line)
        except AccountMissing:
            del self.lines[files:]
            self.octets = begun
            shutil.rmtree(target, ignore_errors=True)
            if any(present.id == owner.id for present in self.directory.principals.all()):
                self.problems.append(f"{owner.name}: its data is not there")
                return True
            return False
        except StoreDamaged as error:
            del self.lines[files:]
            self.octets = begun
            shutil.rmtree(target, ignore_errors=True)
            self.problems.append(f"{owner.name}: {error}; the account is not in the backup")
            return True
        self.accounts.append(CopiedAccount(owner.id, owner.name, len(self.lines) - files, self.octets - begun))
        return True

    def _files(self, owner: Principal, target: Path) -> Iterator[str]:
        for file in self.store.copy(owner.id, target):
            if file.problem:
                self.problems.append(f"{owner.name}: {file.problem}")
            if file.sha256:
                self.octets += file.size
                yield f"{file.sha256}  accounts/{owner.id}/{file.path}\n"
            self.tell(self.octets, max(self.total, self.octets), owner.name)

    def _drop(self, gone: list[Principal]) -> None:
        """Takes owners whose accounts were deleted out of the copy."""
        if gone:
            copy = Directory(self.folder)
            try:
                for owner in gone:
                    copy.principals.delete(owner.name)
            finally:
                copy.close()
            sync_file(self.folder / "control.db")

    def _list(self, name: str, path: Path) -> None:
        octets = path.read_bytes()
        self.octets += len(octets)
        self.lines.append(f"{hashlib.sha256(octets).hexdigest()}  {name}\n")
