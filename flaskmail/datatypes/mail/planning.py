"""Whether a whole Mailbox/set ends in a valid forest, although a step on the way does not.

RFC 8620 section 5.3: the final state must be valid, and two names may be swapped in one call. When the final state is not
valid, each change is taken or refused on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flaskmail.errors import SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.records import record_to_create
from flaskmail.jmap.storage import Json, Record, Txn

NAMES = ("name", "parentId", "role")
"""The properties that the rules between mailboxes read."""

_FREE = frozenset({"sortOrder", "isSubscribed"})


@dataclass(slots=True)
class Plan:
    """The ids that a valid /set updates and destroys: rules between mailboxes need not hold against them on the way."""

    updated: frozenset[str] = field(default_factory=frozenset)
    destroyed: frozenset[str] = field(default_factory=frozenset)

    @property
    def leaving(self) -> frozenset[str]:
        """Mailboxes whose name, parent or role is still to change in this /set."""
        return self.updated | self.destroyed


def plan_set(kind: DataType, ctx: Context, txn: Txn, arguments: Mapping[str, Json]) -> Plan:
    """The plan of a Mailbox/set whose final state is valid; an empty one when it is not, when one of its changes would be
    refused anyway, or when it has but one change."""
    create: Mapping[str, Json] = arguments.get("create") or {}
    update = {_resolved(ctx, id): patch for id, patch in (arguments.get("update") or {}).items()}
    destroy = {_resolved(ctx, id) for id in arguments.get("destroy") or ()}
    if len(create) + len(update) + len(destroy) < 2 or not (update or destroy):
        return Plan()
    forest = {mailbox.pop("id"): mailbox for mailbox in txn.get("Mailbox", None, NAMES)}
    if not (update.keys() <= forest.keys() and destroy <= forest.keys()) or update.keys() & destroy:
        return Plan()
    if not all(_apply(kind, forest[id], patch) for id, patch in update.items()):
        return Plan()
    for creation_id, sent in create.items():
        if not _creatable(kind, sent):
            return Plan()
        forest["#" + creation_id] = {name: sent.get(name) for name in NAMES}
    if not arguments.get("onDestroyRemoveEmails") and any(txn.members("Email", "mailboxIds", id, 1) for id in destroy):
        return Plan()
    if any(forest.pop(id)["role"] == "inbox" for id in destroy) or not _valid(ctx, forest):
        return Plan()
    return Plan(frozenset(update), frozenset(destroy))


def _resolved(ctx: Context, id: str) -> str:
    """The id that a creation id of an earlier call stands for."""
    return ctx.created_ids.get(id[1:], id) if id[:1] == "#" else id


def _apply(kind: DataType, mailbox: Record, patch: Json) -> bool:
    """Patches the mailbox; False when the update would be refused whatever the others do, or is not plain."""
    if not isinstance(patch, dict) or not patch.keys() <= {*NAMES, *_FREE}:
        return False
    was_inbox = mailbox["role"] == "inbox"
    for name, value in patch.items():
        prop = kind.props[name]
        refers = name == "parentId" and isinstance(value, str) and value[:1] == "#"
        if not refers and prop.check(value) is not None and not (value is None and name in _FREE):
            return False
        if name in NAMES:
            mailbox[name] = value
    return not was_inbox or mailbox["role"] == "inbox"


def _creatable(kind: DataType, sent: Json) -> bool:
    """Whether the declaration takes what was sent, its reference to a parent aside."""
    if not isinstance(sent, dict):
        return False
    parent = sent.get("parentId")
    try:
        record_to_create(kind, sent | {"parentId": None} if isinstance(parent, str) else sent)
    except SetError:
        return False
    return True


def _valid(ctx: Context, forest: Mapping[str, Record]) -> bool:
    """Whether names are unique among siblings, roles in the account, and all mailboxes hang on the top within the depth."""
    places: set[tuple[str | None, str]] = set()
    roles: set[str] = set()
    parents: dict[str, str | None] = {}
    for id, mailbox in forest.items():
        name, parent, role = mailbox["name"], mailbox["parentId"], mailbox["role"]
        if parent is not None and parent not in forest:
            parent = _resolved(ctx, parent)
        if (parent, name) in places or role in roles or len(name.encode()) > ctx.limits.maxSizeMailboxName:
            return False
        places.add((parent, name))
        if role is not None:
            roles.add(role)
        parents[id] = parent
    return all(_hangs(id, parents, ctx.limits.maxMailboxDepth) for id in parents)


def _hangs(id: str, parents: Mapping[str, str | None], depth: int) -> bool:
    here: str | None = id
    for _ in range(depth):
        if here is None or here not in parents:
            return False
        here = parents[here]
        if here is None:
            return True
    return False
