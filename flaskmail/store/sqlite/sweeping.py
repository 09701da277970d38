"""Takes away what nobody refers to: uploads that no record took up, and files without a row."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from flaskmail.store.sqlite.connections import translated
from flaskmail.store.sqlite.copying import lone
from flaskmail.store.sqlite.plan import Database

if TYPE_CHECKING:
    from flaskmail.store.sqlite.store import SqliteStore

HOUR = 3600
_BATCH = 500
_PATIENCE = 500
"""Milliseconds for which sweeping waits for older snapshots; writers wait with it."""


def sweep(store: SqliteStore, account_id: str, older_than: float, *, unfinished: bool = True) -> int:
    """Removes unreferenced blobs uploaded more than ``older_than`` seconds ago, and files as old that belong to no blob;
    those of uploads that never ended too, unless told not to. Answers how many blobs went."""
    # RFC 8620 section 6.1: an unreferenced blob must not be deleted for at least an hour.
    older_than = max(older_than, HOUR)
    removed = 0
    while True:
        with store.write(account_id) as txn:
            rows = txn.connection.db.execute(
                "SELECT num, size FROM blob WHERE refs = 0 AND uploaded < ? LIMIT ?",
                (int(time.time() - older_than), _BATCH),
            ).fetchall()
            txn.forget_blobs([num for num, _ in rows], sum(size for _, size in rows))
        removed += len(rows)
        if len(rows) < _BATCH:
            break
    # Files go after their rows, never before: what dies in between is a file without a row.
    sweep_files(store, account_id, older_than, unfinished=unfinished)
    return removed


def has_old(store: SqliteStore, account_id: str) -> bool:
    """Whether an unreferenced blob has had its hour: a look that takes no turn."""
    with store.read(account_id) as reader:
        found = reader.connection.db.execute(
            "SELECT 1 FROM blob WHERE refs = 0 AND uploaded < ? LIMIT 1", (int(time.time() - HOUR),)
        ).fetchone()
    return found is not None


def sweep_files(store: SqliteStore, account_id: str, older_than: float, *, unfinished: bool = True) -> list[str]:
    """Removes files that no row names and that are older than ``older_than`` seconds (unfinished ones: at least an hour).
    Answers their names; none while the account is being copied, and only unfinished ones while a snapshot is open that may
    still know of others."""
    with lone(store.folder(account_id)) as alone:
        return _sweep_files(store, account_id, older_than, unfinished) if alone else []


def _sweep_files(store: SqliteStore, account_id: str, older_than: float, unfinished: bool) -> list[str]:
    files = store.files(account_id)
    removed: list[str] = []
    with store.read(account_id) as reader:
        suspects = [
            (sha, path)
            for sha, path in files.all()
            if not _named(reader.connection.db, sha) and _age(path) >= older_than
        ]
    # Whoever reads an older snapshot still finds the rows, and is to find the files.
    if suspects and not _all_read_the_newest(store, account_id):
        suspects = []
    for start in range(0, len(suspects), _BATCH):
        # Files are put in their place under the writer's turn: while we have it, no row can be on its way.
        # Alone: a row that an earlier member of the group removed would come back if the commit failed, the file would not.
        with store.write(account_id, alone=True) as txn:
            for sha, path in suspects[start : start + _BATCH]:
                if not _named(txn.connection.db, sha):
                    path.unlink(missing_ok=True)
                    removed.append(path.name)
    for path in files.temporary() if unfinished else ():
        if _age(path) > max(older_than, HOUR):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def _all_read_the_newest(store: SqliteStore, account_id: str) -> bool:
    """Whether no snapshot, of any process, is older than the last commit. Waits a moment for those that are."""
    connection = store.pool.take(account_id)
    try:
        connection.db.set_busy_timeout(_PATIENCE)
        # FULL comes to its end only when every reader is at the newest snapshot; SQLite knows them all by their locks.
        ((busy, _, _),) = connection.db.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        return not busy
    except apsw.BusyError:
        return False
    except apsw.Error as error:
        connection.broken = True
        raise translated(error) from error
    finally:
        connection.db.set_busy_timeout(int(store.lock_timeout * 1000))
        store.pool.give(connection)


def tidy(root: Path, older_than: float) -> int:
    """Removes the folders of accounts whose making or removal was cut short more than ``older_than`` seconds ago."""
    removed = 0
    for kind in (".making-*", ".deleted-*"):
        for folder in root.glob(kind):
            try:
                # Renaming changes the ctime alone.
                age = time.time() - folder.stat().st_ctime
            except FileNotFoundError:
                # Whoever was at it has ended it.
                continue
            if age > older_than:
                shutil.rmtree(folder, ignore_errors=True)
                removed += not folder.exists()
    return removed


def untouched(folder: Path) -> float:
    """Seconds since an account's database was written; -1 when there is none. Who only reads may make an empty -wal."""
    wal = folder / "mail.db-wal"
    ages = [_age(folder / "mail.db"), _age(wal) if wal.exists() and wal.stat().st_size else -1.0]
    return min((age for age in ages if age >= 0), default=-1.0)


def _named(db: Database, sha: bytes) -> bool:
    return bool(db.execute("SELECT 1 FROM blob WHERE sha = ? AND filed", (sha,)).fetchall())


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return -1.0
