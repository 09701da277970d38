"""The date-time of RFC 5322 section 3.3, with the obsolete forms of section 4.3, to the Date of RFC 8620 section 1.4."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from flaskmail.formats.mime import params

MAX_LENGTH: Final = 200
"""Characters of a date that are read, comments removed."""

_MONTHS: Final = {
    month: number
    for number, month in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}

# RFC 5322 section 4.3.
_ZONES: Final = {"ut": 0, "gmt": 0, "utc": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6}
_PACIFIC: Final = {"pst": -8, "pdt": -7}

_TIME = r"(\d{1,2})\s*+[:.]\s*+(\d{1,2})(?:\s*+[:.]\s*+(\d{1,2})(?:[.,]\d{1,9})?)?"
_DATE_TIME = re.compile(
    rf"\s*+(?:[a-z]{{2,20}}+\.?\s*+,?\s*+)?(\d{{1,2}})[\s-]*+([a-z]{{3}})[a-z]{{0,6}}+\.?[\s,-]*+(\d{{2,4}})(?!\d)[\s,]*+{_TIME}\s*+"
    r"(?:([+-])\s?(\d{2}):?(\d{2})(?!\d)|([a-z]{1,5})(?![a-z]))?",
    re.I,
)
# What ctime() writes; old programs put it into Date fields.
_CTIME = re.compile(
    rf"\s*+[a-z]{{3}},?\s++([a-z]{{3}})\s++(\d{{1,2}})\s++{_TIME}\s++(?:([a-z]{{1,5}})\s++)?(\d{{4}})(?!\d)", re.I
)


def parse(text: str) -> datetime | None:
    """The moment that ``text`` (unfolded) names, with the offset it was written with; None when it is no date-time.

    Two- and three-digit years are read as RFC 5322 section 4.3 says; zone names that it does not define, and no zone at all,
    count as -0000, hence UTC. A leap second becomes second 59. What follows the date-time is ignored.
    """
    if "(" in text:
        text = params.without_comments(text[: 10 * MAX_LENGTH])
    text = text[:MAX_LENGTH]
    if found := _DATE_TIME.match(text):
        day, month, year, hour, minute, second, sign, hours, minutes, zone = found.groups()
    elif found := _CTIME.match(text):
        month, day, hour, minute, second, zone, year = found.groups()
        sign = hours = minutes = None
    else:
        return None
    number = _MONTHS.get(month.lower())
    if number is None:
        return None
    full = int(year)
    if len(year) == 2:
        full += 2000 if full < 50 else 1900
    elif len(year) == 3:
        full += 1900
    try:
        return datetime(
            full,
            number,
            int(day),
            int(hour),
            int(minute),
            min(int(second or 0), 59),
            tzinfo=_zone(sign, hours, minutes, zone),
        )
    except ValueError:
        return None


def rfc3339(moment: datetime) -> str:
    """``moment`` as a Date of RFC 8620 section 1.4: the offset as given, "Z" for zero, no fraction."""
    text = moment.replace(microsecond=0).isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _zone(sign: str | None, hours: str | None, minutes: str | None, name: str | None) -> timezone:
    if sign is not None and hours is not None and minutes is not None:
        offset = int(hours) * 60 + int(minutes)
        if int(hours) > 23 or int(minutes) > 59:
            return UTC
        return timezone(timedelta(minutes=-offset if sign == "-" else offset)) if offset else UTC
    if name:
        known = _ZONES.get(name.lower(), _PACIFIC.get(name.lower(), 0))
        return timezone(timedelta(hours=known)) if known else UTC
    return UTC
