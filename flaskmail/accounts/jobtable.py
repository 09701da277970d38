"""The table of jobs: what works in the background, how far it is, what came of it. In ``<data>/jobs.db``, which may be lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flaskmail.accounts.database import MAY_GO, Database, Row

State = Literal["running", "done", "failed", "cancelled", "interrupted"]

KEPT = 200
"""How many jobs that have ended are kept."""

LADDER = (
    """
    CREATE TABLE job(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        about TEXT NOT NULL,
        by TEXT NOT NULL,
        state TEXT NOT NULL,
        started REAL NOT NULL,
        updated REAL NOT NULL,
        ended REAL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        at TEXT NOT NULL,
        cancel INTEGER NOT NULL,
        error TEXT,
        result TEXT
    );
    CREATE INDEX job_state ON job(state);
    """,
)


@dataclass(frozen=True, slots=True)
class Job:
    """One job. kind: "verify", …; about: what it works on; by: who wanted it; started, updated, ended: seconds since 1970; done
    of total, at: how far it is, and with what; cancel: whether it was told to stop; error: why it failed; result: what came of
    it."""

    id: str
    kind: str
    about: dict[str, Any]
    by: str
    state: State
    started: float
    updated: float
    ended: float | None
    done: int
    total: int
    at: str
    cancel: bool
    error: str | None
    result: Any


_SELECT = "SELECT id, kind, about, by, state, started, updated, ended, done, total, at, cancel, error, result FROM job"
_BY_ID = _SELECT + " WHERE id=?"
_ALL = _SELECT + " ORDER BY number DESC"
_RUNNING = _SELECT + " WHERE state='running'"


def _job(row: Row) -> Job:
    id, kind, about, by, state, started, updated, ended, done, total, at, cancel, error, result = row
    found = None if result is None else json.loads(result)
    about = json.loads(about)
    return Job(id, kind, about, by, state, started, updated, ended, done, total, at, bool(cancel), error, found)


class JobTable:
    """Jobs in ``jobs.db``, the newest ``KEPT`` of those that have ended. StoreError when it cannot be read or written."""

    def __init__(self, data: Path) -> None:
        # Progress is written often and promised to nobody.
        self._database = Database(data / "jobs.db", LADDER, synchronous="NORMAL", advice=MAY_GO)

    def add(self, job: Job) -> None:
        """A new job; old ones go."""
        with self._database.write() as execute:
            execute(
                "INSERT INTO job(id, kind, about, by, state, started, updated, ended, done, total, at, cancel, error, result)"
                " VALUES(?,?,?,?,'running',?,?,NULL,0,0,'',0,NULL,NULL)",
                (job.id, job.kind, json.dumps(job.about), job.by, job.started, job.started),
            )
            execute(
                "DELETE FROM job WHERE state<>'running' AND number NOT IN"
                " (SELECT number FROM job WHERE state<>'running' ORDER BY number DESC LIMIT ?)",
                (KEPT,),
            )

    def get(self, id: str) -> Job | None:
        """A job, or None."""
        row = self._database.row(_BY_ID, (id,))
        return None if row is None else _job(row)

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        return [_job(row) for row in self._database.rows(_ALL)]

    def running(self) -> list[Job]:
        """Those that run, or whose process died."""
        return [_job(row) for row in self._database.rows(_RUNNING)]

    def progress(self, id: str, done: int, total: int, at: str, now: float) -> bool:
        """Notes how far a job is; whether it is to stop."""
        with self._database.write() as execute:
            rows = execute(
                "UPDATE job SET done=?, total=?, at=?, updated=? WHERE id=? AND state='running' RETURNING cancel",
                (done, total, at, now, id),
            )
        return not rows or bool(rows[0][0])

    def cancel(self, id: str) -> bool:
        """Tells a running job to stop; False when it does not run."""
        with self._database.write() as execute:
            return bool(execute("UPDATE job SET cancel=1 WHERE id=? AND state='running' RETURNING 1", (id,)))

    def end(self, id: str, state: State, now: float, *, error: str | None = None, result: Any = None) -> None:
        """A running job has ended; nothing happens to one that has ended before."""
        told = None if result is None else json.dumps(result)
        with self._database.write() as execute:
            execute(
                "UPDATE job SET state=?, ended=?, updated=?, error=?, result=? WHERE id=? AND state='running'",
                (state, now, now, error, told, id),
            )

    def close(self) -> None:
        """Closes this process's connection."""
        self._database.close()
