"""Which Thread an Email belongs to: the algorithm that RFC 8621 section 3 suggests, bounded.

Two messages are in one thread when an identical message id appears in both (Message-ID, In-Reply-To or References) and their
subjects are the same after prefixes and white space are taken away. The account keeps an index from the hash of (message id,
subject) to the thread; the keys of a thread leave it with the thread. Threads are never merged: an Email's threadId cannot
change, and reinserting mail under new ids would break what clients hold.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from flaskmail.datatypes.mail.counters import LINKS
from flaskmail.jmap.storage import Record, Txn

MAX_RELATED = 100
"""How many message ids of one message are looked at."""

MAX_SUBJECT = 1000
"""How many characters of a subject are looked at."""

# RFC 5256 section 5: subj-blob, subj-refwd and subj-trailer.
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_REFWD = re.compile(r"(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:", re.IGNORECASE)
_SPACES = re.compile(r"\s+")

# The prefixes for replying and forwarding that clients in other languages than English add.
_LOCAL = (
    "aw|antw|antwort|wg|sv|vs|vb|vl|rv|res|enc|tr|réf|rif|r|i|odp|pd|ynt|ilt|bls|trs|atb|vá|továbbítás|ha|отв"
    "|回复|回覆|答复|转发|轉寄"
)
_ANY_REFWD = re.compile(rf"(?:re|fwd?|{_LOCAL})\s*(?:\[[^\[\]]*\]\s*)?[:：]", re.IGNORECASE)


def base_subject(subject: str | None) -> str:
    """The base subject of RFC 5256 section 2.1, "" for None; at most the first ``MAX_SUBJECT`` characters count."""
    return _base(subject, _REFWD)


def same_subject_key(subject: str | None) -> str:
    """What two subjects of one thread have in common: the base subject, also without prefixes of other languages, without case
    and white space (RFC 8621 section 3)."""
    return _SPACES.sub("", _base(subject, _ANY_REFWD)).casefold()


def _base(subject: str | None, refwd: re.Pattern[str]) -> str:
    text = _SPACES.sub(" ", (subject or "")[:MAX_SUBJECT])
    while True:
        # RFC 5256 section 2.1 (2) to (5), then (6) as long as it applies.
        text = _without_leaders(_without_trailers(text), refwd)
        if not (text[:5].lower() == "[fwd:" and text[-1:] == "]"):
            return text
        text = text[5:-1]


def _without_trailers(text: str) -> str:
    """Takes "(fwd)" and white space from the end. A search for the pattern would begin at every space."""
    while True:
        shorter = text.rstrip()
        if shorter[-5:].lower() == "(fwd)":
            shorter = shorter[:-5]
        if len(shorter) == len(text):
            return text
        text = shorter


def _without_leaders(text: str, refwd: re.Pattern[str]) -> str:
    """Takes "Re:", "[list] Fwd:" and, when something is left, "[list]" from the beginning."""
    at = 0
    while True:
        while text[at : at + 1] == " ":
            at += 1
        start, last = at, at
        blob = _BLOB.match(text, at)
        while blob is not None:
            last, at = at, blob.end()
            blob = _BLOB.match(text, at)
        found = refwd.match(text, at)
        if found is None:
            # RFC 5256 section 2.1 (4): a blob stays when nothing would be left.
            return text[at:] if at < len(text) or at == start else text[last:]
        at = found.end()


def related_ids(record: Record) -> list[str]:
    """The message ids that relate an Email to others, the nearest first, at most ``MAX_RELATED``: its own, those it answers,
    and References from the newest to the oldest, of which the very first is kept when there are too many.

    ``record`` has messageId, inReplyTo and references, each a list of strings or None (RFC 8621 section 4.1.2.3).
    """
    references: Sequence[str] = record.get("references") or ()
    near = [*(record.get("messageId") or ()), *(record.get("inReplyTo") or ()), *reversed(references)]
    ids = list(dict.fromkeys(near[: 10 * MAX_RELATED]))
    if len(ids) > MAX_RELATED:
        ids = [*ids[: MAX_RELATED - 1], *references[:1]]
    return ids


def link_key(message_id: str, subject_key: str) -> str:
    """The index key for a message id in a conversation with this subject: 20 characters."""
    return urlsafe_b64encode(
        blake2b(f"{message_id}\0{subject_key}".encode("utf-8", "replace"), digest_size=15).digest()
    ).decode()


def assign(txn: Txn, message_ids: Sequence[str], subject: str | None) -> str:
    """The id of the thread of a new Email, an existing one or a new one; the caller creates the Email in ``txn``.

    message_ids: those of ``related_ids``; when they name several threads, the nearest id decides. Afterwards each of them leads
    to a thread. The Thread record is made by ``counters`` when the Email is created.
    """
    subject_key = same_subject_key(subject)
    keys = [link_key(message_id, subject_key) for message_id in message_ids[:MAX_RELATED]]
    known = txn.linked(LINKS, keys) if keys else {}
    thread = next((known[key] for key in keys if key in known), None)
    if thread is None:
        thread = txn.new_id("Thread")
    missing = [key for key in keys if key not in known]
    if missing:
        txn.link(LINKS, missing, thread)
    return thread
