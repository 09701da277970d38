"""Creates of /set and /copy: heavy work before the transaction, creation references in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flaskmail.errors import OverQuota, SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Prepared
from flaskmail.jmap.methods.get import read_whole
from flaskmail.jmap.methods.xrefs import references_in, substituted, xref_names
from flaskmail.jmap.records import same
from flaskmail.jmap.storage import Json, Reader, Record, Txn

Prepare = Callable[[Reader, Record], Prepared]
"""(reader, properties with references replaced) -> Prepared; raises SetError."""


class Creations:
    """The creates of one call.

    created: creation id -> the record as the type answered it; failed: creation id -> SetError. Both are final after
    ``commit``; ``ids`` then holds what the request's creation ids gain, to be published once the transaction is durable.
    """

    def __init__(self, ctx: Context, kind: DataType, create: Mapping[str, Record], prepare: Prepare) -> None:
        self._ctx, self._kind, self._create, self._prepare = ctx, kind, create, prepare
        self._xrefs = xref_names(kind)
        self._waiting = {key: self._waits_for(sent) for key, sent in create.items()}
        self._prepared: dict[str, Prepared] = {}
        self.created: dict[str, Record] = {}
        self.failed: dict[str, SetError] = {}
        self.ids: dict[str, str] = {}

    def lookup(self, creation_id: str) -> str | None:
        """The id of what was created last under ``creation_id`` in this request; None when nothing was."""
        return self.ids.get(creation_id) or self._ctx.created_ids.get(creation_id)

    def prepare(self, reader: Reader) -> None:
        """Prepares what refers to nothing that this call creates; to be called outside of a transaction."""
        for key in self._create:
            if not self._waiting[key]:
                self._prepare_one(reader, key)

    def commit(self, txn: Txn) -> None:
        """Creates everything that can be created; what others refer to comes first (RFC 8620 section 5.3)."""
        for key in self._ordered():
            if key in self.failed:
                continue
            if key not in self._prepared and not self._prepare_one(txn, key):
                continue
            self._commit_one(txn, key)

    def retry(self, txn: Txn) -> bool:
        """Tries again what the type's rules refused, and what refers to that, once the call has done all else: what is right in
        the final state is right (RFC 8620 section 5.3). Answers whether anything was created."""
        before = len(self.created)
        for key in self._ordered() if self.failed else ():
            if key not in self._prepared:
                waiting = self._waiting[key]
                if key in self.created or not waiting or not all(other in self.created for other in waiting):
                    continue
                if not self._prepare_one(txn, key):
                    continue
            self._commit_one(txn, key)
        return len(self.created) > before

    def answers(self, txn: Txn, *, server_set_only: bool = False) -> dict[str, Record]:
        """What ``created`` tells of each record: ``id``, and of ``DataType.told_on_create`` what the client did not send or
        sent otherwise; with ``server_set_only`` what the server alone sets (RFC 8620 section 5.4)."""
        kind = self._kind
        names = [name for name in kind.told_on_create() if name != "id"]
        if server_set_only:
            names = [name for name in names if (prop := kind.props.get(name)) and (prop.server_set or prop.computed)]
        computed = [name for name in names if (prop := kind.props.get(name)) is None or prop.computed]
        made: Mapping[str, Record] = {}
        lacking = computed if any(name not in record for record in self.created.values() for name in computed) else ()
        if lacking:
            ids = [record["id"] for record in self.created.values()]
            made = {record["id"]: record for record in read_whole(self._ctx, txn, kind, ids, lacking, {})}
        return {
            key: _told(self._create[key], record | made.get(record["id"], {}), names)
            for key, record in self.created.items()
        }

    def _prepare_one(self, reader: Reader, key: str) -> bool:
        self._ctx.check_time()
        try:
            sent = substituted(self._xrefs, self._create[key], self.lookup)
            self._prepared[key] = self._prepare(reader, sent)
        except SetError as error:
            self.failed[key] = error
        except OverQuota as error:
            self.failed[key] = SetError("overQuota", str(error))
        return key in self._prepared

    def _commit_one(self, txn: Txn, key: str) -> None:
        try:
            record = self._kind.commit_create(self._ctx, txn, self._prepared[key])
        except SetError as error:
            self.failed[key] = error
        except OverQuota as error:
            self.failed[key] = SetError("overQuota", str(error))
        else:
            self.failed.pop(key, None)
            del self._prepared[key]
            self.created[key] = record
            self.ids[key] = record["id"]

    def _waits_for(self, sent: Record) -> list[str]:
        return [
            reference
            for name, referred in self._xrefs.items()
            if referred == self._kind.name and name in sent
            for reference in references_in(sent[name])
            if reference in self._create
        ]

    def _ordered(self) -> Sequence[str]:
        """The creation ids so that each comes after those that it refers to; those that refer to each other in a circle
        come too, and fail for want of what they refer to."""
        if not any(self._waiting.values()):
            return list(self._create)
        ordered: dict[str, None] = {}
        entered: set[str] = set()
        for start in self._create:
            stack = [(start, False)]
            while stack:
                key, done = stack.pop()
                if done:
                    ordered.setdefault(key)
                elif key not in entered:
                    entered.add(key)
                    stack.append((key, True))
                    stack.extend((other, False) for other in reversed(self._waiting[key]))
        return list(ordered)


def _told(sent: Record, record: Record, names: Sequence[str]) -> dict[str, Json]:
    told = {"id": record["id"]}
    for name in names:
        if name in record and not (name in sent and same(sent[name], record[name])):
            told[name] = record[name]
    return told
