"""A copy of an account as it is at one moment, while others write to it.

The database first, as one snapshot; then the files of the large blobs that the snapshot names. A file is there before its row and
is never changed, so only its removal could do harm: whoever copies keeps a shared lock on the account's file ``copying``, and
files are removed only by whoever has it alone (:func:`lone`). The kernel frees it when a process dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from flaskmail.durable import alone, copy_file, make_folder, sync_file, sync_folder
from flaskmail.errors import AccountMissing, StoreDamaged, StoreError
from flaskmail.jmap.storage import CopiedFile
from flaskmail.store.sqlite.blobs import BlobFiles, hash_file
from flaskmail.store.sqlite.connections import Connection, translated
from flaskmail.store.sqlite.plan import Database

if TYPE_CHECKING:
    from flaskmail.store.sqlite.store import SqliteStore

_BATCH = 500


def copy_account(store: SqliteStore, account_id: str, folder: Path) -> Iterator[CopiedFile]:
    """See Store.copy."""
    store.check_id(account_id)
    store.pool.prepare(account_id)
    try:
        with _shared(store.folder(account_id)):
            make_folder(folder)
            yield _copy_database(store, account_id, folder / "mail.db")
            make_folder(folder / "blobs")
            yield from _copy_files(store.files(account_id), folder / "mail.db", BlobFiles(folder / "blobs"))
            sync_folder(folder)
    except OSError as error:
        if not store.folder(account_id).exists():
            raise AccountMissing(f"there is no account {account_id}") from None
        raise StoreError(f"the account cannot be copied: {error.strerror}") from error
    except apsw.Error as error:
        raise translated(error) from error


def footprint(store: SqliteStore, account_id: str) -> int:
    """See Store.footprint."""
    with store.read(account_id) as reader:
        (filed,) = reader.connection.db.execute("SELECT ifnull(sum(size), 0) FROM blob WHERE filed").fetchone()
    try:
        return int(filed) + (store.folder(account_id) / "mail.db").stat().st_size
    except FileNotFoundError:
        raise AccountMissing(f"there is no account {account_id}") from None


def _mark(folder: Path) -> int:
    """The file by which copying and removing keep out of each other's way. AccountMissing when the account was deleted."""
    try:
        return os.open(folder / "copying", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise AccountMissing(f"there is no account {folder.name}") from None


@contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """Keeps every file of the account's blobs in its place meanwhile."""
    handle = _mark(folder)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def lone(folder: Path) -> Iterator[bool]:
    """Whether nobody copies the account and nobody will within the block: then files may be removed."""
    handle = _mark(folder)
    try:
        yield alone(handle)
    finally:
        os.close(handle)


def _copy_database(store: SqliteStore, account_id: str, target: Path) -> CopiedFile:
    connection = Connection(account_id, str(store.folder(account_id) / "mail.db"), store.lock_timeout)
    try:
        copy_database(connection.db, target)
    finally:
        connection.close()
    return CopiedFile("mail.db", target.stat().st_size, hash_file(target).hex())


def copy_database(db: Database, target: Path) -> None:
    """A durable copy of a database as it is now, in WAL mode as the original; writers go on meanwhile."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    db.execute("VACUUM INTO ?", (str(target),))
    copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        copy.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        copy.close(True)
    # VACUUM INTO writes with synchronous = OFF.
    sync_file(target)


def _copy_files(source: BlobFiles, snapshot: Path, target: BlobFiles) -> Iterator[CopiedFile]:
    folders: set[Path] = set()
    for sha, size in _named(snapshot):
        path = target.path(sha)
        problem = ""
        try:
            folders |= _make_folders(path.parent, target.folder)
            found, copied = copy_file(source.path(sha), path)
            if (found, copied) != (sha, size):
                problem = f"the file {path.name} of a blob is not what was written"
        except FileNotFoundError:
            if not source.folder.exists():
                raise
            yield CopiedFile(_relative(path, target), 0, "", f"the file {path.name} of a blob is gone")
            continue
        yield CopiedFile(_relative(path, target), copied, found.hex(), problem)
    for folder in sorted(folders, reverse=True):
        sync_folder(folder)


def _relative(path: Path, files: BlobFiles) -> str:
    return str(path.relative_to(files.folder.parent))


def _named(snapshot: Path) -> Iterator[tuple[bytes, int]]:
    """(hash, size) of every blob that the copied database has in a file."""
    # Nobody writes it: so no files come to lie beside it.
    db: Database = apsw.Connection(
        f"{snapshot.as_uri()}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        last = -1
        while rows := db.execute(
            "SELECT num, sha, size FROM blob WHERE filed AND num > ? ORDER BY num LIMIT ?", (last, _BATCH)
        ).fetchall():
            for _, sha, size in rows:
                yield sha, size
            last = rows[-1][0]
    except apsw.CorruptError as error:
        raise StoreDamaged(f"the account's database is damaged: {error}") from error
    finally:
        db.close(True)


def _make_folders(folder: Path, top: Path) -> set[Path]:
    """Makes a folder two levels below ``top``; answers all whose entries have to be made durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        make_folder(folder)
    return {top, folder.parent, folder}
