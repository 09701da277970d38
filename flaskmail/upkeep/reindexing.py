"""Makes search indexes anew from the records, while the server runs: a few records in each transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flaskmail.errors import StoreDamaged, StoreError
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Store
from flaskmail.upkeep.progress import Tell, silent

_READ = 50
_WRITTEN = 1_000_000
"""Characters of text that one transaction indexes at most, unless one record has more."""

Texts = dict[str, Mapping[str, str]]


@dataclass(slots=True)
class Reindexed:
    """What was done. records: how many were put into an index; lost: (type, id) of those whose text cannot be told any more,
    which stay as they were; problems: types that do not say what their index holds."""

    records: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Reindexed) -> None:
        """Adds what was done elsewhere."""
        self.records += other.records
        self.lost += other.lost
        self.problems += [problem for problem in other.problems if problem not in self.problems]


def reindex_account(
    store: Store,
    types: Iterable[DataType],
    account_id: str,
    *,
    missing: bool = False,
    fresh: bool = False,
    tell: Tell = silent,
) -> Reindexed:
    """Puts every record of an account into its search index anew, the newest first; nothing else changes, and searches go on.

    missing: only records that the index has nothing of. fresh: the index is emptied first, which mends a damaged one; until the
    end searches find less. Stopped half-way, it can be begun again, with ``missing`` where it was. Raises StoreError."""
    done = Reindexed()
    kinds = [kind for kind in types if kind.search]
    if fresh:
        with store.write(account_id) as txn:
            for kind in kinds:
                txn.clear_texts(kind.name)
    with store.read(account_id) as reader:
        wanted = [(kind, reader.unindexed(kind.name) if missing else reader.ids(kind.name)) for kind in kinds]
    total = sum(len(ids) for _, ids in wanted)
    seen = 0
    for kind, ids in wanted:
        ids.reverse()
        for start in range(0, len(ids), _READ):
            chunk = ids[start : start + _READ]
            try:
                _reindex(store, kind, account_id, chunk, done)
            except NotImplementedError as error:
                done.problems.append(str(error))
                break
            seen += len(chunk)
            tell(seen, total, kind.name)
    return done


def _reindex(store: Store, kind: DataType, account_id: str, ids: Sequence[str], done: Reindexed) -> None:
    texts: Texts = {}
    with store.read(account_id) as reader:
        try:
            texts.update(kind.search_text(reader, ids))
        except StoreDamaged:
            # One of them is; the others are not to suffer.
            for id in ids:
                try:
                    texts.update(kind.search_text(reader, [id]))
                except StoreDamaged:
                    continue
        lost = reader.existing(kind.name, ids) - texts.keys()
    done.lost += [(kind.name, id) for id in ids if id in lost]
    for some in _portions(texts):
        with store.write(account_id) as txn:
            # What is indexed never changes, but records may have gone since they were read.
            there = txn.existing(kind.name, some)
            for id in there:
                txn.set_text(kind.name, id, some[id])
        done.records += len(there)


def _portions(texts: Texts) -> Iterator[Texts]:
    portion: Texts = {}
    size = 0
    for id, text in texts.items():
        length = sum(map(len, text.values()))
        if portion and size + length > _WRITTEN:
            yield portion
            portion, size = {}, 0
        portion[id] = text
        size += length
    if portion:
        yield portion


def reindex_all(
    store: Store,
    types: Iterable[DataType],
    accounts: Sequence[tuple[str, str]],
    *,
    missing: bool = False,
    fresh: bool = False,
    tell: Tell = silent,
) -> tuple[Reindexed, list[tuple[str, str]]]:
    """The same for many accounts, (id, name) each. Answers what was done in all, and (name, reason) of accounts where it could
    not be done."""
    kinds = list(types)
    done, failed = Reindexed(), []
    for number, (id, name) in enumerate(accounts):
        tell(number, len(accounts), name)
        try:
            done.add(
                reindex_account(
                    store,
                    kinds,
                    id,
                    missing=missing,
                    fresh=fresh,
                    # Only so that it can be stopped in between.
                    tell=lambda *_, at=number, who=name: tell(at, len(accounts), who),
                )
            )
        except StoreError as error:
            failed.append((name, str(error)))
    tell(len(accounts), len(accounts), "")
    return done, failed
