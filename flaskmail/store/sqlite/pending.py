"""What a write transaction keeps back: numbers that every change moves, and texts for the search index.

They are written once, before the commit or when something of them is read, however many changes, and however many members of a
group (:mod:`flaskmail.store.sqlite.grouping`), have moved them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from flaskmail.store.sqlite.plan import Database, Plans

Text = Mapping[str, str]

TEXT_KEPT = 8 * 1024 * 1024
"""Characters of text that are kept back at most."""


class Pending:
    """Kept back since the last ``write``. modseq, used: the account's, as they are now; states: every type's, as it is now."""

    __slots__ = ("_stale", "_texts", "_unindexed", "counts", "lives", "modseq", "states", "text_size", "used")

    def __init__(self, modseq: int, used: int, states: dict[str, int]) -> None:
        self.modseq, self.used, self.states = modseq, used, states
        self._stale = False
        self.lives: dict[str, int] = {}
        """How many more records a type has, of those types whose state changed."""
        self.counts: dict[tuple[str, str, str], tuple[int, int]] = {}
        """(type, property, member) -> how many more records have it, and how many more groups."""
        self._texts: dict[tuple[str, int], Text] = {}
        self._unindexed: set[tuple[str, int]] = set()
        self.text_size = 0

    def copy(self) -> Self:
        """Another one that changes apart from this one."""
        made = type(self)(self.modseq, self.used, self.states.copy())
        made._stale, made.lives, made.counts = self._stale, self.lives.copy(), self.counts.copy()
        made._texts, made._unindexed, made.text_size = self._texts.copy(), self._unindexed.copy(), self.text_size
        return made

    def changed(self, kind: str, more: int = 0) -> int:
        """The modseq of one more change of a record; ``more`` records of the type are there than before."""
        self.modseq += 1
        self.states[kind] = self.modseq
        self.lives[kind] = self.lives.get(kind, 0) + more
        self._stale = True
        return self.modseq

    def stored(self, size: int) -> None:
        """``size`` octets of blobs came, or went."""
        self.used += size
        self._stale = True

    def count(self, key: tuple[str, str, str], n: int, groups: int) -> None:
        """Moves a count of members."""
        before = self.counts.get(key)
        self.counts[key] = (n, groups) if before is None else (before[0] + n, before[1] + groups)

    def index(self, kind: str, num: int, text: Text) -> None:
        """A record has this text."""
        self._texts[kind, num] = text
        self.text_size += sum(map(len, text.values()))

    def unindex(self, kind: str, num: int) -> None:
        """A record is gone, and its text."""
        if self._texts.pop((kind, num), None) is None:
            self._unindexed.add((kind, num))

    def write(self, db: Database, plans: Plans) -> None:
        """Writes everything; nothing is kept back afterwards."""
        for (kind, prop, member), (n, groups) in self.counts.items():
            plan = plans[kind]
            if n or groups:
                db.execute(plan.add_count[prop], (member, n, groups))
            if n < 0:
                db.execute(plan.drop_count[prop], (member,))
        self.counts.clear()
        # A number may be given again in the same transaction: what is gone goes first.
        for kind, num in sorted(self._unindexed):
            db.execute(plans[kind].delete_text, (num,))
        self._unindexed.clear()
        # In the order of their numbers: FTS5 ends a segment whenever a number is smaller than the one before.
        for kind, num in sorted(self._texts):
            plan, text = plans[kind], self._texts[kind, num]
            db.execute(plan.insert_text, (num, *[text.get(column, "") for column in plan.search]))
        self._texts.clear()
        self.text_size = 0
        for kind, more in self.lives.items():
            db.execute(
                "INSERT INTO state (kind, modseq, live) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (kind) DO UPDATE SET modseq = ?2, live = live + ?3",
                (kind, self.states[kind], more),
            )
        self.lives.clear()
        if self._stale:
            db.execute("UPDATE meta SET modseq = ?, used = ?", (self.modseq, self.used))
            self._stale = False
