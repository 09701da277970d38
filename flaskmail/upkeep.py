"""Checks an account from the files up to the rules of its data types."""

from __future__ import annotations

from collections.abc import Iterable

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Finding, Store

GRACE = 3600
"""Seconds after which an account without an owner is not one that is being made right now."""


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


def check_ownerless(store: Store, account_id: str, *, repair: bool = False) -> list[Finding]:
    """What to say of a stored account that belongs to nobody. One without any mail was being made when a process died, and
    ``repair`` removes it; one with mail was being deleted, or the list of accounts is not the one that belongs to this store:
    that is left to a person. Nothing is said of what was written within the last hour."""
    if store.untouched(account_id) < GRACE:
        return []
    with store.read(account_id) as reader:
        used = reader.used()
    if used:
        told = f"belongs to nobody and holds {used} octets of mail; remove its folder if it is not wanted"
        return [Finding(account_id, told)]
    if repair:
        store.delete_account(account_id)
    return [Finding(account_id, "belongs to nobody and is empty: making it was cut short", repair)]
