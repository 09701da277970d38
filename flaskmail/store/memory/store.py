"""Store of accounts in memory."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from flaskmail.errors import AccountMissing, OverQuota, StoreError
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import CopiedFile, Finding, Reader, Txn
from flaskmail.store.memory.data import Account, Kind
from flaskmail.store.memory.reading import MemoryReader
from flaskmail.store.memory.writing import MemoryTxn


class MemoryStore:
    """A ``Store`` in this process's memory; gone when the process ends.

    deadline: seconds that a writer waits for its turn before StoreError. Blobs stay as long as their account does.
    """

    def __init__(self, types: Iterable[DataType], *, deadline: float = 30.0) -> None:
        self._types = {kind.name: kind for kind in types}
        self._deadline = deadline
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._history: int | None = None

    def create_account(self, account_id: str) -> None:
        """See ``Store.create_account``; nothing happens when it is there."""
        with self._lock:
            if account_id not in self._accounts:
                self._accounts[account_id] = Account(
                    secrets.token_bytes(32), kinds={name: Kind() for name in self._types}
                )
                self._turns[account_id] = threading.Lock()

    def delete_account(self, account_id: str) -> None:
        """See ``Store.delete_account``; nothing happens when there is none."""
        with self._lock:
            self._accounts.pop(account_id, None)
            self._turns.pop(account_id, None)

    def accounts(self) -> list[str]:
        """See ``Store.accounts``; sorted."""
        with self._lock:
            return sorted(self._accounts)

    def _data(self, account_id: str) -> tuple[Account, threading.Lock]:
        with self._lock:
            if account_id not in self._accounts:
                raise AccountMissing(f"the store has no account {account_id!r}")
            return self._accounts[account_id], self._turns[account_id]

    @contextmanager
    def read(self, account_id: str) -> Iterator[Reader]:
        """See ``Store.read``."""
        yield MemoryReader(self._types, account_id, self._data(account_id)[0])

    @contextmanager
    def write(self, account_id: str) -> Iterator[Txn]:
        """See ``Store.write``."""
        _, turn = self._data(account_id)
        if not turn.acquire(timeout=self._deadline):
            raise StoreError(f"account {account_id!r} is busy: no turn to write within {self._deadline} s")
        try:
            data = self._data(account_id)[0].copy()
            txn = MemoryTxn(self._types, account_id, data)
            yield txn
            txn.settle()
            self._forget(data)
            with self._lock:
                if self._turns.get(account_id) is not turn:
                    raise AccountMissing(f"account {account_id!r} was deleted meanwhile")
                self._accounts[account_id] = data
        finally:
            turn.release()

    def put_blob(self, account_id: str, data: bytes | BinaryIO, size: int, *, quota: int | None = None) -> str:
        """See ``Store.put_blob``. ValueError when ``data`` does not have ``size`` octets."""
        octets = data if isinstance(data, bytes) else data.read(size + 1)
        if len(octets) != size:
            raise ValueError(f"the blob has {len(octets)} octets, {size} were announced")
        with self.write(account_id) as txn:
            if quota is not None and txn.used() + size > quota:
                raise OverQuota(f"the account's quota of {quota} octets is used up")
            return txn.put_blob(octets)

    def verify(self, account_id: str, *, repair: bool = False) -> list[Finding]:
        """See ``Store.verify``; nothing here can be repaired."""
        data, _ = self._data(account_id)
        found = [
            Finding(account_id, f"blob {blob_id} is not what was stored")
            for blob_id, octets in data.blobs.items()
            if hashlib.sha256(octets).digest() != data.digests[blob_id]
        ]
        refs: dict[str, int] = {}
        for name, kind in data.kinds.items():
            for id, row in kind.live.items():
                for prop_name, prop in self._types[name].props.items():
                    if prop.blob_ref is None or prop_name not in row.record:
                        continue
                    for blob_id in prop.blob_ref(row.record[prop_name]):
                        refs[blob_id] = refs.get(blob_id, 0) + 1
                        if blob_id not in data.blobs:
                            found.append(
                                Finding(account_id, f"{name} {id} refers to blob {blob_id}, which is not there")
                            )
        if refs != data.refs:
            found.append(Finding(account_id, "the counts of blob references disagree with the records"))
        return found

    def sweep(self, account_id: str, older_than: float = 24 * 3600) -> int:
        """See ``Store.sweep``: nothing here is kept long enough."""
        self._data(account_id)
        return 0

    def keep_history(self, changes: int) -> None:
        """See ``Store.keep_history``; whoever writes forgets all that may be forgotten."""
        self._history = changes

    def trim(self, account_id: str) -> int:
        """See ``Store.trim``."""
        with self.write(account_id) as txn:
            return self._forget(cast(MemoryTxn, txn).data)

    def _forget(self, data: Account) -> int:
        if self._history is None:
            return 0
        return sum(kind.forget(data.modseq - self._history) for kind in data.kinds.values())

    def untouched(self, account_id: str) -> float:
        """See ``Store.untouched``: nobody notes it here."""
        self._data(account_id)
        return 0.0

    def tidy(self, older_than: float = 3600) -> int:
        """See ``Store.tidy``: nothing outlives the process."""
        return 0

    def copy(self, account_id: str, folder: Path) -> Iterator[CopiedFile]:
        """See ``Store.copy``."""
        raise StoreError("what is kept in memory only cannot be copied")

    def adopt(self, account_id: str, fill: Callable[[Path], None]) -> None:
        """See ``Store.adopt``."""
        raise StoreError("what is kept in memory only has no files")

    def footprint(self, account_id: str) -> int:
        """See ``Store.footprint``."""
        self._data(account_id)
        return 0

    def close(self) -> None:
        """See ``Store.close``; what was stored stays until the store itself goes."""
