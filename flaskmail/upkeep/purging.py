"""Takes away what nobody needs any more, now instead of some time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flaskmail.accounts.directory import Directory
from flaskmail.errors import AccountMissing, StoreError
from flaskmail.jmap.storage import Store
from flaskmail.upkeep.progress import Tell, silent

DAY = 24 * 3600


def purge_blobs(
    store: Store, accounts: Sequence[tuple[str, str]], *, older_than: float = DAY, tell: Tell = silent
) -> tuple[int, list[tuple[str, str]]]:
    """Removes blobs that nothing has referred to for ``older_than`` seconds (an hour at least, RFC 8620 section 6.1) from these
    accounts, (id, name) each. Answers how many, and (name, reason) of accounts where it could not be done."""
    return _each(accounts, lambda id: store.sweep(id, older_than), tell)


def purge_histories(
    store: Store, accounts: Sequence[tuple[str, str]], *, tell: Tell = silent
) -> tuple[int, list[tuple[str, str]]]:
    """Forgets what these accounts, (id, name) each, still know of destroyed records and need not (``Store.keep_history``).
    Answers how many records, and (name, reason) of accounts where it could not be done."""
    return _each(accounts, store.trim, tell)


def _each(
    accounts: Sequence[tuple[str, str]], remove: Callable[[str], int], tell: Tell
) -> tuple[int, list[tuple[str, str]]]:
    removed, failed = 0, []
    for number, (id, name) in enumerate(accounts):
        tell(number, len(accounts), name)
        try:
            removed += remove(id)
        except AccountMissing:
            # Deleted meanwhile, with everything that it had.
            continue
        except StoreError as error:
            failed.append((name, str(error)))
    tell(len(accounts), len(accounts), "")
    return removed, failed


def purge_data(store: Store, directory: Directory) -> dict[str, int]:
    """Removes expired credentials, and what is left of accounts whose making or removal was cut short an hour ago. Answers how
    many of each kind there were."""
    return {**directory.remove_expired(), "leftovers": store.tidy()}


def purge_memory(directory: Directory) -> dict[str, int]:
    """Removes counts of wrong passwords that hold nobody back any more. Answers how many."""
    return {"throttle": directory.remove_drained()}
