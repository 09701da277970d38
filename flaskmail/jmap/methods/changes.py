"""Foo/changes (RFC 8620 section 5.2) for every type."""

from __future__ import annotations

from typing import Any

from flaskmail.errors import MethodError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, parse_state
from flaskmail.jmap.storage import Record
from flaskmail.values.checks import optional, shown, text, unsigned


def positive(value: Any) -> str | None:
    """UnsignedInt greater than 0: ``maxChanges``. RFC 8620 section 5.2."""
    return "must be greater than 0" if value == 0 and value is not False else unsigned(value)


_KNOWN = {"sinceState": text, "maxChanges": optional(positive)}


def changes_method(kind: DataType) -> Method:
    """Foo/changes. Every state is answered that was given out and that the store's history reaches back to; any other is
    ``cannotCalculateChanges``."""

    def call(ctx: Context, arguments: Record) -> Record:
        check_arguments(arguments, _KNOWN, ("sinceState",))
        old_state: str = arguments["sinceState"]
        since = parse_state(old_state)
        wanted: int | None = arguments.get("maxChanges")
        limit = ctx.limits.maxChanges if wanted is None else min(wanted, ctx.limits.maxChanges)
        with ctx.store.read(account_id(arguments)) as reader:
            current = reader.state(kind.name)
            if since is None or since > current:
                raise MethodError("cannotCalculateChanges", f"{shown(old_state)} is no state of {kind.name}.")
            # RFC 8620 section 5.2: a state that is too old; the client then forgets what it has and begins anew.
            if since < reader.history(kind.name):
                raise MethodError("cannotCalculateChanges", f"The changes since {shown(old_state)} are not remembered.")
            changes = reader.changes(kind.name, since, limit)
        return {
            "accountId": arguments["accountId"],
            "oldState": old_state,
            "newState": str(changes.until),
            "hasMoreChanges": changes.more,
            "created": changes.created,
            "updated": changes.updated,
            "destroyed": changes.destroyed,
            **kind.changes_extra(changes.only_counters),
        }

    return Method(f"{kind.name}/changes", kind.capability, call)
