"""Settings that are changed while the server runs, in ``control.db``: the values, their revision and their history.

A change is one transaction and makes one revision. What the values mean is :mod:`flaskmail.config`'s business; here they are
TOML texts under dotted keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.domains import now
from flaskmail.accounts.faults import DirectoryError, UnknownName
from flaskmail.accounts.schema import CONTROL
from flaskmail.config.documents import HIDDEN
from flaskmail.durable import said
from flaskmail.errors import StoreError

KEPT = 1000
"""Revisions that the history keeps."""

SECRET = HIDDEN
"""What the history says instead of a value that is secret."""


class Stale(DirectoryError):
    """Somebody else has changed the settings since they were read."""


@dataclass(frozen=True, slots=True)
class State:
    """The stored settings at one moment. revision: of the last change, 0 before the first; reload: counts the requests to read
    the settings file again; texts: dotted key -> TOML text."""

    revision: int
    reload: int
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Changed:
    """What one revision did to one key: TOML texts, None for what was not stored, SECRET for what is not told."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Revision:
    """One change. at: a UTCDate (RFC 8620 section 1.4); actor: who made it."""

    revision: int
    at: str
    actor: str
    changes: tuple[Changed, ...]


@dataclass(frozen=True, slots=True)
class Rollback:
    """The texts that were stored at a revision. kept: keys of secrets that have changed since; they are as they are now."""

    texts: Mapping[str, str]
    kept: tuple[str, ...]


def _revision(row: Row) -> Revision:
    number, at, actor, changes = row
    return Revision(number, at, actor, tuple(Changed(*one) for one in json.loads(changes)))


class StoredSettings:
    """The stored settings of a ``control.db``. Everything may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> tuple[int, int]:
        """A value that differs after any commit to the file, whatever it was about; microseconds."""
        return self._database.version()

    def marks(self) -> tuple[int, int]:
        """(revision, reload) of the State."""
        row = self._database.row("SELECT revision, reload FROM setting_state")
        return (0, 0) if row is None else (row[0], row[1])

    def state(self) -> State:
        """What is stored now."""
        # One statement is one snapshot.
        rows = self._database.rows(
            "SELECT s.revision, s.reload, t.key, t.value FROM setting_state s LEFT JOIN setting t"
        )
        return State(rows[0][0], rows[0][1], {key: value for _, _, key, value in rows if key is not None})

    def change(
        self,
        changes: Mapping[str, str | None],
        *,
        actor: str,
        expected: int | None = None,
        is_secret: Callable[[str, str], bool] = lambda key, text: False,
    ) -> int:
        """Stores texts, removes the keys with None, all or nothing; answers the revision, a new one if anything changed.

        expected: the revision that the change was made for; Stale when there is a later one. is_secret: whether the text of
        a key is kept out of the history."""
        with self._database.write() as execute:
            ((revision,),) = execute("SELECT revision FROM setting_state")
            if expected is not None and revision != expected:
                raise Stale("the settings were changed since they were read")
            old = dict(execute("SELECT key, value FROM setting"))
            moved = {key: text for key, text in changes.items() if old.get(key) != text}
            if not moved:
                return int(revision)
            entry = []
            for key, text in sorted(moved.items()):
                if text is None:
                    execute("DELETE FROM setting WHERE key=?", (key,))
                else:
                    execute("INSERT OR REPLACE INTO setting(key, value) VALUES(?,?)", (key, text))
                # A key that is secret on one side is on both.
                secret = any(one is not None and is_secret(key, one) for one in (old.get(key), text))
                told = [None if one is None else SECRET if secret else one for one in (old.get(key), text)]
                entry.append([key, *told])
            execute(
                "INSERT INTO setting_history(revision, at, actor, changes) VALUES(?,?,?,?)",
                (revision + 1, now(), actor, json.dumps(entry, ensure_ascii=False)),
            )
            execute("DELETE FROM setting_history WHERE revision <= ?", (revision + 1 - KEPT,))
            execute("UPDATE setting_state SET revision=?", (revision + 1,))
        return int(revision) + 1

    def ask_for_reload(self) -> None:
        """Makes every process read its settings file again."""
        with self._database.write() as execute:
            execute("UPDATE setting_state SET reload=reload+1")

    def history(self, limit: int | None = None, offset: int = 0) -> tuple[list[Revision], int]:
        """The revisions, the last one first, and how many there are. limit: None for all from the offset on."""
        rows = self._database.rows(
            "SELECT revision, at, actor, changes FROM setting_history ORDER BY revision DESC LIMIT ? OFFSET ?",
            (-1 if limit is None else limit, offset),
        )
        total = self._database.row("SELECT count(*) FROM setting_history")
        return [_revision(row) for row in rows], 0 if total is None else total[0]

    def at(self, revision: int, state: State) -> Rollback:
        """What was stored at an earlier revision. state: what is stored now. Raises UnknownName when the history does not reach
        back."""
        later = []
        for one in self.history()[0]:
            # Changes that were made after the state was read are none of it.
            if revision < one.revision <= state.revision:
                later.append(one)
        if not 0 <= revision <= state.revision or len(later) != state.revision - revision:
            raise UnknownName("revision of the settings", str(revision), ())
        texts, kept = dict(state.texts), set()
        for one in later:
            for change in one.changes:
                if change.old == SECRET:
                    kept.add(change.key)
                elif change.old is None:
                    texts.pop(change.key, None)
                    kept.discard(change.key)
                else:
                    texts[change.key] = change.old
                    kept.discard(change.key)
        for key in kept:
            texts.pop(key, None)
            if key in state.texts:
                texts[key] = state.texts[key]
        return Rollback(texts, tuple(sorted(kept)))


def read_state(data: Path) -> State:
    """The stored settings of a data folder, of which nothing is kept open. A folder without a ``control.db`` has none, and is
    left without. Raises StoreError."""
    path = data / "control.db"
    try:
        if not path.exists():
            return State(0, 0, {})
    except OSError as error:
        raise StoreError(f"cannot open {path}: {said(error)}") from error
    with stored_settings(data) as stored:
        return stored.state()


def read_texts(data: Path) -> Mapping[str, str]:
    """The texts of ``read_state``."""
    return read_state(data).texts


@contextmanager
def stored_settings(data: Path) -> Iterator[StoredSettings]:
    """The stored settings of a data folder, closed afterwards."""
    database = Database(data / "control.db", CONTROL)
    try:
        yield StoredSettings(database)
    finally:
        database.close()
