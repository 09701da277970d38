"""Group commit: transactions of several threads share one transaction of SQLite, and with it one fsync.

A process that has the writer's turn opens a transaction and runs its own work in it. When it is through and another thread of
the process already waits, it does not commit: it hands the open transaction, like a baton, to that thread and waits. The last
one commits, once for all, and wakes the others. Nobody's ``with store.write(...)`` ends before that commit is durable, so
nothing is acknowledged early, and no reader sees anything before.

Each member works in a savepoint. An exception takes back what this member did and nothing else; what Python keeps of the
transaction (:class:`flaskmail.store.sqlite.pending.Pending`) is copied for the member and replaces the group's when it succeeds.
When the disk fails, or the commit does, the whole group is taken back and everybody in it gets StoreError.

A group ends after ``MEMBERS`` members or ``LONGEST`` seconds, so that other processes have their turn.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import apsw

from flaskmail.errors import StoreError
from flaskmail.store.sqlite.connections import translated
from flaskmail.store.sqlite.locks import Queue, across
from flaskmail.store.sqlite.pending import Pending
from flaskmail.store.sqlite.writing import SqliteTxn

if TYPE_CHECKING:
    from flaskmail.store.sqlite.store import SqliteStore

MEMBERS = 64
"""Transactions that share a commit at most."""
LONGEST = 0.010
"""Seconds after which nobody else joins a group."""
PATIENCE = 60.0
"""Seconds that a member waits for the shared commit at most: what comes after it is quick unless something hangs."""

_BENIGN = (apsw.InterruptError, apsw.ConstraintError)


class Group:
    """An open transaction and those who wait for its commit. It belongs to the one thread that has the turn.

    Making one waits for the turn among processes and begins; the caller has the turn of ``queue``, and keeps it when that raises.
    """

    __slots__ = (
        "_account_id",
        "_alone",
        "_began",
        "_connection",
        "_failure",
        "_gates",
        "_handle",
        "_kept",
        "_members",
        "_pending",
        "_queue",
        "_salt",
        "_store",
    )

    def __init__(self, store: SqliteStore, account_id: str, queue: Queue, deadline: float, alone: bool) -> None:
        self._store, self._account_id, self._queue, self._alone = store, account_id, queue, alone
        self._members = self._kept = 0
        self._gates: list[threading.Lock] = []
        self._failure: StoreError | None = None
        self._handle = across(f"{store.root}/{account_id}", deadline, store.lock_timeout)
        try:
            self._connection = store.pool.take(account_id)
            try:
                db = self._connection.db
                self._began = time.monotonic()
                db.set_busy_timeout(max(1, int((deadline - self._began) * 1000)))
                db.execute("BEGIN IMMEDIATE")
                self._salt, modseq, used = db.execute("SELECT salt, modseq, used FROM meta").fetchone()
                states = dict(db.execute("SELECT kind, modseq FROM state").fetchall())
                self._pending = Pending(modseq, used, states)
            except BaseException as error:
                self._connection.broken = True
                store.pool.give(self._connection)
                if isinstance(error, apsw.Error):
                    raise translated(error) from error
                raise
        except BaseException:
            os.close(self._handle)
            raise

    def enter(self) -> SqliteTxn:
        """The transaction of one more member. StoreError, after the group has ended, when the database fails."""
        self._members += 1
        pending = self._pending
        if self._kept:
            try:
                self._connection.db.execute("SAVEPOINT member")
            except apsw.Error as error:
                self._fail(error)
                self._end()
                raise translated(error) from error
            pending = pending.copy()
        store, account_id = self._store, self._account_id
        files = store.files(account_id)
        return SqliteTxn(
            account_id, self._connection, store.plans, files, store.keep_free, self._salt, pending, store.history
        )

    def leave(self, txn: SqliteTxn, error: BaseException | None) -> None:
        """A member is through, or failed with ``error``. Comes back when everything it did is durable, or taken back.

        StoreError when it cannot be made durable, or for an error of SQLite's; raises no other ``error`` again."""
        raised: BaseException | None = None
        try:
            if error is None:
                txn.settle()
                if self._kept:
                    self._connection.db.execute("RELEASE member")
                self._kept += 1
                self._pending = txn.pending
        except BaseException as found:
            error = raised = found
        if error is not None:
            self._take_back(error)
        if not self._went_on(error is None):
            self._end()
        if isinstance(error, apsw.Error):
            raise translated(error) from error
        if raised is not None:
            raise raised
        if error is None and self._failure is not None:
            raise type(self._failure)(*self._failure.args)

    def _take_back(self, error: BaseException) -> None:
        """Undoes what the member did; the others' work stays, unless the database has failed."""
        if isinstance(error, apsw.Error) and not isinstance(error, _BENIGN):
            self._fail(error)
        elif self._kept:
            try:
                # After some errors SQLite has taken everything back by itself; then this fails as well.
                self._connection.db.execute("ROLLBACK TO member; RELEASE member").fetchall()
            except apsw.Error as failed:
                self._fail(failed)

    def _fail(self, error: apsw.Error) -> None:
        # After a failed fsync nothing is known of what the disk has: never again with this connection.
        self._connection.broken = True
        self._failure = translated(error)

    def _went_on(self, wait: bool) -> bool:
        """Hands the group to the next member, if there is one and may be one. wait: comes back after the commit."""
        if (
            self._alone
            or not self._kept
            or self._failure is not None
            or self._members >= MEMBERS
            or time.monotonic() - self._began > LONGEST
            or os.getpid() != self._connection.pid
        ):
            return False
        gate = threading.Lock()
        gate.acquire()
        if wait:
            self._gates.append(gate)
        if not self._queue.pass_on(self):
            if wait:
                self._gates.pop()
            return False
        if wait and not gate.acquire(timeout=PATIENCE):
            raise StoreError("the account is busy; whether this was stored is not known")
        return True

    def _end(self) -> None:
        """Commits what was kept, or takes everything back; gives the turn to the next one and wakes everybody."""
        connection = self._connection
        try:
            db = connection.db
            if connection.pid != os.getpid():
                self._failure = StoreError("a transaction does not go on in a child process")
                return
            try:
                if self._kept and self._failure is None:
                    self._pending.write(db, self._store.plans)
                    db.execute("COMMIT")
            except apsw.Error as error:
                self._fail(error)
            except BaseException:
                self._failure = StoreError("the transaction was broken off")
                raise
            finally:
                if not db.get_autocommit():
                    self._roll_back()
        finally:
            os.close(self._handle)
            self._store.pool.give(connection)
            self._queue.release()
            for gate in self._gates:
                gate.release()

    def _roll_back(self) -> None:
        try:
            self._connection.db.execute("ROLLBACK")
        except apsw.Error:
            self._connection.broken = True
