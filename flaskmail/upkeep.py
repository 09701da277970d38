"""Checks an account from the files up to the rules of its data types."""

from __future__ import annotations

from collections.abc import Iterable

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Finding, Store


def verify_account(store: Store, types: Iterable[DataType], account_id: str, *, repair: bool = False) -> list[Finding]:
    """Everything that is wrong with one account; with ``repair`` mended where the data to mend it from is there.

    First the store (integrity, blobs, indexes, counts), then each data type's own rules (counters against a recount)."""
    findings = list(store.verify(account_id, repair=repair))
    kinds = list(types)
    with store.read(account_id) as reader:
        broken = [(kind, kind.verify(reader)) for kind in kinds]
    for kind, found in broken:
        if found and repair:
            with store.write(account_id) as txn:
                found = kind.mend(txn)
        findings += found
    if repair and any(found for _, found in broken):
        # A record that was made again has the tombstone of its first life.
        findings += store.verify(account_id, repair=True)
    return findings
