"""Finds or makes the mailbox for a path of folder names, as an import needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flaskmail.jmap.context import Context
from flaskmail.jmap.storage import Record, Txn

# Names under which mail programs keep the folders that RFC 8621 section 2 knows by role.
ROLE_NAMES: Mapping[str, str] = {
    "inbox": "inbox",
    "sent": "sent",
    "sent items": "sent",
    "sent messages": "sent",
    "sent mail": "sent",
    "drafts": "drafts",
    "draft": "drafts",
    "trash": "trash",
    "deleted items": "trash",
    "deleted messages": "trash",
    "junk": "junk",
    "spam": "junk",
    "junk e-mail": "junk",
    "archive": "archive",
    "archives": "archive",
}


def mailbox_for(ctx: Context, txn: Txn, path: Sequence[str], parent: str | None = None) -> str:
    """The id of the mailbox at ``path`` below ``parent`` (None: the top), made with all its ancestors when missing.

    At the top a name that mail programs use for a role ("Sent Items") finds the mailbox of that role, or makes one that has it
    when no mailbox does; otherwise names compare without case. SetError when a name is not allowed (RFC 8621 section 2)."""
    mailboxes = txn.get("Mailbox", None, ("name", "parentId", "role"))
    here = parent
    for name in path:
        found = _child(mailboxes, name, here)
        if found is None:
            kind = ctx.types["Mailbox"]
            role = ROLE_NAMES.get(name.casefold()) if here is None else None
            taken = any(mailbox["role"] == role for mailbox in mailboxes)
            sent = {"name": name, "parentId": here, "role": None if taken else role}
            record = kind.commit_create(ctx, txn, kind.prepare_create(ctx, txn, sent))
            mailboxes.append(record)
            found = record["id"]
        here = found
    if here is None:
        return mailbox_for(ctx, txn, ("inbox",))
    return here


def find_mailbox(mailboxes: Sequence[Record], wanted: str) -> str | None:
    """What a person means by a mailbox: its id, its role, or its path ("Archive/2024"); None when there is none."""
    for mailbox in mailboxes:
        if wanted == mailbox["id"] or wanted.lower() == mailbox.get("role"):
            return str(mailbox["id"])
    here: str | None = None
    for name in wanted.split("/"):
        here = _child(mailboxes, name, here)
        if here is None:
            return None
    return here


def _child(mailboxes: Sequence[Record], name: str, parent: str | None) -> str | None:
    children = [m for m in mailboxes if m.get("parentId") == parent]
    for child in children:
        if child["name"] == name:
            return str(child["id"])
    role = ROLE_NAMES.get(name.casefold()) if parent is None else None
    for child in children:
        if child["name"].casefold() == name.casefold() or (role is not None and child.get("role") == role):
            return str(child["id"])
    return None
