"""SqliteStore: all accounts under one folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import BinaryIO

import apsw

from flaskmail.durable import make_folder, said, sync_folder
from flaskmail.errors import AccountMissing, OverQuota, StoreError
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import CopiedFile, Finding
from flaskmail.store.sqlite import migrations
from flaskmail.store.sqlite.blobs import INSIDE, BlobFiles, Incoming
from flaskmail.store.sqlite.connections import PAGE_SIZE, Connection, Pool, require_sqlite, translated
from flaskmail.store.sqlite.copying import copy_account, footprint
from flaskmail.store.sqlite.grouping import Group
from flaskmail.store.sqlite.locks import Locks, Waiter, too_late
from flaskmail.store.sqlite.plan import Plans
from flaskmail.store.sqlite.reading import SqliteReader
from flaskmail.store.sqlite.sweeping import has_old, sweep, tidy, untouched
from flaskmail.store.sqlite.verifying import verify
from flaskmail.store.sqlite.writing import SqliteTxn
from flaskmail.values.ids import is_id

KEEP_FREE = 64 * 1024 * 1024
_FORGOTTEN_AT_ONCE = 1000


class Reading:
    """``with store.read(id) as reader``: a snapshot that begins with the first look."""

    __slots__ = ("_account_id", "_connection", "_store")

    def __init__(self, store: SqliteStore, account_id: str) -> None:
        self._store, self._account_id = store, account_id

    def __enter__(self) -> SqliteReader:
        store = self._store
        store.check_id(self._account_id)
        self._connection = store.pool.take(self._account_id)
        try:
            self._connection.db.execute("BEGIN")
        except apsw.Error as error:
            self._connection.broken = True
            store.pool.give(self._connection)
            raise translated(error) from error
        return SqliteReader(self._account_id, self._connection, store.plans, store.files(self._account_id))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _finish(self._store.pool, self._connection, error)


def _finish(pool: Pool, connection: Connection, error: BaseException | None) -> None:
    """Ends a snapshot, puts the connection back, and translates what SQLite said."""
    try:
        if not connection.db.get_autocommit():
            connection.db.execute("COMMIT")
    except apsw.Error as failed:
        connection.broken = True
        if error is None:
            raise translated(failed) from failed
    finally:
        if isinstance(error, apsw.Error) and not isinstance(error, apsw.InterruptError | apsw.ConstraintError):
            connection.broken = True
        pool.give(connection)
    if isinstance(error, apsw.Error):
        raise translated(error) from error


class Writing:
    """``with store.write(id) as txn``: a member of a group; see :mod:`flaskmail.store.sqlite.grouping`."""

    __slots__ = ("_account_id", "_alone", "_group", "_store", "_txn")

    def __init__(self, store: SqliteStore, account_id: str, alone: bool) -> None:
        self._store, self._account_id, self._alone = store, account_id, alone

    def __enter__(self) -> SqliteTxn:
        store, account_id = self._store, self._account_id
        store.check_id(account_id)
        # What has to be done to the file first takes the turn itself.
        store.pool.prepare(account_id)
        deadline = time.monotonic() + store.lock_timeout
        queue = store.locks.queue(f"{store.root}/{account_id}")
        waiter = Waiter(not self._alone)
        if not queue.acquire(deadline, waiter):
            raise too_late(store.lock_timeout)
        group: Group | None = waiter.baton
        if group is None:
            try:
                group = Group(store, account_id, queue, deadline, self._alone)
            except BaseException:
                queue.release()
                raise
        self._group, self._txn = group, group.enter()
        return self._txn

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._group.leave(self._txn, error)


class SqliteStore:
    """Implements :class:`flaskmail.jmap.storage.Store`: one folder an account, ``<root>/accounts/<accountId>/`` with ``mail.db``,
    ``blobs/`` and the two files of the writers' queue.

    types: the declared data types, which every account's file is fitted to when it is opened. lock_timeout: seconds that a
    writer waits for its turn. keep_free: octets that stay free on the disk; below, creates and uploads are OverQuota and only
    destroying goes on. connections: how many idle connections a process keeps. ConfigError when SQLite is too old.
    """

    def __init__(
        self,
        root: Path,
        types: Iterable[DataType],
        *,
        lock_timeout: float = 10.0,
        keep_free: int = KEEP_FREE,
        connections: int = 24,
    ) -> None:
        require_sqlite()
        self.plans = Plans(types)
        self.root = Path(root).absolute() / "accounts"
        self.lock_timeout, self.keep_free = lock_timeout, keep_free
        self.locks = Locks()
        try:
            Path(root).mkdir(mode=0o700, parents=True, exist_ok=True)
            make_folder(self.root)
        except OSError as error:
            raise StoreError(f"the data folder {root} cannot be made or used: {said(error)}") from error
        self.pool = Pool(self.root, connections, lock_timeout, self._make_ready)
        self._files: dict[str, BlobFiles] = {}
        self.history: int | None = None

    # ---- accounts

    def check_id(self, account_id: str) -> None:
        """AccountMissing when ``account_id`` can be no account's name (and no path)."""
        if account_id not in self._files and not is_id(account_id):
            raise AccountMissing(f"there is no account {account_id[:64]!r}")

    def folder(self, account_id: str) -> Path:
        """Where the account lies."""
        return self.root / account_id

    def files(self, account_id: str) -> BlobFiles:
        """The account's blob files."""
        found = self._files.get(account_id)
        if found is None:
            if len(self._files) > 10_000:
                self._files.clear()
            found = self._files[account_id] = BlobFiles(self.root / account_id / "blobs")
        return found

    def create_account(self, account_id: str) -> None:
        """Makes an account, whole or not at all; one that is there already stays as it is. ValueError when the id is no Id."""
        if not is_id(account_id):
            raise ValueError(f"{account_id!r} is no Id")
        if not self.folder(account_id).exists():
            self._make(account_id, lambda folder: self._make_file(folder / "mail.db"))

    def adopt(self, account_id: str, fill: Callable[[Path], None]) -> None:
        """See Store. ValueError when the id is no Id."""
        if not is_id(account_id):
            raise ValueError(f"{account_id!r} is no Id")
        if self.folder(account_id).exists() or not self._make(account_id, fill):
            raise StoreError(f"there is an account {account_id} already")

    def _make(self, account_id: str, fill: Callable[[Path], None]) -> bool:
        """Makes an account's folder, which ``fill`` fills; False when somebody else made it meanwhile."""
        target = self.folder(account_id)
        making = self.root / f".making-{token_hex(8)}"
        try:
            make_folder(making)
            make_folder(making / "blobs")
            fill(making)
            sync_folder(making)
            try:
                making.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
                return False
            sync_folder(self.root)
        except OSError as error:
            raise StoreError(f"the account cannot be made: {error.strerror}") from error
        except apsw.Error as error:
            raise translated(error) from error
        finally:
            if making.exists():
                shutil.rmtree(making, ignore_errors=True)
        return True

    def _make_file(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        db = apsw.Connection(str(path))
        try:
            db.execute(
                f"PRAGMA page_size = {PAGE_SIZE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
            ).fetchall()
            migrations.migrate(db, self.plans)
        finally:
            db.close(True)

    def _make_ready(self, account_id: str) -> None:
        """Fits an account's file to this version and the declared types."""
        connection = Connection(account_id, str(self.folder(account_id) / "mail.db"), self.lock_timeout)
        try:
            if not migrations.is_current(connection.db, self.plans):
                with self.locks.held(self.folder(account_id), self.lock_timeout):
                    migrations.migrate(connection.db, self.plans)
        except apsw.Error as error:
            raise translated(error) from error
        finally:
            connection.close()

    def delete_account(self, account_id: str) -> None:
        """Removes an account and everything in it; nothing happens when there is none."""
        if not is_id(account_id) or not self.folder(account_id).exists():
            return
        going = self.root / f".deleted-{token_hex(8)}"
        try:
            # Under the lock, so that nobody's commit is lost: writers who wait find that their lock file has no name any more.
            with self.locks.held(self.folder(account_id), self.lock_timeout):
                self.folder(account_id).rename(going)
                sync_folder(self.root)
                shutil.rmtree(going)
        except AccountMissing:
            return
        except OSError as error:
            raise StoreError(f"the account cannot be removed: {error.strerror}") from error
        finally:
            self.pool.forget(account_id)

    def accounts(self) -> list[str]:
        """The ids of all accounts, sorted."""
        return sorted(entry.name for entry in os.scandir(self.root) if is_id(entry.name) and entry.is_dir())

    # ---- reading and writing

    def read(self, account_id: str) -> Reading:
        """See Store."""
        return Reading(self, account_id)

    def write(self, account_id: str, *, alone: bool = False) -> Writing:
        """See Store. alone: shares its commit with nobody, for what reads or writes behind the transaction's back."""
        return Writing(self, account_id, alone)

    def put_blob(self, account_id: str, data: bytes | BinaryIO, size: int, *, quota: int | None = None) -> str:
        """See Store. StoreError when ``data`` has not ``size`` octets."""
        self.check_id(account_id)
        if size <= INSIDE:
            octets = bytes(data) if isinstance(data, bytes | bytearray | memoryview) else data.read(size + 1)
            if len(octets) != size:
                raise StoreError(f"there are {len(octets)} octets to store instead of {size}")
            sha = hashlib.sha256(octets).digest()
            return self._keep(account_id, sha, size, octets, quota)
        self.pool.prepare(account_id)
        # Refused before it is written.
        if quota is not None and size > quota:
            raise OverQuota(f"{size} octets exceed the account's quota of {quota}")
        self._check_room(size)
        incoming = self.files(account_id).receive(data, size)
        try:
            if incoming.size != size:
                raise StoreError(f"there are {incoming.size} octets to store instead of {size}")
            return self._keep(account_id, incoming.sha, size, incoming, quota)
        finally:
            incoming.discard()

    def _keep(self, account_id: str, sha: bytes, size: int, data: bytes | Incoming, quota: int | None) -> str:
        try:
            with self.write(account_id) as txn:
                return txn.keep_blob(sha, size, data, quota)
        except OverQuota:
            # RFC 8620 section 6: over quota, what nothing refers to goes; here, what has had its hour (section 6.1).
            if quota is None or size > quota or not has_old(self, account_id):
                raise
        sweep(self, account_id, 0, unfinished=False)
        with self.write(account_id) as txn:
            return txn.keep_blob(sha, size, data, quota)

    def _check_room(self, size: int) -> None:
        status = os.statvfs(self.root)
        if status.f_bavail * status.f_frsize < self.keep_free + size:
            raise OverQuota("the server's disk is nearly full; nothing new is taken in")

    def verify(self, account_id: str, *, repair: bool = False) -> list[Finding]:
        """See Store."""
        return verify(self, account_id, repair)

    def sweep(self, account_id: str, older_than: float = 24 * 3600) -> int:
        """Removes blobs that nothing has referred to since they were uploaded more than ``older_than`` seconds ago (an hour at
        least, RFC 8620 section 6.1), and files that no blob names. Answers how many blobs went."""
        return sweep(self, account_id, older_than)

    def keep_history(self, changes: int) -> None:
        """See Store."""
        self.history = changes

    def trim(self, account_id: str) -> int:
        """See Store. Takes turns with other writers, and does a little in each."""
        if self.history is None:
            return 0
        removed = 0
        for kind in self.plans:
            while True:
                with self.write(account_id) as txn:
                    gone = txn.forget(kind, self.history, _FORGOTTEN_AT_ONCE)
                removed += gone
                if gone < _FORGOTTEN_AT_ONCE:
                    break
        return removed

    def untouched(self, account_id: str) -> float:
        """See Store."""
        self.check_id(account_id)
        age = untouched(self.folder(account_id))
        if age < 0:
            raise AccountMissing(f"there is no account {account_id}")
        return age

    def tidy(self, older_than: float = 3600) -> int:
        """See Store."""
        return tidy(self.root, older_than)

    def copy(self, account_id: str, folder: Path) -> Iterator[CopiedFile]:
        """See Store. The copy is ``mail.db`` and ``blobs/``, as the account has them."""
        return copy_account(self, account_id, folder)

    def footprint(self, account_id: str) -> int:
        """See Store."""
        return footprint(self, account_id)

    def close(self) -> None:
        """Closes all kept connections. A closed store answers StoreError."""
        self.pool.close()
