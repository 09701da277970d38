"""Conditions and sorts -> SQL. Only declared names become part of a statement; every value is bound."""

from __future__ import annotations

from collections.abc import Sequence

from flaskmail.errors import StoreError
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
    Scalar,
    Scan,
    Sort,
    SortBy,
)
from flaskmail.store.sqlite.connections import collation_function
from flaskmail.store.sqlite.plan import COUNTER_BITS, MAX_SPILL, SEARCH_PREFIX, Plan
from flaskmail.values.collations import unicode_casemap
from flaskmail.values.dates import to_milliseconds
from flaskmail.values.searching import parse_search

TRUE, FALSE = "1", "0"
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}


def match_expression(columns: Sequence[str], query: str) -> str | None:
    """What a person typed as an FTS5 expression; "" when it asks for nothing, None when nothing can match.

    Words are quoted, so that no text is ever syntax. QueryTooLong as parse_search."""
    terms = []
    for term in parse_search(query):
        if not term.words:
            return None
        phrase = " ".join(word.replace('"', "") for word in term.words)
        terms.append(f'"{phrase}"*' if term.prefix else f'"{phrase}"')
    if not terms:
        return ""
    found = f"({' AND '.join(terms)})"
    return f"{{{' '.join(SEARCH_PREFIX + column for column in columns)}}} : {found}" if columns else found


def conjuncts(condition: Condition) -> list[Condition]:
    """The conditions that must all hold, with nested Ands taken apart."""
    found: list[Condition] = []
    waiting = [condition]
    while waiting:
        each = waiting.pop()
        if isinstance(each, And):
            waiting.extend(reversed(each.operands))
        else:
            found.append(each)
    return found


class Compiler:
    """Makes expressions over one candidate record. num: the SQL of its number; its row is ``r``.

    bindings: the values so far, ?1 first; uses_row: whether an expression reads more than the number; scans: the Scan
    conditions inside of expressions, in the order of the index that ``fm_scan`` is given."""

    def __init__(self, plan: Plan, num: str) -> None:
        self.plan, self.num = plan, num
        self.bindings: list[Scalar] = []
        self.uses_row = False
        self.scans: list[Scan] = []

    def bind(self, value: Scalar) -> str:
        """The placeholder of a value."""
        self.bindings.append(value)
        return f"?{len(self.bindings)}"

    def expression(self, condition: Condition) -> str:
        """An SQL expression that is 1 or 0, never NULL."""
        match condition:
            case And(operands):
                return joined([self.expression(each) for each in operands], "AND", TRUE)
            case Or(operands):
                return joined([self.expression(each) for each in operands], "OR", FALSE)
            case Not(operand):
                return f"NOT ({self.expression(operand)})"
            case Compare():
                return self._compare(condition)
            case Contains(column, value):
                return f"fm_contains({self._column(column)}, {self.bind(unicode_casemap(value))})"
            case HasMember(prop, member):
                return self._has(prop, member, self.num)
            case HasOtherMember(prop, members):
                return self._has_other(prop, members)
            case InGroup(quantifier, inner):
                return self._in_group(quantifier, inner.prop, inner.member)
            case Matches(columns, query):
                found = match_expression(columns, query)
                if not found:
                    return FALSE if found is None else TRUE
                return f"{self.num} IN (SELECT rowid FROM {self.plan.f} WHERE {self.plan.f} MATCH {self.bind(found)})"
            case Scan():
                self.uses_row = True
                self.scans.append(condition)
                return f"fm_scan({len(self.scans) - 1}, r.id)"

    def _column(self, name: str) -> str:
        self.uses_row = True
        try:
            return f"r.{self.plan.column[name]}"
        except KeyError:
            raise StoreError(f"{self.plan.name} has no indexed property {name!r}") from None

    def _compare(self, condition: Compare) -> str:
        column, op, value = self._column(condition.column), condition.op, condition.value
        if op not in _COMPARISONS:
            raise StoreError(f"there is no comparison {op!r}")
        if value is None:
            if op not in ("=", "!="):
                return FALSE
            return f"({column} IS {'NOT ' if op == '!=' else ''}NULL)"
        if op == "!=":
            return f"({column} IS NOT {self.bind(value)})"
        return f"({column} IS NOT NULL AND {column} {op} {self.bind(value)})"

    def _members(self, prop: str) -> str:
        try:
            return self.plan.m[prop]
        except KeyError:
            raise StoreError(f"{self.plan.name} has no members in {prop!r}") from None

    def _has(self, prop: str, member: str, num: str) -> str:
        return (
            f"EXISTS (SELECT 1 FROM {self._members(prop)} AS h WHERE h.member = {self.bind(member)} AND h.num = {num})"
        )

    def _has_other(self, prop: str, members: frozenset[str]) -> str:
        self._members(prop)
        self.uses_row = True
        segment = self.plan.segment_of[prop]
        json = f"(SELECT o.json FROM {self.plan.s[segment]} AS o WHERE o.num = r.num)" if segment else "r.json"
        among = ", ".join(self.bind(member) for member in sorted(members))
        path = self.bind('$."' + prop.replace('"', '\\"') + '"')
        return f"EXISTS (SELECT 1 FROM json_each({json}, {path}) AS e WHERE e.key NOT IN ({among}))"

    def _in_group(self, quantifier: str, prop: str, member: str) -> str:
        if self.plan.group_column is None:
            raise StoreError(f"{self.plan.name} has no groups")
        self.uses_row = True
        column = self.plan.group_column
        same = f"FROM {self.plan.r} AS g WHERE g.{column} = r.{column}"
        if quantifier == "some":
            held = f"EXISTS (SELECT 1 {same} AND {self._has(prop, member, 'g.num')})"
        else:
            held = f"NOT EXISTS (SELECT 1 {same} AND NOT {self._has(prop, member, 'g.num')})"
        # A record in no group stands for itself.
        return f"CASE WHEN r.{column} IS NULL THEN {self._has(prop, member, self.num)} ELSE {held} END"

    def sort_key(self, sort: Sort) -> str:
        """One term of ORDER BY. NULL is the smallest value to SQLite: absent comes first when ascending, as it should."""
        direction = "ASC" if sort.ascending else "DESC"
        if isinstance(sort, SortBy):
            column = self._column(sort.column)
            if sort.collation is not None:
                try:
                    column = f"{collation_function(sort.collation)}({column})"
                except KeyError:
                    raise StoreError(f"there is no collation {sort.collation!r}") from None
            return f"{column} {direction}"
        if sort.quantifier is None:
            return f"{self._has(sort.prop, sort.member, self.num)} {direction}"
        return f"{self._in_group(sort.quantifier, sort.prop, sort.member)} {direction}"

    def range_hints(self, condition: Condition) -> list[str]:
        """Bounds of the record number that follow from a comparison of the property that makes record order: they let a scan
        begin and end early, and never exclude what the condition itself would not."""
        if not isinstance(condition, Compare) or condition.column != self.plan.order or condition.value is None:
            return []
        milliseconds = _order_value(self.plan, condition.value)
        if milliseconds is None:
            return []
        hints = []
        if condition.op in (">", ">=", "="):
            hints.append(f"{self.num} >= {self.bind((milliseconds - 1) << COUNTER_BITS)}")
        if condition.op in ("<", "<=", "="):
            # A number may run ahead of its date, and a column may be coarser than milliseconds.
            hints.append(f"{self.num} < {self.bind((milliseconds + MAX_SPILL + 1001) << COUNTER_BITS)}")
        return hints


_SECOND = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z")


def _order_value(plan: Plan, value: Scalar) -> int | None:
    """Milliseconds of a value of the order column: text is a date; numbers are whatever unit the column counts in."""
    assert plan.order is not None
    if isinstance(value, str):
        try:
            return to_milliseconds(value) if plan.column_value(plan.order, _SECOND[0]) == _SECOND[0] else None
        except ValueError:
            return None
    zero, one = (plan.column_value(plan.order, date) for date in _SECOND)
    if not isinstance(value, int | float) or not isinstance(one, int | float) or zero != 0 or one not in (1, 1000):
        return None
    milliseconds = int(value * 1000 / one)
    return milliseconds if abs(milliseconds) < 1 << 47 else None


def joined(expressions: Sequence[str], word: str, empty: str) -> str:
    """Expressions under one operator, as a balanced tree: SQLite bounds the depth of a statement, not its length."""
    if not expressions:
        return empty
    if len(expressions) == 1:
        return expressions[0]
    middle = len(expressions) // 2
    left, right = joined(expressions[:middle], word, empty), joined(expressions[middle:], word, empty)
    return f"({left} {word} {right})"
