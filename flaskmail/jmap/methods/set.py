"""Foo/set (RFC 8620 section 5.3) for every type: one transaction a call, each object accepted or refused on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskmail.errors import MethodError, SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Prepared
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import (
    account_id,
    check_arguments,
    expect_state,
    state_text,
    text_list_or_null,
)
from flaskmail.jmap.methods.creation import Creations
from flaskmail.jmap.methods.destruction import Destructions
from flaskmail.jmap.methods.update import Updates
from flaskmail.jmap.storage import Reader, Record, Txn
from flaskmail.values.checks import identifier, map_of, optional, text


def an_object(value: Any) -> str | None:
    """Any object."""
    return None if isinstance(value, dict) else "must be an object"


creations_check = map_of(identifier, an_object)
"""Id[Foo], the keys being creation ids."""

PASSES = 10
"""How often at most one call comes back to what was refused."""

_KNOWN = {
    "ifInState": optional(text),
    "create": optional(creations_check),
    "update": optional(map_of(text, an_object)),
    "destroy": text_list_or_null,
}


def set_method(kind: DataType) -> Method:
    """Foo/set. Creates come first, then updates, then destroys."""

    def call(ctx: Context, arguments: Record) -> Record:
        return run_set(ctx, kind, arguments)

    return Method(f"{kind.name}/set", kind.capability, call, writes=True)


def run_set(ctx: Context, kind: DataType, arguments: Record) -> Record:
    """One /set on the account ``arguments["accountId"]``, which the caller has checked. Raises MethodError."""
    check_arguments(arguments, {**_KNOWN, **kind.set_arguments} if kind.set_arguments else _KNOWN)
    create: Mapping[str, Record] = arguments.get("create") or {}
    update: Mapping[str, Record] = arguments.get("update") or {}
    destroy: list[str] = list(dict.fromkeys(arguments.get("destroy") or ()))
    check_size(ctx, len(create) + len(update) + len(destroy))
    account, expected = account_id(arguments), arguments.get("ifInState")

    def prepare(reader: Reader, sent: Record) -> Prepared:
        return kind.prepare_create(ctx, reader, sent)

    creations = Creations(ctx, kind, create, prepare)
    if not (update or destroy) or create:
        with ctx.store.read(account) as reader:
            expect_state(reader, kind.name, expected)
            if not (create or update or destroy):
                state = state_text(reader, kind.name)
                return _response(arguments, state, state)
            creations.prepare(reader)
    with ctx.store.write(account) as txn:
        old_state = state_text(txn, kind.name)
        expect_state(txn, kind.name, expected)
        kind.check_set(ctx, txn, arguments)
        counted = _counted(kind, txn)
        creations.commit(txn)
        updates = Updates(ctx, kind, txn, creations.lookup)
        destructions = Destructions(ctx, kind, txn, creations.lookup, arguments)
        going = {id for id in map(destructions.resolve, destroy) if id is not None}
        if update:
            updates.run(update, going)
        if destroy:
            destructions.run(destroy)
        _retry(ctx, txn, creations, updates, destructions, going)
        txn.settle()
        if counted:
            _tell_counters(counted, _counted(kind, txn), updates)
        created = creations.answers(txn) if creations.created else {}
        new_state = state_text(txn, kind.name)
    ctx.created_ids.update(creations.ids)
    response = _response(arguments, old_state, new_state)
    response["created"] = created or None
    response["updated"] = updates.updated or None
    response["destroyed"] = destructions.destroyed or None
    response["notCreated"] = _wire(creations.failed)
    response["notUpdated"] = _wire(updates.failed)
    response["notDestroyed"] = _wire(destructions.failed)
    return response


def _retry(
    ctx: Context, txn: Txn, creations: Creations, updates: Updates, destructions: Destructions, going: set[str]
) -> None:
    """Tries again what was refused for as long as that helps, as one may make room for another."""
    # RFC 8620 section 5.3: if the final state is valid, it is allowed.
    moved = bool(updates.updated or destructions.destroyed)
    moved = (moved and creations.retry(txn)) | updates.retry(going) | destructions.retry()
    for _ in range(PASSES):
        if not moved:
            break
        ctx.check_time()
        moved = creations.retry(txn) | updates.retry(going) | destructions.retry()


def _counted(kind: DataType, txn: Txn) -> dict[str, Record]:
    """The counters of every record by id; nothing when the type has no counters."""
    names = [name for name, prop in kind.props.items() if prop.counter]
    return {record.pop("id"): record for record in txn.get(kind.name, None, names)} if names else {}


def _tell_counters(before: Mapping[str, Record], after: Mapping[str, Record], updates: Updates) -> None:
    """Adds to ``updated`` the counters that the call has moved, also those of records that it does not name."""
    # RFC 8620 section 5.3: a client with oldState goes on to newState, so it has to learn of every change in between.
    for id, now in after.items():
        then = before.get(id)
        if then is None or then == now or id in updates.failed:
            continue
        moved = {name: n for name, n in now.items() if then[name] != n}
        updates.updated[id] = {**(updates.updated.get(id) or {}), **moved}


def check_size(ctx: Context, objects: int) -> None:
    """MethodError ``requestTooLarge`` when one call has more objects than ``maxObjectsInSet``."""
    if objects > ctx.limits.maxObjectsInSet:
        raise MethodError(
            "requestTooLarge", f"{objects} objects are more than maxObjectsInSet, {ctx.limits.maxObjectsInSet}."
        )


def _response(arguments: Record, old_state: str, new_state: str) -> Record:
    return {
        "accountId": arguments["accountId"],
        "oldState": old_state,
        "newState": new_state,
        "created": None,
        "updated": None,
        "destroyed": None,
        "notCreated": None,
        "notUpdated": None,
        "notDestroyed": None,
    }


def _wire(failed: Mapping[str, SetError]) -> dict[str, Record] | None:
    return {key: error.wire() for key, error in failed.items()} or None


__all__ = ["an_object", "check_size", "creations_check", "run_set", "set_method"]
