"""The four counters of every Mailbox (RFC 8621 section 2) and the Thread records (section 3), kept by every change of an Email.

Per thread a tally "thread" says how many of its emails are in each mailbox, how many unread ones are not only in the trash
(``UNREAD``) and how many unread ones are in the trash (``TRASHED``). Which mailboxes count the thread, and which count it as
unread, follows from these few numbers, so a change costs the mailboxes of one thread, however many emails that has.

Changes are gathered over a transaction (``Txn.gather``) and written once: fifty emails marked as read move a Mailbox once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flaskmail.jmap.storage import Finding, Json, Reader, Record, Txn

COUNTERS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
"""The counter properties of a Mailbox."""

TALLY = "thread"
"""Name of the tally under a thread's id."""
UNREAD, TRASHED = "!unread", "!trashed"
"""Members of the tally besides mailbox ids; no id begins with "!"."""

LINKS = "thread"
"""Name of the key index that threading fills; a thread's keys go when the thread goes."""

_CHUNK = 1000


def is_unread(keywords: Mapping[str, Json]) -> bool:
    """RFC 8621 section 2: neither "$seen" nor "$draft"."""
    return "$seen" not in keywords and "$draft" not in keywords


def trash_mailbox(reader: Reader) -> str | None:
    """The id of the Mailbox whose role is "trash", or None."""
    found = reader.grouped("Mailbox", "role", ["trash"]).get("trash")
    return found[0] if found else None


def email_created(txn: Txn, record: Record) -> None:
    """An Email was created; ``record`` holds at least threadId, mailboxIds and keywords."""
    _gathering(txn).change(txn, record["threadId"], None, record)


def email_updated(txn: Txn, old: Record, new: Record) -> None:
    """An Email was updated; both hold at least threadId, mailboxIds and keywords."""
    mailboxes_same = old["mailboxIds"].keys() == new["mailboxIds"].keys()
    if mailboxes_same and is_unread(old["keywords"]) == is_unread(new["keywords"]):
        return
    _gathering(txn).change(txn, old["threadId"], old, new)


def email_destroyed(txn: Txn, old: Record) -> None:
    """An Email was destroyed; ``old`` holds at least threadId, mailboxIds and keywords."""
    _gathering(txn).change(txn, old["threadId"], old, None)


def trash_changed(txn: Txn) -> None:
    """Another Mailbox than before has the role "trash": everything is counted again before the commit, once."""
    _gathering(txn).stale = True


# ---- which mailboxes count a thread


def counted_total(tally: Mapping[str, int]) -> set[str]:
    """The mailboxes whose ``totalThreads`` counts a thread with this tally."""
    return {member for member, n in tally.items() if n > 0 and member[0] != "!"}


def counted_unread(tally: Mapping[str, int], trash: str | None) -> set[str]:
    """The mailboxes whose ``unreadThreads`` counts a thread with this tally."""
    # RFC 8621 section 2: emails only in the trash are ignored for other mailboxes, those not in it for the trash.
    counted: set[str] = set()
    if tally.get(UNREAD, 0) > 0:
        counted = counted_total(tally)
        counted.discard(trash or "")
    if trash is not None and tally.get(TRASHED, 0) > 0:
        counted.add(trash)
    return counted


def _members(email: Record, trash: str | None) -> Iterator[str]:
    """The members of the thread's tally that this email counts in."""
    mailboxes = email["mailboxIds"]
    yield from mailboxes
    if is_unread(email["keywords"]):
        if any(mailbox != trash for mailbox in mailboxes):
            yield UNREAD
        if trash is not None and trash in mailboxes:
            yield TRASHED


@dataclass(slots=True)
class _ThreadChange:
    """stored: the tally as the store has it; now: with what was gathered; moved: emails came or went."""

    stored: dict[str, int]
    now: dict[str, int]
    moved: bool = False


class Gathering:
    """What a transaction changed in threads and mailboxes and did not write yet."""

    def __init__(self) -> None:
        self.stale = False
        self._trash: str | None = None
        self._trash_known = False
        self._threads: dict[str, _ThreadChange] = {}
        self._deltas: dict[str, dict[str, int]] = {}

    def change(self, txn: Txn, thread_id: str, old: Record | None, new: Record | None) -> None:
        """One Email of the thread was ``old`` and is ``new``; None for not there."""
        if not self._trash_known:
            self._trash, self._trash_known = trash_mailbox(txn), True
        thread = self._threads.get(thread_id)
        if thread is None:
            stored = txn.tallies(TALLY, thread_id)
            thread = self._threads[thread_id] = _ThreadChange(stored, dict(stored))
        thread.moved |= old is None or new is None
        tally, trash = thread.now, self._trash
        total, unread = counted_total(tally), counted_unread(tally, trash)
        for email, sign in ((old, -1), (new, 1)):
            if email is None:
                continue
            for member in _members(email, trash):
                tally[member] = tally.get(member, 0) + sign
            unread_delta = sign if is_unread(email["keywords"]) else 0
            for mailbox in email["mailboxIds"]:
                self._add(mailbox, "totalEmails", sign)
                self._add(mailbox, "unreadEmails", unread_delta)
        self._move(total, counted_total(tally), "totalThreads")
        self._move(unread, counted_unread(tally, trash), "unreadThreads")

    def _move(self, before: set[str], after: set[str], counter: str) -> None:
        for mailbox in before - after:
            self._add(mailbox, counter, -1)
        for mailbox in after - before:
            self._add(mailbox, counter, 1)

    def _add(self, mailbox: str, counter: str, delta: int) -> None:
        deltas = self._deltas.setdefault(mailbox, {})
        deltas[counter] = deltas.get(counter, 0) + delta

    def settle(self, txn: Txn) -> None:
        """Writes tallies, Thread records and Mailbox counters; what did not change in the end is not written."""
        threads, deltas = self._threads, self._deltas
        self._threads, self._deltas = {}, {}
        self._trash_known = False
        for thread_id, thread in threads.items():
            _settle_thread(txn, thread_id, thread)
        wanted = [mailbox for mailbox, delta in deltas.items() if any(delta.values())]
        for mailbox in txn.get("Mailbox", wanted, COUNTERS):
            delta = deltas[mailbox["id"]]
            changed = {name: mailbox[name] + n for name, n in delta.items() if n}
            txn.update("Mailbox", mailbox["id"], changed)
        if self.stale:
            self.stale = False
            mend_mailboxes(txn)


def _settle_thread(txn: Txn, thread_id: str, thread: _ThreadChange) -> None:
    existed, exists = bool(counted_total(thread.stored)), bool(counted_total(thread.now))
    for member, n in thread.now.items():
        delta = n - thread.stored.get(member, 0)
        if delta:
            txn.tally(TALLY, thread_id, member, delta)
    if exists and not existed:
        txn.create("Thread", {"id": thread_id})
    elif existed and not exists:
        txn.destroy("Thread", thread_id)
    elif exists and thread.moved:
        txn.touch("Thread", thread_id)
    if not exists:
        txn.unlink(LINKS, thread_id)


def _gathering(txn: Txn) -> Gathering:
    return txn.gather("mail.counters", Gathering)


# ---- counting from scratch


@dataclass(slots=True)
class Recount:
    """What the counters should be. mailboxes: id -> counters; threads: id -> tally."""

    mailboxes: dict[str, dict[str, int]] = field(default_factory=dict)
    threads: dict[str, dict[str, int]] = field(default_factory=dict)


def recount(reader: Reader) -> Recount:
    """Every counter from the Emails alone, by the words of RFC 8621 section 2."""
    trash = trash_mailbox(reader)
    out = Recount({mailbox: dict.fromkeys(COUNTERS, 0) for mailbox in reader.ids("Mailbox")})
    present: dict[str, set[str]] = {}
    unread_elsewhere: set[str] = set()
    unread_in_trash: set[str] = set()
    for email in _emails(reader):
        thread, mailboxes, unread = email["threadId"], email["mailboxIds"].keys(), is_unread(email["keywords"])
        tally = out.threads.setdefault(thread, {})
        present.setdefault(thread, set()).update(mailboxes)
        for member in _members(email, trash):
            tally[member] = tally.get(member, 0) + 1
        for mailbox in mailboxes & out.mailboxes.keys():
            out.mailboxes[mailbox]["totalEmails"] += 1
            out.mailboxes[mailbox]["unreadEmails"] += unread
        if unread and trash in mailboxes:
            unread_in_trash.add(thread)
        if unread and mailboxes - {trash}:
            unread_elsewhere.add(thread)
    for thread, mailboxes in present.items():
        for mailbox in mailboxes & out.mailboxes.keys():
            out.mailboxes[mailbox]["totalThreads"] += 1
            out.mailboxes[mailbox]["unreadThreads"] += thread in (
                unread_in_trash if mailbox == trash else unread_elsewhere
            )
    return out


def _emails(reader: Reader) -> Iterator[Record]:
    ids = reader.ids("Email")
    for start in range(0, len(ids), _CHUNK):
        yield from reader.get("Email", ids[start : start + _CHUNK], ("threadId", "mailboxIds", "keywords"))


def verify_mailboxes(reader: Reader) -> list[Finding]:
    """Mailboxes whose counters, and threads whose tallies, differ from a recount."""
    right = recount(reader)
    found = [
        Finding(reader.account_id, f"Mailbox {mailbox} counts {_told(stored)}, and a recount gives {_told(should)}.")
        for mailbox, stored, should in _wrong_mailboxes(reader, right)
    ]
    found += [
        Finding(
            reader.account_id, f"The tally of thread {thread} is {_told(stored)}, and a recount gives {_told(should)}."
        )
        for thread, stored, should in _wrong_tallies(reader, right)
    ]
    return found


def mend_mailboxes(txn: Txn) -> list[Finding]:
    """Writes what a recount gives wherever the counters or tallies differ from it."""
    right = recount(txn)
    found: list[Finding] = []
    for thread, stored, should in list(_wrong_tallies(txn, right)):
        for member in stored.keys() | should.keys():
            delta = should.get(member, 0) - stored.get(member, 0)
            if delta:
                txn.tally(TALLY, thread, member, delta)
        found.append(Finding(txn.account_id, f"The tally of thread {thread} was counted again.", mended=True))
    for mailbox, stored, should in list(_wrong_mailboxes(txn, right)):
        txn.update("Mailbox", mailbox, {name: n for name, n in should.items() if stored.get(name) != n})
        found.append(Finding(txn.account_id, f"Mailbox {mailbox} was counted again.", mended=True))
    return found


def verify_threads(reader: Reader) -> list[Finding]:
    """Threads without Emails, and Emails whose Thread is not there."""
    wanting, empty = _wrong_threads(reader)
    found = [Finding(reader.account_id, f"Emails name a thread {thread} that is not there.") for thread in wanting]
    return found + [Finding(reader.account_id, f"Thread {thread} has no email.") for thread in empty]


def mend_threads(txn: Txn) -> list[Finding]:
    """Creates and destroys what ``verify_threads`` finds."""
    wanting, empty = _wrong_threads(txn)
    for thread in wanting:
        txn.create("Thread", {"id": thread})
    for thread in empty:
        txn.destroy("Thread", thread)
        txn.unlink(LINKS, thread)
    found = [Finding(txn.account_id, f"Thread {thread} was made.", mended=True) for thread in wanting]
    return found + [Finding(txn.account_id, f"Thread {thread} was removed.", mended=True) for thread in empty]


def _wrong_threads(reader: Reader) -> tuple[list[str], list[str]]:
    there = set(reader.ids("Thread"))
    named = {email["threadId"] for email in _emails(reader)}
    return sorted(named - there), sorted(there - named)


def _wrong_mailboxes(reader: Reader, right: Recount) -> Iterator[tuple[str, dict[str, int], dict[str, int]]]:
    for stored in reader.get("Mailbox", None, COUNTERS):
        mailbox = stored.pop("id")
        if stored != right.mailboxes[mailbox]:
            yield mailbox, stored, right.mailboxes[mailbox]


def _wrong_tallies(reader: Reader, right: Recount) -> Iterator[tuple[str, dict[str, int], dict[str, int]]]:
    known: Iterable[str] = {*right.threads, *reader.ids("Thread")}
    for thread in sorted(known):
        stored, should = reader.tallies(TALLY, thread), right.threads.get(thread, {})
        if stored != should:
            yield thread, stored, should


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "nothing"
