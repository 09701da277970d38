"""Kept connections: opened once, used by one thread at a time, never carried over a fork."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from flaskmail.errors import AccountMissing, ConfigError, Problem, StoreDamaged, StoreError
from flaskmail.store.sqlite.plan import Database
from flaskmail.values.collations import COLLATIONS, unicode_casemap

OLDEST_SQLITE = (3, 53, 1)
"""Before 3.51.3 the WAL-reset bug damages files that several processes write; before 3.53.1 an OFFSET behind an EXISTS that
is turned into a join skips too few rows."""
NEEDED = frozenset({"ENABLE_CARRAY", "ENABLE_FTS5"})
"""What SQLite must have been built with."""
CACHE_KIB = 2048
"""Of each connection. What reads touch again and again fits into it; more costs memory and no less time."""
JOURNAL_LIMIT = 64 * 1024 * 1024
PAGE_SIZE = 4096
"""A change of a flag writes a dozen pages, whatever their size."""
WAL_PAGES = 4000
"""Pages of the write-ahead log after which a commit copies them into the file."""
_STEPS = 20_000

Scan = Callable[[int, str], bool]


def require_sqlite(version: str | None = None) -> None:
    """ConfigError when the SQLite that would be used (or ``version``) is one that may damage files, or lacks what is needed."""
    found = apsw.sqlite_lib_version() if version is None else version
    if tuple(int(part) for part in found.split(".")[:3]) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigError(
            [Problem("apsw", "sqlite", found, f"SQLite {oldest} or later: older ones damage files or answer wrongly")]
        )
    lacking = sorted(NEEDED.difference(apsw.compile_options))
    if lacking:
        raise ConfigError(
            [Problem("apsw", "sqlite", f"a build without {' and '.join(lacking)}", "one with them, as PyPI has it")]
        )


def translated(error: apsw.Error) -> StoreError:
    """What an error of SQLite means to the caller."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreDamaged(f"the account's database is damaged: {error}")
    if isinstance(error, apsw.FullError):
        return StoreError("the disk is full")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreError("the account is busy")
    if isinstance(error, apsw.InterruptError):
        return StoreError("this took too long and was given up; ask for less at once")
    if isinstance(error, apsw.TooBigError):
        return StoreError("this is more than the store takes at once")
    return StoreError(f"the database failed: {type(error).__name__}: {error}")


class Connection:
    """One connection. db: apsw's; deadline: time.monotonic() at which what runs is given up; scans: the tests that SQL may
    ask for (see querying); broken: not to be used again."""

    __slots__ = ("account_id", "broken", "db", "deadline", "inode", "pid", "scans")

    def __init__(self, account_id: str, path: str, busy_timeout: float) -> None:
        self.account_id, self.pid = account_id, os.getpid()
        self.deadline = float("inf")
        self.broken = False
        self.scans: list[Callable[[str], bool]] = []
        try:
            self.inode = Path(path).stat().st_ino
            self.db: Database = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=400)
        except (FileNotFoundError, NotADirectoryError):
            raise AccountMissing(f"there is no account {account_id}") from None
        except apsw.Error as error:
            raise translated(error) from error
        try:
            self._settle(busy_timeout)
        except BaseException as error:
            self.db.close(True)
            if isinstance(error, apsw.Error):
                raise translated(error) from error
            raise

    def _settle(self, busy_timeout: float) -> None:
        db = self.db
        # The last resort only: writers of this house queue before they begin.
        db.set_busy_timeout(int(busy_timeout * 1000))
        db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        db.execute(
            f"PRAGMA synchronous = FULL; PRAGMA mmap_size = 0; PRAGMA journal_size_limit = {JOURNAL_LIMIT};"
            f"PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY;"
            f"PRAGMA wal_autocheckpoint = {WAL_PAGES}"
        ).fetchall()
        db.set_progress_handler(self._late, _STEPS)
        for name, key in COLLATIONS.items():
            db.create_scalar_function(collation_function(name), _sort_key(key), 1, deterministic=True)
        db.create_scalar_function("fm_contains", _contains, 2, deterministic=True)
        db.create_scalar_function("fm_scan", self._scan, 2)

    def _late(self) -> bool:
        return time.monotonic() > self.deadline

    def _scan(self, index: int, id: str) -> bool:
        return self.scans[index](id)

    def close(self) -> None:
        """Closes; harmless twice."""
        self.db.close(True)


def collation_function(name: str) -> str:
    """The SQL function that makes sort keys of a registered collation. KeyError when there is none of that name."""
    COLLATIONS[name]
    return "fm_" + "".join(c if c.isalnum() else "_" for c in name)


def _sort_key(key: Callable[[str], Any]) -> Callable[[Any], Any]:
    def sort_key(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        made = key(value)
        if isinstance(made, tuple):
            # Numbers are lengths and ranks: padded, their text sorts as they do.
            return "".join(f"{part:020d}" if isinstance(part, int) else part for part in made)
        return made

    return sort_key


def _contains(text: Any, folded: str) -> bool:
    return isinstance(text, str) and folded in unicode_casemap(text)


class Pool:
    """The kept connections of one process, least recently used accounts closed first.

    root: the folder of the accounts; largest: how many idle connections are kept in all; ready: called once per account
    and process with a new connection's path before it is used (migrations).
    """

    def __init__(self, root: Path, largest: int, busy_timeout: float, ready: Callable[[str], None]) -> None:
        self._root, self._largest, self._busy_timeout, self._ready = str(root), largest, busy_timeout, ready
        self._mutex = threading.Lock()
        self._idle: OrderedDict[str, list[Connection]] = OrderedDict()
        self._count = 0
        self._made_ready: dict[str, int] = {}
        self._pid = os.getpid()
        self._closed = False

    def prepare(self, account_id: str) -> None:
        """Makes the account's file ready if that has not happened yet. AccountMissing when the account has no file."""
        inode = self._inode(account_id)
        if self._made_ready.get(account_id) != inode:
            self._ready(account_id)
            with self._mutex:
                self._made_ready[account_id] = inode

    def _inode(self, account_id: str) -> int:
        try:
            return os.stat(f"{self._root}/{account_id}/mail.db").st_ino  # noqa: PTH116 (on every read)
        except (FileNotFoundError, NotADirectoryError):
            self.forget(account_id)
            raise AccountMissing(f"there is no account {account_id}") from None
        except OSError as error:
            raise StoreError(f"the account's file cannot be reached: {error.strerror}") from error

    def take(self, account_id: str) -> Connection:
        """A connection that nobody else uses. AccountMissing when the account has no file."""
        inode = self._inode(account_id)
        stale: list[Connection] = []
        try:
            with self._mutex:
                if self._pid != os.getpid():
                    self._forked()
                if self._closed:
                    raise StoreError("the store is closed")
                kept = self._idle.get(account_id)
                while kept:
                    connection = kept.pop()
                    self._count -= 1
                    if connection.inode == inode:
                        return connection
                    # The account was deleted and made anew by somebody else.
                    stale.append(connection)
        finally:
            for old in stale:
                old.close()
        self.prepare(account_id)
        return Connection(account_id, f"{self._root}/{account_id}/mail.db", self._busy_timeout)

    def give(self, connection: Connection) -> None:
        """Puts a connection back, or closes it when it is broken or too many are kept."""
        if connection.pid != os.getpid():
            _abandon(connection)
            return
        if connection.broken or not connection.db.get_autocommit():
            connection.close()
            return
        surplus: Connection | None = None
        with self._mutex:
            if self._closed:
                surplus = connection
            else:
                self._idle.setdefault(connection.account_id, []).append(connection)
                self._idle.move_to_end(connection.account_id)
                self._count += 1
                if self._count > self._largest:
                    surplus = self._oldest()
        if surplus is not None:
            surplus.close()

    def _oldest(self) -> Connection:
        while True:
            account_id, kept = next(iter(self._idle.items()))
            if kept:
                self._count -= 1
                return kept.pop(0)
            del self._idle[account_id]
            self._made_ready.pop(account_id, None)

    def _forked(self) -> None:
        # Used, or even closed, in a child, a connection of SQLite harms the parent's.
        for kept in self._idle.values():
            for connection in kept:
                _abandon(connection)
        self._idle.clear()
        self._count = 0
        self._pid = os.getpid()

    def forget(self, account_id: str) -> None:
        """Closes the idle connections of an account."""
        with self._mutex:
            if self._pid != os.getpid():
                self._forked()
            kept = self._idle.pop(account_id, [])
            self._count -= len(kept)
            self._made_ready.pop(account_id, None)
        for connection in kept:
            connection.close()

    def close(self) -> None:
        """Closes every idle connection; those in use are closed when they are given back."""
        with self._mutex:
            self._closed = True
            accounts = list(self._idle)
        for account_id in accounts:
            self.forget(account_id)


def _abandon(connection: Connection) -> None:
    """Keeps the object alive for ever: its destructor would close a parent's connection."""
    connection.db.set_progress_handler(None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection.db))
