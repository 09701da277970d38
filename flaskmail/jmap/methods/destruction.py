"""Destroys of /set (RFC 8620 section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from flaskmail.errors import SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.methods.xrefs import Lookup
from flaskmail.jmap.storage import Record, Txn


class Destructions:
    """The destroys of one call. destroyed: ids; failed: key as sent -> SetError."""

    def __init__(self, ctx: Context, kind: DataType, txn: Txn, lookup: Lookup, arguments: Record) -> None:
        self._ctx, self._kind, self._txn, self._lookup, self._arguments = ctx, kind, txn, lookup, arguments
        self.destroyed: list[str] = []
        self.failed: dict[str, SetError] = {}
        self._refused: dict[str, Record] = {}

    def resolve(self, key: str) -> str | None:
        """The id that a key of ``destroy`` stands for; None when it is a reference to nothing."""
        return self._lookup(key[1:]) if key[:1] == "#" else key

    def run(self, destroy: Sequence[str]) -> None:
        """Destroys what may go."""
        ids = {key: id for key in destroy if (id := self.resolve(key)) is not None}
        needs = list(self._kind.update_needs())
        old = {record["id"]: record for record in self._txn.get(self._kind.name, list(ids.values()), needs)}
        for key in destroy:
            record = old.get(ids.get(key, ""))
            if record is None:
                self.failed[key] = SetError("notFound", f"There is no such {self._kind.name}.")
            elif self._one(key, record):
                del old[record["id"]]
            else:
                self._refused[key] = record

    def retry(self) -> bool:
        """Tries again what was refused, the last one first, because a parent can go when the children that stand behind it in
        the list are gone, or were moved. Answers whether anything was destroyed."""
        before = len(self.destroyed)
        for key in reversed(list(self._refused)):
            if self._refused[key]["id"] in self.destroyed:
                self.failed[key] = SetError("notFound", f"There is no such {self._kind.name}.")
                del self._refused[key]
            elif self._one(key, self._refused[key]):
                del self._refused[key], self.failed[key]
        return len(self.destroyed) > before

    def _one(self, key: str, record: Record) -> bool:
        try:
            self._kind.before_destroy(self._ctx, self._txn, record, self._arguments)
        except SetError as error:
            self.failed[key] = error
            return False
        self._txn.destroy(self._kind.name, record["id"])
        self._kind.destroyed(self._ctx, self._txn, record)
        self.destroyed.append(record["id"])
        return True
