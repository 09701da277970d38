"""Foo/query for every declared type (RFC 8620 section 5.5), and the parsing of filters and sorts that others share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flaskmail.errors import MethodError
from flaskmail.jmap.conditions import And, Condition, InGroup, Matches, Not, Or, Query, QueryResult, Sort
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, state_text
from flaskmail.jmap.storage import Json, Reader, Record
from flaskmail.values import checks
from flaskmail.values.checks import shown
from flaskmail.values.collations import COLLATIONS, DEFAULT
from flaskmail.values.searching import QueryTooLong, parse_search

MAX_DEPTH = 32
"""How deep FilterOperators may be nested in each other."""

MAX_SIZE = 5000
"""How many operators, conditions and list items a filter may hold together."""

MAX_WORDS = 500
"""How many words all search texts of a filter may have together."""

MAX_SORT = 16
"""How many Comparators a sort may have."""


def _invalid(sentence: str) -> MethodError:
    return MethodError("invalidArguments", sentence)


def operands(condition: Condition) -> Iterator[Condition]:
    """The condition itself and all that it is made of, whatever is inside a group's included."""
    pending = [condition]
    while pending:
        one = pending.pop()
        yield one
        match one:
            case And(inner) | Or(inner):
                pending.extend(inner)
            case Not(inner):
                pending.append(inner)
            case InGroup(_, inner):
                pending.append(inner)


class _FilterParser:
    """Turns one filter argument into a Condition, counting what it holds."""

    def __init__(self, kind: DataType) -> None:
        self.kind, self.size, self.local = kind, 0, True

    def _count(self, more: int) -> None:
        self.size += more
        if self.size > MAX_SIZE:
            raise MethodError(
                "unsupportedFilter", f"The filter has more than {MAX_SIZE} parts; please make it simpler."
            )

    def parse(self, given: Json, depth: int = 0) -> Condition:
        if not isinstance(given, dict):
            raise _invalid(f"A filter must be a FilterOperator or FilterCondition object, not {shown(given)}.")
        if depth > MAX_DEPTH:
            raise MethodError(
                "unsupportedFilter", f"The filter is nested deeper than {MAX_DEPTH}; please make it simpler."
            )
        self._count(1)
        # RFC 8620 section 5.5: a FilterCondition never has an "operator".
        return self._operator(given, depth) if "operator" in given else self._condition(given)

    def _operator(self, given: Record, depth: int) -> Condition:
        operator, conditions = given["operator"], given.get("conditions")
        if operator not in ("AND", "OR", "NOT"):
            raise _invalid(f'The operator of a FilterOperator must be "AND", "OR" or "NOT", not {shown(operator)}.')
        if not isinstance(conditions, list):
            raise _invalid("The conditions of a FilterOperator must be an array of filters.")
        for name in given:
            if name not in ("operator", "conditions"):
                raise _invalid(f"A FilterOperator has no member {shown(name)}.")
        inner = tuple(self.parse(condition, depth + 1) for condition in conditions)
        if operator == "AND":
            return And(inner)
        # RFC 8620 section 5.5: NOT is "none of the conditions must match".
        return Or(inner) if operator == "OR" else Not(Or(inner))

    def _condition(self, given: Record) -> Condition:
        built: list[Condition] = []
        for name, value in given.items():
            declared = self.kind.filters.get(name)
            if declared is None:
                raise MethodError("unsupportedFilter", f"{self.kind.name} records cannot be filtered by {shown(name)}.")
            self._count(len(value) if isinstance(value, list) else 1)
            wrong = declared.check(value)
            if wrong is not None:
                raise _invalid(f"The filter's {name} {wrong}.")
            self.local = self.local and declared.local
            built.append(declared.build(value))
        return built[0] if len(built) == 1 else And(tuple(built))


def parse_filter(kind: DataType, given: Json) -> tuple[Condition, bool]:
    """The condition of a ``filter`` argument (null: everything), and whether it is local, so that changes of the result can be
    calculated (``Filter.local``).

    MethodError invalidArguments: it is no filter, or a value has the wrong type; unsupportedFilter: a property that the type
    does not declare, or more than MAX_DEPTH, MAX_SIZE, MAX_WORDS or ``parse_search`` allow. RFC 8620 section 5.5.
    """
    if given is None:
        return And(()), True
    parser = _FilterParser(kind)
    condition = parser.parse(given)
    words = 0
    for one in operands(condition):
        if isinstance(one, Matches):
            try:
                words += max(1, len(parse_search(one.query)))
            except QueryTooLong as error:
                raise MethodError("unsupportedFilter", f"The filter cannot be processed: {error}.") from None
            if words > MAX_WORDS:
                raise MethodError("unsupportedFilter", f"The filter searches for more than {MAX_WORDS} words in all.")
    return condition, parser.local


def _comparator(kind: DataType, given: Json) -> tuple[Sort, bool]:
    if not isinstance(given, dict):
        raise _invalid(f"Each item of sort must be a Comparator object, not {shown(given)}.")
    name = given.get("property")
    if not isinstance(name, str):
        raise _invalid("Each Comparator must have a property, which is text.")
    ascending = given.get("isAscending", True)
    if not isinstance(ascending, bool):
        raise _invalid(f"isAscending of the Comparator {shown(name)} must be true or false.")
    collation = given.get("collation")
    if collation is not None and not isinstance(collation, str):
        raise _invalid(f"The collation of the Comparator {shown(name)} must be text.")
    term = kind.sorts.get(name)
    if term is None:
        raise MethodError("unsupportedSort", f"{kind.name} records cannot be sorted by {shown(name)}.")
    for argument, check in term.arguments.items():
        wrong = "must be given" if argument not in given else check(given[argument])
        if wrong is not None:
            raise _invalid(f"The Comparator {shown(name)} has a member {argument} that {wrong}.")
    # RFC 8620 section 5.5: the collation is ignored when the property is not a string.
    if not term.text:
        return term.build(given, ascending, None), term.local
    if collation is not None and collation not in COLLATIONS:
        raise MethodError(
            "unsupportedSort", f"The collation {shown(collation)} is not known; known are {', '.join(COLLATIONS)}."
        )
    return term.build(given, ascending, collation or DEFAULT), term.local


def parse_sort(kind: DataType, given: Json) -> tuple[tuple[Sort, ...], bool]:
    """The terms of a ``sort`` argument (null: none), and whether all are local (``SortTerm.local``).

    Text without a collation sorts by i;unicode-casemap. Members of a Comparator that neither RFC 8620 nor the term knows are
    ignored; those of ``SortTerm.arguments`` must be there. MethodError invalidArguments: it is no sort; unsupportedSort: an
    undeclared property, an unknown collation, or more than MAX_SORT terms. RFC 8620 section 5.5.
    """
    if given is None:
        return (), True
    if not isinstance(given, list):
        raise _invalid(f"sort must be an array of Comparator objects or null, not {shown(given)}.")
    if len(given) > MAX_SORT:
        raise MethodError("unsupportedSort", f"At most {MAX_SORT} Comparators can be combined.")
    terms = [_comparator(kind, one) for one in given]
    return tuple(sort for sort, _ in terms), all(local for _, local in terms)


@dataclass(frozen=True, slots=True)
class Asked:
    """What /query and /queryChanges have in common: which records, in which order.

    local: the changes can be calculated; arranges: the type rearranges the result (``DataType.arrange``).
    """

    condition: Condition
    sort: tuple[Sort, ...]
    collapse: bool
    local: bool
    arranges: bool
    total: bool

    @property
    def calculable(self) -> bool:
        """Whether /queryChanges can say what changed."""
        return self.local and not self.arranges


COMMON: Mapping[str, checks.Check] = {
    "filter": checks.anything,
    "sort": checks.anything,
    "calculateTotal": checks.boolean,
}
"""Arguments of both methods; ``filter`` and ``sort`` are checked where they are parsed."""

_QUERY: Mapping[str, checks.Check] = {
    **COMMON,
    "position": checks.integer,
    "anchor": checks.optional(checks.identifier),
    "anchorOffset": checks.integer,
    "limit": checks.optional(checks.unsigned),
}


def parse_common(
    kind: DataType, arguments: Record, known: Mapping[str, checks.Check], required: Sequence[str] = ()
) -> Asked:
    """Checks every argument by ``known`` and ``DataType.query_arguments``, then parses what both methods share.

    MethodError invalidArguments for an unknown, ill-typed or missing argument, and as parse_filter and parse_sort.
    """
    check_arguments(arguments, {**kind.query_arguments, **known}, required)
    condition, filter_local = parse_filter(kind, arguments.get("filter"))
    sort, sort_local = parse_sort(kind, arguments.get("sort"))
    return Asked(
        condition,
        sort,
        kind.collapses(arguments),
        filter_local and sort_local,
        kind.arranges(arguments),
        bool(arguments.get("calculateTotal", False)),
    )


def window(ids: list[str], query: Query) -> QueryResult:
    """Cuts a whole result as ``query`` says: position, or anchor and its offset, then limit. RFC 8620 section 5.5.

    KeyError with the anchor when it is not in ``ids``.
    """
    start = query.position
    if query.anchor is not None:
        try:
            start = max(0, ids.index(query.anchor) + query.anchor_offset)
        except ValueError:
            raise KeyError(query.anchor) from None
    elif start < 0:
        start = max(0, len(ids) + start)
    end = None if query.limit is None else start + query.limit
    return QueryResult(ids[start:end], start, len(ids) if query.total else None)


def _run(kind: DataType, ctx: Context, reader: Reader, arguments: Record, asked: Asked, limit: int) -> QueryResult:
    query = Query(
        asked.condition,
        asked.sort,
        asked.collapse,
        arguments.get("position", 0),
        arguments.get("anchor"),
        # RFC 8620 section 5.5: an anchorOffset without an anchor is ignored, as is a position with one.
        arguments.get("anchorOffset", 0),
        limit,
        asked.total,
    )
    try:
        if not asked.arranges:
            return reader.query(kind.name, query)
        whole = reader.query(kind.name, Query(asked.condition, asked.sort, asked.collapse)).ids
        return window(kind.arrange(ctx, reader, whole, arguments), query)
    except KeyError as error:
        if query.anchor is None or error.args != (query.anchor,):
            raise
        raise MethodError("anchorNotFound", f"The anchor {shown(query.anchor)} is not in the result.") from None


def _query(kind: DataType, ctx: Context, arguments: Record) -> Record:
    asked = parse_common(kind, arguments, _QUERY)
    most, wanted = ctx.limits.maxQueryResults, arguments.get("limit")
    limit = most if wanted is None else min(wanted, most)
    with ctx.store.read(account_id(arguments)) as reader:
        # RFC 8620 section 5.5: the queryState may change although the result did not; it is the state of the type.
        state = state_text(reader, kind.name)
        result = _run(kind, ctx, reader, arguments, asked, limit)
    answer: Record = {
        "accountId": account_id(arguments),
        "queryState": state,
        "canCalculateChanges": asked.calculable and "queryChanges" in kind.methods,
        "position": result.position,
        "ids": result.ids,
    }
    if asked.total:
        answer["total"] = result.total
    # RFC 8620 section 5.5: limit is answered only when the server set it or used another than was asked for.
    if limit != wanted:
        answer["limit"] = limit
    return answer


def query_method(kind: DataType) -> Method:
    """Foo/query of a declared type. RFC 8620 section 5.5."""
    return Method(f"{kind.name}/query", kind.capability, lambda ctx, arguments: _query(kind, ctx, arguments))
