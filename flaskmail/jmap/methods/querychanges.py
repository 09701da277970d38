"""Foo/queryChanges for every declared type (RFC 8620 section 5.6).

No old result is kept. Whatever a touched record (or, where groups matter, a record of its group) did to the result is undone by
removing it and done again by adding it where it stands now; all others are as they were, in the same order. So the client's
splicing ends in exactly the present result.
"""

from __future__ import annotations

from collections.abc import Mapping

from flaskmail.errors import MethodError
from flaskmail.jmap.conditions import (
    And,
    Compare,
    Condition,
    Contains,
    HasMember,
    HasOtherMember,
    InGroup,
    Matches,
    Not,
    Or,
    Query,
    Sort,
    SortBy,
)
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, parse_state, state_text
from flaskmail.jmap.methods.query import COMMON, Asked, operands, parse_common
from flaskmail.jmap.storage import Reader, Record
from flaskmail.values import checks

_KNOWN: Mapping[str, checks.Check] = {
    **COMMON,
    "sinceQueryState": checks.text,
    "maxChanges": checks.optional(checks.unsigned),
    "upToId": checks.optional(checks.identifier),
}

FEW = 8
"""Up to so many records are asked for their place one by one where a store counts places, which beats reading everything."""


def _too_many(most: int) -> MethodError:
    return MethodError("tooManyChanges", f"There are more than {most} changes; ask for more, or query again.")


def _cannot(sentence: str) -> MethodError:
    return MethodError("cannotCalculateChanges", sentence)


def _is_fixed(kind: DataType, name: str) -> bool:
    prop = kind.props.get(name)
    return prop is not None and prop.immutable


def _fixed_condition(kind: DataType, condition: Condition) -> bool:
    match condition:
        case Compare(column, _, _) | Contains(column, _):
            return _is_fixed(kind, column)
        case HasMember(prop, _) | HasOtherMember(prop, _):
            return _is_fixed(kind, prop)
        # The search index of a record is written when it is created, and never again.
        case Matches() | And() | Or() | Not():
            return True
        case _:
            return False


def _fixed_sort(kind: DataType, sort: Sort) -> bool:
    if isinstance(sort, SortBy):
        return _is_fixed(kind, sort.column)
    return sort.quantifier is None and _is_fixed(kind, sort.prop)


def reads_immutable_only(kind: DataType, asked: Asked) -> bool:
    """Whether a record's place in the result depends on nothing but immutable properties of its own.

    Then no update moves anything, and ``upToId`` may be heeded (RFC 8620 section 5.6). With ``collapse`` other records of the
    group decide too.
    """
    return (
        not asked.collapse
        and all(_fixed_condition(kind, one) for one in operands(asked.condition))
        and all(_fixed_sort(kind, one) for one in asked.sort)
    )


def _reads_groups(asked: Asked) -> bool:
    return (
        asked.collapse
        or any(isinstance(one, InGroup) for one in operands(asked.condition))
        or any(not isinstance(one, SortBy) and one.quantifier is not None for one in asked.sort)
    )


def _moved(
    kind: DataType, reader: Reader, asked: Asked, since: int, most: int, max_changes: int | None
) -> tuple[list[str], set[str]]:
    """(ids that may have been in the old result and have left it or moved in it, ids to look for in the new one)."""
    if reads_immutable_only(kind, asked):
        changes = reader.changes(kind.name, since, None)
        return changes.destroyed, set(changes.created)
    touched = reader.touched(kind.name, since, most, group=_reads_groups(asked))
    if touched is None:
        if max_changes is not None and max_changes <= most:
            raise _too_many(max_changes)
        raise _cannot(f"More than {most} records have changed since; query again.")
    changes = reader.changes(kind.name, since, None)
    # What was created since was not in the old result; neither was what came and went since, which ``changes`` leaves out.
    there = reader.existing(kind.name, touched).difference(changes.created).union(changes.destroyed)
    return [id for id in touched if id in there], set(touched)


def _standing(
    kind: DataType, reader: Reader, asked: Asked, wanted: set[str], up_to: str | None
) -> tuple[list[Record], int | None]:
    """The AddedItems of ``wanted``, by index, and the total if it was asked for."""
    last = up_to if up_to is not None and reads_immutable_only(kind, asked) else None
    if not wanted or (len(wanted) <= FEW and _in_record_order(kind, asked)):
        places = {id: place for id in wanted if (place := _place(kind, reader, asked, id)) is not None}
        found = sorted((place, id) for id, place in places.items())
        end = _place(kind, reader, asked, last) if found and last is not None else None
        total = None
        if asked.total:
            query = Query(asked.condition, asked.sort, asked.collapse, limit=0, total=True)
            total = reader.query(kind.name, query).total
    else:
        result = reader.query(kind.name, Query(asked.condition, asked.sort, asked.collapse)).ids
        found = [(index, id) for index, id in enumerate(result) if id in wanted]
        end = result.index(last) if last is not None and last in result else None
        total = len(result)
    # RFC 8620 section 5.6: what was added behind upToId is left out, if sort and filter read immutable properties only.
    return [{"id": id, "index": index} for index, id in found if end is None or index <= end], total


def _in_record_order(kind: DataType, asked: Asked) -> bool:
    return not asked.collapse and (
        not asked.sort or (kind.order is not None and asked.sort == (SortBy(kind.order, asked.sort[0].ascending),))
    )


def _place(kind: DataType, reader: Reader, asked: Asked, id: str) -> int | None:
    """The index of a record in the result; None when it is not in it."""
    try:
        return reader.query(kind.name, Query(asked.condition, asked.sort, asked.collapse, anchor=id, limit=1)).position
    except KeyError as error:
        if error.args != (id,):
            raise
        return None


def _changes(kind: DataType, ctx: Context, arguments: Record) -> Record:
    asked = parse_common(kind, arguments, _KNOWN, ("sinceQueryState",))
    old, max_changes, up_to = arguments["sinceQueryState"], arguments.get("maxChanges"), arguments.get("upToId")
    if not asked.calculable:
        raise _cannot("Changes cannot be calculated for this filter, sort or arrangement.")
    with ctx.store.read(account_id(arguments)) as reader:
        since, now = parse_state(old), reader.state(kind.name)
        if since is None or since > now:
            raise _cannot("The server does not know this sinceQueryState.")
        if since < reader.history(kind.name):
            raise _cannot("The changes since this sinceQueryState are not remembered; query again.")
        answer: Record = {
            "accountId": account_id(arguments),
            "oldQueryState": old,
            "newQueryState": state_text(reader, kind.name),
            "removed": [],
            "added": [],
        }
        removed: list[str] = []
        wanted: set[str] = set()
        if since < now:
            removed, wanted = _moved(kind, reader, asked, since, ctx.limits.maxChanges, max_changes)
            if max_changes is not None and len(removed) > max_changes:
                raise _too_many(max_changes)
        added, total = _standing(kind, reader, asked, wanted, up_to)
    if max_changes is not None and len(removed) + len(added) > max_changes:
        raise _too_many(max_changes)
    answer["removed"], answer["added"] = removed, added
    if asked.total:
        answer["total"] = total
    return answer


def query_changes_method(kind: DataType) -> Method:
    """Foo/queryChanges of a declared type. RFC 8620 section 5.6."""
    return Method(f"{kind.name}/queryChanges", kind.capability, lambda ctx, arguments: _changes(kind, ctx, arguments))
