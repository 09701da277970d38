"""The audit log: who changed what, from where, and how it ended. Kept in ``control.db``, never changed, only aged out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flaskmail.accounts.database import Database, Row

SWEEP = 500
"""Every so many entries what is too old is removed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. at: a UTCDate; actor: the name of who asked, actor_id: his id; via: the kind of his credential and which one;
    operation: the operationId; object: the path; change: what was asked for, without secrets (JSON); status: of the answer, None
    when the server ended while it was at work."""

    id: int
    at: str
    actor: str
    actor_id: str
    via: str
    address: str
    operation: str
    object: str
    change: Any
    status: int | None


_COUNT = """
    SELECT count(*) FROM audit
    WHERE (?1='' OR instr(folded(object || ' ' || change), folded(?1))) AND (?2='' OR actor=?2)
        AND (?3='' OR operation=?3) AND (?4 IS NULL OR at>=?4) AND (?5 IS NULL OR at<?5)
        AND (?6 IS NULL OR domain=?6)
"""
_PAGE = """
    SELECT id, at, actor, actor_id, via, address, operation, object, change, status FROM audit
    WHERE (?1='' OR instr(folded(object || ' ' || change), folded(?1))) AND (?2='' OR actor=?2)
        AND (?3='' OR operation=?3) AND (?4 IS NULL OR at>=?4) AND (?5 IS NULL OR at<?5)
        AND (?6 IS NULL OR domain=?6)
    ORDER BY id DESC LIMIT ?7 OFFSET ?8
"""


def _entry(row: Row) -> Entry:
    id, at, actor, actor_id, via, address, operation, object, change, status = row
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Entry(id, when, actor, actor_id, via, address, operation, object, json.loads(change), status)


class AuditLog:
    """The entries in ``control.db``. clock: seconds since 1970."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def begin(
        self,
        *,
        actor: str,
        actor_id: str,
        domain: str | None,
        via: str,
        address: str,
        operation: str,
        object: str,
        change: Any,
        keep: int,
    ) -> int:
        """Writes down that something is about to be changed, and answers the entry's id. domain: to whose administrators it is
        told, too, None for none; keep: seconds after which entries may go. Raises StoreError: then nothing may be changed."""
        values = (actor, actor_id, domain, via, address, operation, object, json.dumps(change, ensure_ascii=False))
        with self._database.write() as execute:
            ((id,),) = execute(
                "INSERT INTO audit(at, actor, actor_id, domain, via, address, operation, object, change)"
                " VALUES(?,?,?,?,?,?,?,?,?) RETURNING id",
                (self._clock(), *values),
            )
            if id % SWEEP == 0:
                execute("DELETE FROM audit WHERE at < ?", (self._clock() - keep,))
        return int(id)

    def end(self, id: int, status: int, change: Any = None) -> None:
        """Writes down how it ended. change: what is to stand there instead of what was asked for."""
        with self._database.write() as execute:
            execute("UPDATE audit SET status=? WHERE id=?", (status, id))
            if change is not None:
                execute("UPDATE audit SET change=? WHERE id=?", (json.dumps(change, ensure_ascii=False), id))

    def find(
        self,
        *,
        text: str = "",
        actor: str = "",
        operation: str = "",
        since: float | None = None,
        before: float | None = None,
        within: str | None = None,
        first: int = 0,
        count: int | None = None,
    ) -> tuple[list[Entry], int]:
        """(the entries from index ``first`` on, newest first, at most ``count``; how many there are in all).

        text: stands anywhere in the object or the change; since, before: seconds since 1970; within: to whose
        administrators they are told, None for all of them."""
        wanted = (text, actor, operation, since, before, within)
        total = self._database.row(_COUNT, wanted)
        rows = self._database.rows(_PAGE, (*wanted, -1 if count is None else count, first))
        return [_entry(row) for row in rows], int(total[0]) if total else 0
