"""One small SQLite file: opened when first used, again after a fork, with its ladder of migrations climbed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import apsw

from flaskmail.durable import said, sync_file
from flaskmail.errors import StoreError, StoreNewer

Row = tuple[Any, ...]

OLDEST_SQLITE = (3, 53, 1)
"""Before 3.51.3 a WAL database that several processes write can be damaged; the rest is the stores' need."""

_PAUSE = 0.005

MAY_GO = "stop the server and remove the file: nothing is lost that matters for long"
"""Advice about a damaged file that may be lost."""


class Database:
    """One connection for each process, shared by its threads under a lock.

    path: the file, made with its folder (0700) when it is missing. ladder: the migrations; step n brings a file from
    version n to n+1, and a file keeps its version in ``user_version``. synchronous: FULL for what must outlive a power cut.
    advice: what to do when the file is damaged. Nothing is opened before the first use, and a connection inherited through fork
    is never touched again.
    """

    def __init__(
        self,
        path: Path,
        ladder: Sequence[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        wait: float = 10.0,
        advice: str = "bring the data folder back from a backup (flaskmail restore)",
    ) -> None:
        self.path, self._ladder, self._synchronous, self._wait = path, ladder, synchronous, wait
        self._advice = advice
        self._lock = threading.RLock()
        self._connection: apsw.Connection | None = None
        self._pid = 0
        self._writes = 0

    def _open(self) -> apsw.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if tuple(int(n) for n in apsw.sqlite_lib_version().split(".")) < OLDEST_SQLITE:
            oldest = ".".join(map(str, OLDEST_SQLITE))
            raise StoreError(f"SQLite {apsw.sqlite_lib_version()} is too old: {oldest} is the oldest that is safe")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives -wal and -shm the mode of the database file.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = apsw.Connection(str(self.path))
        except OSError as error:
            raise StoreError(f"cannot open {self.path}: {said(error)}") from error
        except apsw.Error as error:
            raise self._failed(error, "cannot open ") from error
        try:
            connection.set_busy_timeout(int(self._wait * 1000))
            self._log_ahead(connection)
            connection.execute("PRAGMA synchronous=" + self._synchronous)
            connection.execute("PRAGMA mmap_size=0")
            connection.execute("PRAGMA foreign_keys=ON")
            # SQLite's own lower() knows ASCII alone.
            connection.create_scalar_function("folded", _folded, 1, deterministic=True)
            self._climb(connection)
        except apsw.Error as error:
            connection.close()
            raise self._failed(error, "cannot open ") from error
        except StoreError:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection

    def _log_ahead(self, connection: apsw.Connection) -> None:
        """Turns the write-ahead log on. SQLite does not wait by itself where several do so with a new file at once."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE)

    def _failed(self, error: apsw.Error, what: str = "") -> StoreError:
        more = ""
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            more = f"; {self._advice}"
        elif isinstance(error, apsw.IOError) and _is_full(self.path.parent):
            # SQLite says no more when there is no room for the file that its processes share.
            more = "; the disk is full"
        return StoreError(f"{what}{self.path}: {error}{more}")

    def _climb(self, connection: apsw.Connection) -> None:
        def version() -> int:
            return int(connection.execute("PRAGMA user_version").get)

        if version() < len(self._ladder):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for step in range(version(), len(self._ladder)):
                    connection.execute(self._ladder[step])
                    connection.execute(f"PRAGMA user_version={step + 1}")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        if version() > len(self._ladder):
            raise StoreNewer(self.path, version())

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Every row of a query. StoreError when the file cannot be read."""
        with self._lock:
            try:
                return list(self._open().execute(sql, tuple(values)))
            except apsw.Error as error:
                raise self._failed(error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    @contextmanager
    def write(self) -> Iterator[Callable[..., list[Row]]]:
        """A transaction, durable on exit, rolled back by an exception. Yields ``execute(sql, values) -> rows``.

        StoreError when another process holds the file too long or the disk is full; constraint errors pass through."""
        with self._lock:
            connection = self._open()

            def execute(sql: str, values: Sequence[Any] = ()) -> list[Row]:
                return list(connection.execute(sql, tuple(values)))

            try:
                connection.execute("BEGIN IMMEDIATE")
            except apsw.Error as error:
                raise self._failed(error) from error
            try:
                yield execute
                connection.execute("COMMIT")
                self._writes += 1
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError):
                    raise self._failed(error) from error
                raise

    def version(self) -> tuple[int, int]:
        """A value that differs after any commit, by this process or another; microseconds."""
        with self._lock:
            try:
                # The pragma tells of the commits of other connections only, so our own are counted.
                return int(self._open().execute("PRAGMA data_version").get), self._writes
            except apsw.Error as error:
                raise self._failed(error) from error

    def copy(self, target: Path) -> None:
        """Writes a durable copy of the file as it is now to the new file ``target`` (0600), while others write on.
        StoreError when that fails."""
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            # On a connection of its own: nobody waits for it.
            source = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                source.set_busy_timeout(int(self._wait * 1000))
                source.execute("VACUUM INTO ?", (str(target),))
            finally:
                source.close()
            # VACUUM INTO writes with synchronous = OFF.
            sync_file(target)
        except (OSError, apsw.Error) as error:
            raise StoreError(f"{self.path} cannot be copied: {error}") from error

    def close(self) -> None:
        """Closes this process's connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
                self._connection = None


def _folded(*given: Any) -> str | None:
    (text,) = given
    return None if text is None else str(text).casefold()


def _is_full(folder: Path) -> bool:
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False
