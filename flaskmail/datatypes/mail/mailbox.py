"""Mailboxes: named sets of Emails in a forest. RFC 8621 section 2."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from flaskmail.datatypes.mail import counters
from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.errors import SetError
from flaskmail.jmap.conditions import And, Compare, Condition, Contains, Query, SortBy
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Filter, Prop, SortTerm
from flaskmail.jmap.storage import Finding, Json, Reader, Record, Txn
from flaskmail.values import collations
from flaskmail.values.checks import boolean, identifier, object_of, one_of, optional, text, unsigned

# The special uses of the IANA registry "IMAP Mailbox Name Attributes" in lower case; its other attributes (\HasChildren,
# \Noselect, …) describe a folder and are no roles.
ROLES = (
    "all",
    "archive",
    "drafts",
    "flagged",
    "important",
    "inbox",
    "junk",
    "memos",
    "scheduled",
    "sent",
    "snoozed",
    "trash",
)
"""The roles that a Mailbox may have. RFC 8621 section 2."""

STARTING = (
    ("Inbox", "inbox"),
    ("Drafts", "drafts"),
    ("Sent", "sent"),
    ("Archive", "archive"),
    ("Junk", "junk"),
    ("Trash", "trash"),
)
"""Name and role of the mailboxes of a new account, in their sortOrder."""

RIGHTS = (
    "mayReadItems",
    "mayAddItems",
    "mayRemoveItems",
    "maySetSeen",
    "maySetKeywords",
    "mayCreateChild",
    "mayRename",
    "mayDelete",
    "maySubmit",
)
"""The members of MailboxRights. RFC 8621 section 2."""

MAX_SORT_ORDER = 2**31 - 1
_CHUNK = 500


def mailbox_name(value: Json) -> str | None:
    """Net-Unicode of at least one character, without control characters; its size is checked against the limits of the server.
    RFC 8621 section 2, RFC 5198."""
    wrong = text(value)
    if wrong is not None:
        return wrong
    if not value or value.isspace():
        return "must have at least one visible character"
    # RFC 5198 section 2: no control characters, normalized to form C. Lone surrogates are no characters at all.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in value):
        return "must not hold control characters or line breaks"
    return None if unicodedata.is_normalized("NFC", value) else "must be in Unicode normalization form C"


def _sort_order(value: Json) -> str | None:
    # RFC 8621 section 2: 0 <= sortOrder < 2^31.
    return None if unsigned(value) is None and value <= MAX_SORT_ORDER else "must be a whole number from 0 to 2^31-1"


def _counter() -> Prop:
    return Prop(unsigned, default=0, server_set=True, counter=True)


def _any_role(value: Json) -> Condition:
    return Compare("role", "!=" if value else "=", None)


class Mailbox(DataType):
    """The rules that the declaration cannot say: siblings differ in name, mailboxes in role, there is no loop, and the counters
    are those of :mod:`flaskmail.datatypes.mail.counters`."""

    name = "Mailbox"
    capability = MAIL
    methods = ("get", "changes", "set", "query", "queryChanges")
    id_prefix = "m"
    props = {
        "name": Prop(mailbox_name, indexed=True),
        "parentId": Prop(optional(identifier), default=None, indexed=True, xref="Mailbox"),
        "role": Prop(one_of(*ROLES, None), default=None, indexed=True),
        "sortOrder": Prop(_sort_order, default=0, indexed=True),
        "totalEmails": _counter(),
        "unreadEmails": _counter(),
        "totalThreads": _counter(),
        "unreadThreads": _counter(),
        "myRights": Prop(object_of(dict.fromkeys(RIGHTS, boolean)), server_set=True, computed=True),
        "isSubscribed": Prop(boolean, default=True, indexed=True),
    }
    filters = {
        "parentId": Filter(optional(identifier), lambda value: Compare("parentId", "=", value)),
        "name": Filter(text, lambda value: Contains("name", value)),
        "role": Filter(optional(text), lambda value: Compare("role", "=", value)),
        "hasAnyRole": Filter(boolean, _any_role),
        "isSubscribed": Filter(boolean, lambda value: Compare("isSubscribed", "=", value)),
    }
    sorts = {
        "sortOrder": SortTerm(lambda comparator, ascending, collation: SortBy("sortOrder", ascending)),
        "name": SortTerm(
            lambda comparator, ascending, collation: SortBy("name", ascending, collation or collations.DEFAULT),
            text=True,
        ),
    }
    set_arguments = {"onDestroyRemoveEmails": boolean}
    query_arguments = {"sortAsTree": boolean, "filterAsTree": boolean}

    # ---- /get, /changes
    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        """``myRights`` depends on the role."""
        return ("role",)

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """``myRights``: everything for the owner, but the inbox stays; nothing but reading in a read-only account."""
        owner = ctx.account is None or not ctx.account.is_read_only
        rights = {right: owner or right == "mayReadItems" for right in RIGHTS}
        for record in records:
            record["myRights"] = rights | {"mayDelete": owner and record.get("role") != "inbox"}

    def changes_extra(self, only_counters: bool) -> Record:
        """``updatedProperties``: the counters when nothing else changed, else null. RFC 8621 section 2.2."""
        return {"updatedProperties": list(counters.COUNTERS) if only_counters else None}

    # ---- /set
    def update_needs(self) -> Sequence[str]:
        """What the rules below read."""
        return ("name", "parentId", "role")

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        """SetError alreadyExists with ``existingId`` for a name that a sibling has; invalidProperties for a name that is too
        long, a role that another mailbox has, a parent that is not there, is below the mailbox, or makes the tree too deep;
        forbidden when the inbox would lose its role."""
        before = old or {}
        if new["name"] != before.get("name"):
            _check_size(ctx, new["name"])
        if old is not None and old.get("role") == "inbox" and new["role"] != "inbox":
            raise SetError("forbidden", "The inbox keeps its role, because new mail arrives there.", ["role"])
        if new["role"] is not None and new["role"] != before.get("role"):
            _check_role(txn, new)
        if old is None or new["parentId"] != old["parentId"]:
            _check_parent(ctx, txn, new)
        if old is None or (new["name"], new["parentId"]) != (old["name"], old["parentId"]):
            _check_siblings(txn, new)

    def before_destroy(self, ctx: Context, txn: Txn, old: Record, arguments: Mapping[str, Json]) -> None:
        """SetError mailboxHasChild or mailboxHasEmail (RFC 8621 section 2.5), forbidden for the inbox. With
        ``onDestroyRemoveEmails`` the Emails leave the mailbox, and go when they are in no other."""
        mailbox = old["id"]
        if old.get("role") == "inbox":
            raise SetError("forbidden", "The inbox cannot be destroyed, because new mail arrives there.")
        # RFC 8621 section 2.5: whatever onDestroyRemoveEmails says, a mailbox with children stays, and its emails too.
        if txn.grouped("Mailbox", "parentId", [mailbox]).get(mailbox):
            raise SetError("mailboxHasChild", "The mailbox still has a mailbox below it.")
        if not txn.members("Email", "mailboxIds", mailbox, 1):
            return
        if not arguments.get("onDestroyRemoveEmails"):
            raise SetError("mailboxHasEmail", "The mailbox still has emails in it.")
        _remove_emails(ctx, txn, mailbox)

    def updated(self, ctx: Context, txn: Txn, old: Record, new: Record) -> None:
        """When the role "trash" moves, unread threads count differently (RFC 8621 section 2)."""
        if old["role"] != new["role"] and "trash" in (old["role"], new["role"]):
            counters.trash_changed(txn)

    # ---- /query
    def arranges(self, arguments: Mapping[str, Json]) -> bool:
        """``sortAsTree`` and ``filterAsTree`` need the whole result."""
        return bool(arguments.get("sortAsTree") or arguments.get("filterAsTree"))

    def arrange(self, ctx: Context, reader: Reader, ids: list[str], arguments: Mapping[str, Json]) -> list[str]:
        """RFC 8621 section 2.3: a tree whose siblings are in the order of the sort, and without what hangs on nothing."""
        parents = {mailbox["id"]: mailbox["parentId"] for mailbox in reader.get("Mailbox", None, ("parentId",))}
        if arguments.get("filterAsTree"):
            ids = _rooted(ids, parents)
        if not arguments.get("sortAsTree"):
            return ids
        # Ancestors take part in the comparison whether the filter let them through or not.
        everything = ids if len(ids) == len(parents) else self._sorted(reader, arguments)
        wanted = set(ids)
        return [id for id in _as_tree(everything, parents) if id in wanted]

    def _sorted(self, reader: Reader, arguments: Mapping[str, Json]) -> list[str]:
        sort = tuple(
            self.sorts[term["property"]].build(term, term.get("isAscending", True), term.get("collation"))
            for term in arguments.get("sort") or ()
        )
        return reader.query("Mailbox", Query(sort=sort)).ids

    # ---- upkeep
    def account_made(self, ctx: Context, txn: Txn) -> None:
        """Inbox, Drafts, Sent, Archive, Junk and Trash."""
        for position, (name, role) in enumerate(STARTING, 1):
            record: Record = {"id": txn.new_id(self.name), "name": name, "parentId": None, "role": role}
            record |= {"sortOrder": 10 * position, "isSubscribed": True} | dict.fromkeys(counters.COUNTERS, 0)
            txn.create(self.name, record)

    def verify(self, reader: Reader) -> list[Finding]:
        """The counters agree with a recount."""
        return counters.verify_mailboxes(reader)

    def mend(self, txn: Txn) -> list[Finding]:
        """Writes the counters anew where they do not."""
        return counters.mend_mailboxes(txn)


def _check_size(ctx: Context, name: str) -> None:
    size, limit = len(name.encode()), ctx.limits.maxSizeMailboxName
    if size > limit:
        raise SetError("invalidProperties", f"The name has {size} octets; at most {limit} are allowed.", ["name"])


def _check_role(txn: Txn, new: Record) -> None:
    # RFC 8621 section 2: no two mailboxes of an account with the same role.
    others = txn.grouped("Mailbox", "role", [new["role"]]).get(new["role"]) or ()
    if any(other != new["id"] for other in others):
        raise SetError("invalidProperties", f"Another mailbox has the role {new['role']}.", ["role"])


def _check_siblings(txn: Txn, new: Record) -> None:
    # RFC 8621 section 2: no two siblings with the same name.
    same_place = And((Compare("parentId", "=", new["parentId"]), Compare("name", "=", new["name"])))
    for other in txn.query("Mailbox", Query(same_place, limit=2)).ids:
        if other != new["id"]:
            told = "There is a mailbox of that name at the same place."
            raise SetError("alreadyExists", told, existingId=other)


def _check_parent(ctx: Context, txn: Txn, new: Record) -> None:
    """The parent is there, not below the mailbox, and not too deep for the mailbox and what is below it."""
    limit = ctx.limits.maxMailboxDepth
    depth, here = 1, new["parentId"]
    while here is not None:
        if here == new["id"]:
            raise SetError("invalidProperties", "A mailbox cannot be below itself.", ["parentId"])
        ancestor = txn.get("Mailbox", [here], ("parentId",))
        if not ancestor:
            raise SetError("invalidProperties", "There is no mailbox with the id that parentId gives.", ["parentId"])
        here, depth = ancestor[0]["parentId"], depth + 1
        if depth > limit:
            break
    if depth + _height(txn, new["id"], limit) > limit:
        raise SetError("invalidProperties", f"Mailboxes are at most {limit} deep.", ["parentId"])


def _height(txn: Txn, mailbox: str, limit: int) -> int:
    """How many levels there are below a mailbox, counted up to ``limit``."""
    level, height = [mailbox], 0
    while height < limit:
        level = [child for children in txn.grouped("Mailbox", "parentId", level).values() for child in children]
        if not level:
            break
        height += 1
    return height


def _remove_emails(ctx: Context, txn: Txn, mailbox: str) -> None:
    """Takes every Email out of the mailbox; those in no other are destroyed. RFC 8621 section 2.5."""
    email = ctx.types["Email"]
    names = list(dict.fromkeys(("mailboxIds", *email.update_needs())))
    while ids := txn.members("Email", "mailboxIds", mailbox, _CHUNK):
        for old in txn.get("Email", ids, names):
            others = {id: True for id in old["mailboxIds"] if id != mailbox}
            if others:
                txn.update("Email", old["id"], {"mailboxIds": others})
                email.updated(ctx, txn, old, old | {"mailboxIds": others})
            else:
                txn.destroy("Email", old["id"])
                email.destroyed(ctx, txn, old)


def _rooted(ids: list[str], parents: Mapping[str, str | None]) -> list[str]:
    """Those whose ancestors are all among ``ids`` as well."""
    kept: dict[str | None, bool] = {None: True}
    wanted = set(ids)
    for id in ids:
        path: list[str] = []
        here: str | None = id
        while here not in kept and here in wanted:
            path.append(here)
            here = parents.get(here)
        answer = kept.get(here, False)
        kept.update(dict.fromkeys(path, answer))
    return [id for id in ids if kept[id]]


def _as_tree(ids: list[str], parents: Mapping[str, str | None]) -> list[str]:
    """Depth first, siblings in the order of ``ids``, which are all mailboxes."""
    children: dict[str | None, list[str]] = {}
    for id in ids:
        children.setdefault(parents.get(id), []).append(id)
    out: list[str] = []
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        here = waiting.pop()
        out.append(here)
        waiting.extend(reversed(children.get(here, [])))
    return out
