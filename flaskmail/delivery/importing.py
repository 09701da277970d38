"""Bulk import: files a stream of messages into one account, in batches that are each durable when they are counted.

Stopping it at any moment loses nothing that was counted, and running it again takes in only what is missing: a message whose
octets the account already holds is a duplicate. A message that one import finds in several folders is one Email in all their
mailboxes, also when the import was interrupted in between; what an earlier, finished import brought is left where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flaskmail.errors import FlaskmailError, OverQuota, SetError
from flaskmail.formats.archives import Found, Skipped
from flaskmail.jmap.storage import Store, Txn

BATCH_MESSAGES = 250
BATCH_OCTETS = 16_000_000


class Filer(Protocol):
    """What the mail data types do for an import."""

    def prepare(self, raw: bytes, received: str | None, keywords: Iterable[str]) -> Any:
        """Parses a message, outside of any transaction. May raise FlaskmailError: the message is skipped."""
        ...

    def known(self) -> set[str]:
        """Blob ids of the messages that the account already holds."""
        ...

    def unfinished(self) -> Mapping[str, str]:
        """Blob id -> Email's id of what an import filed that began and did not come to its end; empty when there is none."""
        ...

    def begin(self, txn: Txn) -> None:
        """Notes, in the transaction of the first batch, that an import is under way."""
        ...

    def end(self, txn: Txn) -> None:
        """Takes the note away: everything was read."""
        ...

    def refuse_over_quota(self, txn: Txn) -> None:
        """Raises OverQuota when the account holds more than it may."""
        ...

    def mailbox(self, txn: Txn, folder: Sequence[str]) -> str:
        """The id of the mailbox for a folder, () being the target; made when missing. May raise SetError."""
        ...

    def file(self, txn: Txn, prepared: Any, mailbox_id: str, blob_id: str) -> str:
        """Stores a prepared message and answers the Email's id. May raise SetError before anything is written."""
        ...

    def add(self, txn: Txn, email_id: str, mailbox_id: str) -> None:
        """Puts an Email that this import filed into one more mailbox; nothing happens when it is there."""
        ...


@dataclass(slots=True)
class Summary:
    """What an import did: imported + duplicate + skipped = found. problems: (source, reason), damaged archives included."""

    found: int = 0
    imported: int = 0
    duplicate: int = 0
    skipped: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, source: str, reason: str, counts: bool = True) -> None:
        """Counts something that was not taken in."""
        self.problems.append((source, reason))
        if counts:
            self.found += 1
            self.skipped += 1


def import_messages(
    store: Store,
    account_id: str,
    filer: Filer,
    items: Iterable[Found | Skipped],
    *,
    committed: Callable[[Summary], None] = lambda _s: None,
) -> Summary:
    """Files every message of ``items``. ``committed`` is told after each durable batch.

    A message that cannot be filed is skipped with its reason; the rest goes on. StoreError (no turn, a full disk, OverQuota) ends
    the import: what was committed stays, and running it again goes on."""
    summary = Summary()
    run = _Run(filer, filer.known(), dict(filer.unfinished()))
    for batch in _batches(items, summary):
        prepared = []
        for found in batch:
            try:
                prepared.append((found, filer.prepare(found.raw, found.received, found.keywords)))
            except FlaskmailError as error:
                summary.skip(found.source, str(error))
        try:
            outcome = run.store(store, account_id, prepared)
        except _Full as full:
            # What still fits comes in before the import ends.
            if full.at:
                run.store(store, account_id, prepared[: full.at]).add_to(summary)
                committed(summary)
            raise full.error from None
        outcome.add_to(summary)
        committed(summary)
    if run.begun:
        with store.write(account_id) as txn:
            filer.end(txn)
    return summary


class _Full(Exception):
    """The account has no room for the message number ``at`` of a batch, of which nothing is stored then."""

    def __init__(self, at: int, error: OverQuota) -> None:
        self.at, self.error = at, error


@dataclass(slots=True)
class _Outcome:
    """What became of one batch. fresh: blob id -> id of each Email that was made."""

    fresh: dict[str, str] = field(default_factory=dict)
    duplicate: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)

    def add_to(self, summary: Summary) -> None:
        summary.found += len(self.fresh) + self.duplicate
        summary.imported += len(self.fresh)
        summary.duplicate += self.duplicate
        for source, reason in self.refused:
            summary.skip(source, reason)


@dataclass(slots=True)
class _Run:
    """One import. known: blob ids of what was there before; mine: blob id -> Email of what it brought, also before it was
    interrupted; begun: whether the account notes that it is under way."""

    filer: Filer
    known: set[str]
    mine: dict[str, str]
    begun: bool = False

    def store(self, store: Store, account_id: str, batch: Sequence[tuple[Found, Any]]) -> _Outcome:
        """Files a batch in one transaction. Counted is only what ``add_to`` adds once the commit has returned, so that the
        figures never run ahead of the disk."""
        outcome = _Outcome()
        with store.write(account_id) as txn:
            if not self.begun:
                self.filer.begin(txn)
            for at, (found, prepared) in enumerate(batch):
                try:
                    self._file(txn, found, prepared, outcome)
                except OverQuota as error:
                    raise _Full(at, error) from None
                except SetError as error:
                    outcome.refused.append((found.source, error.description or error.type))
        self.begun = True
        self.mine |= outcome.fresh
        return outcome

    def _file(self, txn: Txn, found: Found, prepared: Any, outcome: _Outcome) -> None:
        filer = self.filer
        mailbox_id = filer.mailbox(txn, found.folder)
        blob_id = txn.put_blob(found.raw)
        email_id = outcome.fresh.get(blob_id) or self.mine.get(blob_id)
        if email_id is not None:
            filer.add(txn, email_id, mailbox_id)
            outcome.duplicate += 1
        elif blob_id in self.known:
            outcome.duplicate += 1
        else:
            filer.refuse_over_quota(txn)
            outcome.fresh[blob_id] = filer.file(txn, prepared, mailbox_id, blob_id)


def _batches(items: Iterable[Found | Skipped], summary: Summary) -> Iterator[list[Found]]:
    batch: list[Found] = []
    octets = 0
    for item in items:
        if isinstance(item, Skipped):
            summary.skip(item.source, item.reason, item.counts)
            continue
        batch.append(item)
        octets += len(item.raw)
        if len(batch) >= BATCH_MESSAGES or octets >= BATCH_OCTETS:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch
