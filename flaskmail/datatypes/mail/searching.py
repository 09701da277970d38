"""Filters and sort terms of Email/query (RFC 8621 sections 4.4.1 and 4.4.2), and the columns that they read.

The declaration of Email takes ``EMAIL_FILTERS``, ``EMAIL_SORTS`` and ``SEARCH_COLUMNS``, and gives its properties the index
functions of ``INDEXED``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from flaskmail.datatypes.mail.threading import base_subject
from flaskmail.jmap.conditions import (
    Compare,
    Condition,
    HasMember,
    HasOtherMember,
    InGroup,
    Matches,
    Not,
    Scalar,
    Scan,
    Sort,
    SortBy,
    SortByMember,
)
from flaskmail.jmap.datatype import Check, Filter, SortTerm
from flaskmail.jmap.storage import Json
from flaskmail.values import collations
from flaskmail.values.checks import boolean, identifier, list_of, text, unsigned
from flaskmail.values.dates import is_date, to_milliseconds
from flaskmail.values.searching import MAX_QUERY

SEARCH_COLUMNS = ("from", "to", "cc", "bcc", "subject", "body", "attachment")
"""Columns of Email's full-text index: names and addresses, the subject, the text of all text parts, names of attachments."""

MAX_COLUMN = 250
"""Characters of a name or an address that a sort compares."""

# RFC 8621 section 4.1.1: 1 to 255 of %x21-%x7e without ( ) { ] % * " \.
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}")
# RFC 5322 section 2.2: printable ASCII without the colon.
_FIELD_NAME = re.compile(r"[!-9;-~]{1,998}")
# JavaScript's toISOString() writes a fraction of zero, which RFC 8620 section 1.4 leaves out.
_ZERO_FRACTION = re.compile(r"\.0{1,32}(?=(?:Z|[+-]\d\d:\d\d)\Z)")


# ---- checks


def keyword(value: Json) -> str | None:
    """A keyword. RFC 8621 section 4.1.1."""
    if isinstance(value, str) and _KEYWORD.fullmatch(value):
        return None
    return 'must be a keyword (1 to 255 of the visible ASCII characters without ( ) { ] % * " and \\)'


def without_zero_fraction(value: Json) -> Json:
    """A date without a fraction of zero (RFC 8620 section 1.4); any other value as it is."""
    return _ZERO_FRACTION.sub("", value) if isinstance(value, str) else value


def moment(value: Json) -> str | None:
    """A UTCDate, of which the fraction may be zero."""
    if isinstance(value, str) and value[-1:] == "Z" and is_date(without_zero_fraction(value)):
        return None
    return "must be a UTC date like 2014-10-30T06:12:00Z"


def header_test(value: Json) -> str | None:
    """``[name]`` or ``[name, text]``. RFC 8621 section 4.4.1."""
    if not (isinstance(value, list) and len(value) in (1, 2) and all(isinstance(item, str) for item in value)):
        return "must be an array of a header field's name and, if wanted, a text to find in it"
    if _FIELD_NAME.fullmatch(value[0]) is None:
        return "must begin with the name of a header field"
    return "has a text that is too long" if len(value[-1]) > MAX_QUERY else None


# ---- columns


def address_column(addresses: Json) -> Scalar:
    """What ``from`` and ``to`` are sorted by: the first address's name, else its email, else "", ``MAX_COLUMN`` characters of it.
    RFC 8621 section 4.4.2."""
    if not addresses:
        return ""
    first = addresses[0]
    return str(first.get("name") or first.get("email") or "")[:MAX_COLUMN]


def subject_column(subject: Json) -> Scalar:
    """What ``subject`` is sorted by: the base subject of RFC 5256 section 2.1. RFC 8621 section 4.4.2."""
    return base_subject(subject)


def date_column(date: Json) -> Scalar:
    """What dates are compared by: milliseconds since 1970, None when there is no date."""
    return None if date is None else to_milliseconds(date)


INDEXED: Mapping[str, Callable[[Json], Scalar] | bool] = {
    "threadId": True,
    "size": True,
    "hasAttachment": True,
    "receivedAt": date_column,
    "sentAt": date_column,
    "from": address_column,
    "to": address_column,
    "subject": subject_column,
}
"""``Prop.indexed`` of those properties of Email that filters and sorts read."""


# ---- filters


def _text_in(*columns: str) -> Filter:
    return Filter(text, lambda value: Matches(columns, value))


def _received(op: Literal["<", ">="]) -> Filter:
    def build(value: Json) -> Condition:
        return Compare("receivedAt", op, to_milliseconds(without_zero_fraction(value)))

    return Filter(moment, build)


def _has(value: Json) -> HasMember:
    return HasMember("keywords", value.lower())


EMAIL_FILTERS: Mapping[str, Filter] = {
    "inMailbox": Filter(identifier, lambda value: HasMember("mailboxIds", value)),
    "inMailboxOtherThan": Filter(list_of(identifier), lambda value: HasOtherMember("mailboxIds", frozenset(value))),
    "before": _received("<"),
    "after": _received(">="),
    "minSize": Filter(unsigned, lambda value: Compare("size", ">=", value)),
    "maxSize": Filter(unsigned, lambda value: Compare("size", "<", value)),
    "allInThreadHaveKeyword": Filter(keyword, lambda value: InGroup("all", _has(value))),
    "someInThreadHaveKeyword": Filter(keyword, lambda value: InGroup("some", _has(value))),
    "noneInThreadHaveKeyword": Filter(keyword, lambda value: Not(InGroup("some", _has(value)))),
    "hasKeyword": Filter(keyword, _has),
    "notKeyword": Filter(keyword, lambda value: Not(_has(value))),
    "hasAttachment": Filter(boolean, lambda value: Compare("hasAttachment", "=", value)),
    "text": _text_in(*SEARCH_COLUMNS),
    "from": _text_in("from"),
    "to": _text_in("to"),
    "cc": _text_in("cc"),
    "bcc": _text_in("bcc"),
    "subject": _text_in("subject"),
    "body": _text_in("body", "attachment"),
    "header": Filter(header_test, lambda value: Scan("header", tuple(value))),
}
"""The FilterCondition of Email. ``Scan("header", (name,))`` or ``(name, text)`` is answered by ``Email.scan``."""


def header_matches(fields: Iterable[tuple[str, str]], args: tuple[Scalar, ...]) -> bool:
    """Whether one of the header fields, (name, decoded value), passes the ``header`` filter with these arguments: the name
    without case; the text, if given, anywhere in the value under i;unicode-casemap."""
    name = str(args[0]).lower()
    wanted = collations.unicode_casemap(str(args[1])) if len(args) > 1 else None
    return any(
        field.lower() == name and (wanted is None or wanted in collations.unicode_casemap(value))
        for field, value in fields
    )


# ---- sorts


def _by(column: str) -> SortTerm:
    return SortTerm(lambda comparator, ascending, collation: SortBy(column, ascending))


def _by_text(column: str) -> SortTerm:
    def build(comparator: Mapping[str, Json], ascending: bool, collation: str | None) -> Sort:
        return SortBy(column, ascending, collation or collations.DEFAULT)

    return SortTerm(build, text=True)


def _by_keyword(quantifier: Literal["some", "all"] | None) -> SortTerm:
    def build(comparator: Mapping[str, Json], ascending: bool, collation: str | None) -> Sort:
        return SortByMember("keywords", comparator["keyword"].lower(), quantifier, ascending)

    return SortTerm(build, arguments={"keyword": keyword})


EMAIL_SORTS: Mapping[str, SortTerm] = {
    "receivedAt": _by("receivedAt"),
    "size": _by("size"),
    "from": _by_text("from"),
    "to": _by_text("to"),
    "subject": _by_text("subject"),
    "sentAt": _by("sentAt"),
    "hasKeyword": _by_keyword(None),
    "allInThreadHaveKeyword": _by_keyword("all"),
    "someInThreadHaveKeyword": _by_keyword("some"),
}
"""The properties that a Comparator of Email/query may name."""

QUERY_CHECKS: Mapping[str, Check] = {"collapseThreads": boolean}
"""Further arguments of Email/query and /queryChanges. RFC 8621 sections 4.4 and 4.5."""
