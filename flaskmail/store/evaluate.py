"""Conditions and sorts walked record by record: what they mean, in the plainest words.

Other stores answer the same questions with indexes and are tested against this.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    Scalar,
    Scan,
    Sort,
    SortBy,
)
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Json, Reader, Record
from flaskmail.values.collations import key, unicode_casemap
from flaskmail.values.searching import Token, found, parse_search

_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _rank(value: Scalar) -> tuple[int, Any]:
    """Absent first, then numbers (false 0, true 1), then text by octets."""
    if value is None:
        return (0, 0)
    return (2, value) if isinstance(value, str) else (1, value)


class Evaluation:
    """The records of one type, ready to be asked.

    records: the live ones by id, in record order; words: by id and search column.
    """

    def __init__(
        self,
        kind: DataType,
        reader: Reader,
        records: Mapping[str, Record],
        words: Mapping[str, Mapping[str, Sequence[Token]]],
    ) -> None:
        self._kind, self._reader, self._records, self._words = kind, reader, records, words
        self._groups: dict[Json, list[str]] = {}
        if kind.group is not None:
            for id, record in records.items():
                self._groups.setdefault(record.get(kind.group), []).append(id)

    def column(self, id: str, column: str) -> Scalar:
        """What an indexed property of the record is compared by; None when it is absent."""
        record = self._records[id]
        return self._kind.props[column].column(record[column]) if column in record else None

    def group(self, id: str) -> list[str]:
        """The ids of the record's group; of a record in no group, itself."""
        value = None if self._kind.group is None else self._records[id].get(self._kind.group)
        return [id] if value is None else self._groups[value]

    def holds(self, id: str, condition: Condition) -> bool:
        """Whether the condition holds for the record."""
        match condition:
            case And(operands):
                return all(self.holds(id, operand) for operand in operands)
            case Or(operands):
                return any(self.holds(id, operand) for operand in operands)
            case Not(operand):
                return not self.holds(id, operand)
            case Compare():
                return self._compares(id, condition)
            case Contains(column, value):
                text = self.column(id, column)
                return text is not None and unicode_casemap(value) in unicode_casemap(str(text))
            case HasMember(prop, member):
                return member in (self._records[id].get(prop) or {})
            case HasOtherMember(prop, members):
                return not set(self._records[id].get(prop) or {}) <= members
            case InGroup(quantifier, inner):
                answers = (self.holds(one, inner) for one in self.group(id))
                return any(answers) if quantifier == "some" else all(answers)
            case Matches():
                return self._matches(id, condition)
            case Scan(name, args):
                return self._kind.scan(self._reader, id, name, args)

    def _compares(self, id: str, condition: Compare) -> bool:
        mine, other = self.column(id, condition.column), condition.value
        if condition.op in ("=", "!="):
            return (_rank(mine) == _rank(other)) is (condition.op == "=")
        return mine is not None and other is not None and _RELATIONS[condition.op](_rank(mine), _rank(other))

    def _matches(self, id: str, condition: Matches) -> bool:
        words = self._words[id]
        columns = [words.get(column, ()) for column in condition.columns or self._kind.search]
        return all(any(found(term, column) for column in columns) for term in parse_search(condition.query))

    def sort_key(self, id: str, sort: Sort) -> Any:
        """What the sort term compares records by."""
        if isinstance(sort, SortBy):
            value = self.column(id, sort.column)
            if sort.collation is not None and isinstance(value, str):
                return (2, key(sort.collation)(value))
            return _rank(value)
        condition = HasMember(sort.prop, sort.member)
        return self.holds(id, InGroup(sort.quantifier, condition) if sort.quantifier else condition)

    def result(self, query: Query) -> list[str]:
        """The whole result of a query, before any window is cut from it."""
        ids = [id for id in self._records if self.holds(id, query.condition)]
        descending = not query.sort[0].ascending if query.sort else self._kind.order is not None
        if descending:
            ids.reverse()
        # Sorting is stable, also in reverse: the last term first, and record order is left within equals.
        for sort in reversed(query.sort):
            ids.sort(key=lambda id, sort=sort: self.sort_key(id, sort), reverse=not sort.ascending)  # type: ignore[misc]
        if not query.collapse:
            return ids
        seen: set[Json] = set()
        kept: list[str] = []
        for id in ids:
            # RFC 8621 section 4.4.3: only the first of each group stays.
            group = self.group(id)[0]
            if group not in seen:
                seen.add(group)
                kept.append(id)
        return kept
