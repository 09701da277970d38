"""Checks accounts from the files up to the rules of their data types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flaskmail.accounts.directory import Directory
from flaskmail.errors import StoreError
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Finding, Store
from flaskmail.upkeep.progress import Tell, silent
from flaskmail.upkeep.reindexing import reindex_account

GRACE = 3600
"""Seconds after which an account without an owner is not one that is being made right now."""


def verify_account(store: Store, types: Iterable[DataType], account_id: str, *, repair: bool = False) -> list[Finding]:
    """Everything that is wrong with one account; with ``repair`` mended where the data to mend it from is there.

    First the store (integrity, blobs, indexes, counts), then each data type's own rules (counters against a recount)."""
    kinds = list(types)
    findings = _reindexed(store, kinds, account_id) if repair else []
    findings += store.verify(account_id, repair=repair)
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


def _reindexed(store: Store, types: Iterable[DataType], account_id: str) -> list[Finding]:
    try:
        done = reindex_account(store, types, account_id, missing=True)
    except StoreError:
        # What is behind it is for the store to say.
        return []
    if not done.records:
        return []
    told = "record was" if done.records == 1 else "records were"
    return [Finding(account_id, f"{done.records} {told} not in the search index", True)]


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


@dataclass(slots=True)
class Verified:
    """What a check of many accounts found. findings: (name of the account, finding); swept: uploads that were removed."""

    accounts: int = 0
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    swept: int = 0

    @property
    def wrong(self) -> int:
        """How many things are wrong and were not mended."""
        return sum(not finding.mended for _, finding in self.findings)


def stored_accounts(store: Store, directory: Directory) -> list[tuple[str, str]]:
    """(id, name) of everything that is stored; what belongs to nobody is named so."""
    names = {p.id: p.name for p in directory.principals.all()}
    return [(id, names.get(id, f"{id} (no such account any more)")) for id in store.accounts()]


def verify_all(
    store: Store,
    types: Iterable[DataType],
    directory: Directory,
    accounts: Sequence[tuple[str, str]] | None = None,
    *,
    repair: bool = False,
    tell: Tell = silent,
) -> Verified:
    """Checks these accounts, (id, name) each; None for all, and then also that accounts and their owners match.

    repair: also removes uploads that nothing has referred to for a day, what is left of accounts, and what accounts need no
    longer remember of destroyed records."""
    kinds = list(types)
    wanted = stored_accounts(store, directory) if accounts is None else accounts
    done = Verified(len(wanted))
    for number, (id, name) in enumerate(wanted):
        tell(number, len(wanted), name)
        try:
            done.findings += [(name, found) for found in verify_account(store, kinds, id, repair=repair)]
            if repair:
                done.swept += store.sweep(id)
                store.trim(id)
        except StoreError as error:
            # One account that cannot be opened does not keep the others from being checked.
            done.findings.append((name, Finding(id, str(error))))
    tell(len(wanted), len(wanted), "")
    if accounts is None:
        done.findings += _unmatched(store, directory, repair)
        try:
            directory.check_key()
        except StoreError as error:
            done.findings.append(("secret.key", Finding("", str(error))))
    return done


def _unmatched(store: Store, directory: Directory, repair: bool) -> list[tuple[str, Finding]]:
    """Accounts without an owner, and owners without an account; what comes or goes meanwhile is neither."""
    stored = set(store.accounts())
    owners = {p.id: p.name for p in directory.principals.all() if p.has_mail}
    findings: list[tuple[str, Finding]] = []
    for id in sorted(stored - owners.keys()):
        try:
            findings += [(id, found) for found in check_ownerless(store, id, repair=repair)]
        except StoreError as error:
            findings.append((id, Finding(id, str(error))))
    gone = owners.keys() - stored - set(store.accounts())
    still = {p.id for p in directory.principals.all()}
    findings += [(owners[id], Finding(id, "its data is not there")) for id in sorted(gone & still)]
    if repair:
        store.tidy()
    return findings
