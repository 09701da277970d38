"""Bulk import: files a stream of messages into one account, in batches that are each durable when they are counted.

Stopping it at any moment loses nothing that was counted, and running it again takes in only what is missing: a message whose
octets the account already holds is a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flaskmail.errors import FlaskmailError, SetError
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

    A message that cannot be filed is skipped with its reason; the rest goes on. StoreError (no room, no turn) ends the import:
    what was committed stays."""
    summary = Summary()
    known = filer.known()
    mine: dict[str, str] = {}
    for batch in _batches(items, summary):
        prepared = []
        for found in batch:
            try:
                prepared.append((found, filer.prepare(found.raw, found.received, found.keywords)))
            except FlaskmailError as error:
                summary.skip(found.source, str(error))
        # Counted only once the commit has returned: the figures never run ahead of the disk.
        imported = duplicate = 0
        refused: list[tuple[str, str]] = []
        fresh: dict[str, str] = {}
        with store.write(account_id) as txn:
            for found, ready in prepared:
                blob_id = txn.put_blob(found.raw)
                try:
                    mailbox_id = filer.mailbox(txn, found.folder)
                    email_id = fresh.get(blob_id) or mine.get(blob_id)
                    if email_id is not None:
                        filer.add(txn, email_id, mailbox_id)
                        duplicate += 1
                    elif blob_id in known:
                        duplicate += 1
                    else:
                        fresh[blob_id] = filer.file(txn, ready, mailbox_id, blob_id)
                        imported += 1
                except SetError as error:
                    refused.append((found.source, error.description or error.type))
        mine |= fresh
        summary.found += imported + duplicate
        summary.imported += imported
        summary.duplicate += duplicate
        for source, reason in refused:
            summary.skip(source, reason)
        committed(summary)
    return summary


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
