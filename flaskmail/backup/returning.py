"""Brings one account back from a backup, beside those that are there, while the server runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.passwords import make_password
from flaskmail.accounts.principals import Principal, Secret
from flaskmail.backup.manifest import BackupError, Listed, read_manifest, read_sums
from flaskmail.durable import copy_file, make_folder, sync_folder
from flaskmail.jmap.storage import Store
from flaskmail.upkeep import Tell, silent


def restore_account(
    source: Path, store: Store, directory: Directory, name: str, *, tell: Tell = silent
) -> tuple[Principal, list[str]]:
    """Brings the account of that name back, with its mail, its id and the password of then; it must be gone now. The principal,
    and what could not be had of its mail, which was damaged when the backup was made. tell: told of octets.

    Roles, further addresses, tokens and second factors do not come back. BackupError, StoreError, or BadName; then nothing was
    brought back."""
    manifest = read_manifest(source)
    listed = list(read_sums(source, manifest))
    account = next((one for one in manifest.accounts if one.name == name.lower()), None)
    if account is None:
        raise BackupError(f"there is no account {name!r} in the backup {source}")
    secret = _secret(source, {one.path: one for one in listed}, account.name)
    present = directory.principals.secret_of(account.id)
    if present is not None:
        # Also under another name: the id is one account's.
        raise BackupError(f"the account is there, as {present.principal.name!r}: delete it first")
    if directory.principals.secret(account.name) is not None:
        raise BackupError(f"there is an account {account.name!r} now: rename or delete it first")
    prefix = f"accounts/{account.id}/"
    files = [one for one in listed if one.path.startswith(prefix)]

    def fill(folder: Path) -> None:
        done = 0
        folders = {folder}
        for one in files:
            target = folder / one.path.removeprefix(prefix)
            for parent in reversed(target.relative_to(folder).parents[:-1]):
                make_folder(folder / parent)
                folders.add(folder / parent)
            done += _copy(source, one, target)
            tell(done, max(done, account.octets), account.name)
        for each in sorted(folders, reverse=True):
            sync_folder(each)

    store.adopt(account.id, fill)
    try:
        principal = _add(directory, account.id, account.name, secret)
    except BaseException:
        store.delete_account(account.id)
        raise
    return principal, [finding.what for finding in store.verify(account.id)]


def _add(directory: Directory, id: str, name: str, secret: Secret) -> Principal:
    then, principals = secret.principal, directory.principals
    # Who was kept out has no password that opens anything before he is kept out again.
    password = directory.passwords.hash(make_password()) if then.disabled else secret.password
    principals.add(id, name, password, description=then.description, quota=then.quota)
    if then.disabled:
        principals.set_disabled(name, True)
        principals.set_password(name, secret.password)
    return principals.get(name)


def _secret(source: Path, files: dict[str, Listed], name: str) -> Secret:
    with tempfile.TemporaryDirectory(prefix="flaskmail-") as folder:
        for path in ("control.db", "secret.key"):
            if path in files:
                _copy(source, files[path], Path(folder) / path)
        copy = Directory(Path(folder))
        try:
            found = copy.principals.secret(name)
        finally:
            copy.close()
    if found is None:
        raise BackupError(f"control.db in the backup {source} knows no account {name!r}")
    return found


def _copy(source: Path, one: Listed, target: Path) -> int:
    try:
        found, size = copy_file(source / one.path, target)
    except OSError as error:
        raise BackupError(f"{one.path} cannot be copied from the backup {source}: {error.strerror}") from error
    if found.hex() != one.sha256:
        raise BackupError(f"the backup {source} is damaged: {one.path} has changed")
    return size
