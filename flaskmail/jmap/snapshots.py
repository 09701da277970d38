"""One snapshot for the method calls of a request that follow each other and only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from flaskmail.jmap.storage import CopiedFile, Finding, Reader, Store, Txn


class Snapshots:
    """A Store for one request in one thread: what ``read`` opens stays open for the next ``read`` of the same account, until
    ``release`` or until something is written through it. So a query and the gets that refer to it see the same records, and
    a snapshot is opened once.

    Whoever makes one calls ``release`` at the end. Everything else is the store's.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: _Kept | None = None

    def read(self, account_id: str) -> AbstractContextManager[Reader]:
        """See Store."""
        kept = self._kept
        if kept is not None and kept.account_id != account_id and not kept.busy:
            self.release()
            kept = None
        if kept is None:
            kept = self._kept = _Kept(self, account_id)
        # Somebody who reads while reading gets a snapshot of their own.
        return self.store.read(account_id) if kept.busy else kept

    def write(self, account_id: str) -> AbstractContextManager[Txn]:
        """See Store."""
        self.release()
        return self.store.write(account_id)

    def put_blob(self, account_id: str, data: bytes | BinaryIO, size: int, *, quota: int | None = None) -> str:
        """See Store."""
        self.release()
        return self.store.put_blob(account_id, data, size, quota=quota)

    def release(self) -> None:
        """Lets go of the snapshot that is kept; one that is in use stays, for its user alone."""
        kept, self._kept = self._kept, None
        if kept is not None and not kept.busy:
            kept.close()

    def forget(self, kept: _Kept) -> None:
        """Called by a snapshot that was closed, or is not to be used again."""
        if self._kept is kept:
            self._kept = None

    def is_kept(self, kept: _Kept) -> bool:
        """Whether the snapshot is to stay open when its user leaves."""
        return self._kept is kept

    def create_account(self, account_id: str) -> None:
        """See Store."""
        self.store.create_account(account_id)

    def delete_account(self, account_id: str) -> None:
        """See Store."""
        self.release()
        self.store.delete_account(account_id)

    def accounts(self) -> list[str]:
        """See Store."""
        return self.store.accounts()

    def verify(self, account_id: str, *, repair: bool = False) -> list[Finding]:
        """See Store."""
        self.release()
        return self.store.verify(account_id, repair=repair)

    def sweep(self, account_id: str, older_than: float = 24 * 3600) -> int:
        """See Store."""
        self.release()
        return self.store.sweep(account_id, older_than)

    def keep_history(self, changes: int) -> None:
        """See Store."""
        self.store.keep_history(changes)

    def trim(self, account_id: str) -> int:
        """See Store."""
        self.release()
        return self.store.trim(account_id)

    def untouched(self, account_id: str) -> float:
        """See Store."""
        return self.store.untouched(account_id)

    def tidy(self, older_than: float = 3600) -> int:
        """See Store."""
        return self.store.tidy(older_than)

    def copy(self, account_id: str, folder: Path) -> Iterator[CopiedFile]:
        """See Store."""
        self.release()
        return self.store.copy(account_id, folder)

    def adopt(self, account_id: str, fill: Callable[[Path], None]) -> None:
        """See Store."""
        self.store.adopt(account_id, fill)

    def footprint(self, account_id: str) -> int:
        """See Store."""
        return self.store.footprint(account_id)

    def close(self) -> None:
        """See Store."""
        self.release()
        self.store.close()


class _Kept:
    """The snapshot of one account. busy: somebody is inside of its ``with``."""

    __slots__ = ("_around", "_owner", "_reader", "account_id", "busy")

    def __init__(self, owner: Snapshots, account_id: str) -> None:
        self._owner, self.account_id = owner, account_id
        self._around: AbstractContextManager[Reader] | None = None
        self._reader: Reader | None = None
        self.busy = False

    def __enter__(self) -> Reader:
        if self._reader is None:
            around = self._owner.store.read(self.account_id)
            try:
                self._reader = around.__enter__()
            except BaseException:
                self._owner.forget(self)
                raise
            self._around = around
        self.busy = True
        return self._reader

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.busy = False
        if error is not None or not self._owner.is_kept(self):
            self._owner.forget(self)
            # The store hears of the error as if it were in its own with: it may know a better one.
            self._leave(kind, error, at)

    def close(self) -> None:
        """Ends the snapshot; harmless when it never began."""
        self._leave(None, None, None)

    def _leave(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        around, self._around, self._reader = self._around, None, None
        if around is not None:
            around.__exit__(kind, error, at)
