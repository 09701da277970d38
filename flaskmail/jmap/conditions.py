"""Filters and sorts as plain values that every store understands.

Methods turn the wire's FilterOperator and FilterCondition objects (RFC 8620 section 5.5) into a tree of
these; a store turns the tree into SQL or walks it. Nothing here knows a data type or a database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Compare:
    """The record's column ``column`` (an indexed property) stands in relation ``op`` to ``value``.

    To "=" and "!=" None is a value like others (an absent one is != 5); any other comparison with None or an absent value
    is false, and its Not true.
    Text compares as in i;octet; see ``Contains`` for people's text.
    """

    column: str
    op: Literal["=", "!=", "<", "<=", ">", ">="]
    value: Scalar


@dataclass(frozen=True, slots=True)
class Contains:
    """The text column contains ``value`` as a substring under i;unicode-casemap (RFC 5051)."""

    column: str
    value: str


@dataclass(frozen=True, slots=True)
class HasMember:
    """The map property ``prop`` has the key ``member``: a mailbox of ``mailboxIds``, a keyword of ``keywords``."""

    prop: str
    member: str


@dataclass(frozen=True, slots=True)
class HasOtherMember:
    """The map property ``prop`` has at least one key that is not in ``members``."""

    prop: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class InGroup:
    """``condition`` (a HasMember) holds for some, or for all, records of this record's group.

    The group is the set of live records with the same value of ``DataType.group`` (a thread, for Email).
    """

    quantifier: Literal["some", "all"]
    condition: HasMember


@dataclass(frozen=True, slots=True)
class Matches:
    """Full text: every term of ``query`` is found in one of the search ``columns`` (empty: in any of them).

    ``query`` is what a person typed: words (all must match), "quoted phrases", word* for a prefix.
    Words are compared without case and without diacritics.
    """

    columns: tuple[str, ...]
    query: str


@dataclass(frozen=True, slots=True)
class Scan:
    """A test that no index answers: ``DataType.scan(reader, id, name, args)`` is asked for each candidate.

    A store asks it last, for the records that every other condition left over.
    """

    name: str
    args: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All hold; ``And(())`` holds for every record."""

    operands: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds; ``Or(())`` holds for none."""

    operands: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold. (RFC 8620's NOT, "none of the conditions match", is ``Not(Or(...))``.)"""

    operand: Condition


Condition = Compare | Contains | HasMember | HasOtherMember | InGroup | Matches | Scan | And | Or | Not

EVERYTHING = And(())


@dataclass(frozen=True, slots=True)
class SortBy:
    """Order by a column. ``collation`` names a registered collation (RFC 4790) for text, None for octets or numbers.

    Absent values come first when ascending.
    """

    column: str
    ascending: bool = True
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class SortByMember:
    """Order by whether ``HasMember(prop, member)`` holds (false first when ascending), for the record itself
    (``quantifier`` None) or for some or all of its group."""

    prop: str
    member: str
    quantifier: Literal["some", "all"] | None = None
    ascending: bool = True


Sort = SortBy | SortByMember


@dataclass(frozen=True, slots=True)
class Query:
    """One query over the records of a type.

    sort: ends, implicitly, in the store's record order (newest first if the first term is descending or there
    is none and the type is ordered; otherwise ascending), so that the order is total and stable.
    collapse: keep only the first record of each group, in result order (RFC 8621 section 4.4.3).
    position: index of the first wanted result, negative counts from the end; anchor: an id, then position is
    ignored and ``anchor_offset`` applies (RFC 8620 section 5.5). limit: None for all. total: count all results.
    """

    condition: Condition = EVERYTHING
    sort: tuple[Sort, ...] = field(default=())
    collapse: bool = False
    position: int = 0
    anchor: str | None = None
    anchor_offset: int = 0
    limit: int | None = None
    total: bool = False


@dataclass(frozen=True, slots=True)
class QueryResult:
    """ids: the wanted window; position: index of its first id in the whole result, or where it would begin if it is empty;
    total: the size of the whole result, or None when not asked for."""

    ids: list[str]
    position: int
    total: int | None
