"""Date and UTCDate (RFC 8620 section 1.4): RFC 3339 timestamps in one normal form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

# RFC 8620 section 1.4: letters are upper case, and a fraction of zero is left out.
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(?=\d*[1-9])(\d{1,32}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_date(value: str) -> datetime:
    """The moment that a Date names, with its offset; a fraction is cut after microseconds.

    A leap second counts as the first second of the next minute. ValueError, with a sentence, when ``value`` is no Date.
    """
    found = _DATE.fullmatch(value)
    if found is None:
        raise ValueError(f"{value[:64]!r} is no date like 2014-10-30T14:12:00+08:00")
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    fraction, sign, offset_hours, offset_minutes = found.group(7, 8, 9, 10)
    zone = UTC
    if sign is not None:
        if offset_hours > "23" or offset_minutes > "59":
            raise ValueError(f"{value!r} has an offset that does not exist")
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
        zone = timezone(-offset if sign == "-" else offset)
    microsecond = 0 if fraction is None else int(fraction[:6].ljust(6, "0"))
    # RFC 3339 section 5.6: time-second is 60 when a leap second is named.
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, microsecond, zone)
        return moment + timedelta(seconds=1) if leap else moment
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} names a day or a time that does not exist") from None


def parse_utc_date(value: str) -> datetime:
    """As ``parse_date``, but ``value`` must be a UTCDate: its offset is "Z"."""
    if value[-1:] != "Z":
        raise ValueError(f"{value[:64]!r} is no UTC date like 2014-10-30T06:12:00Z")
    return parse_date(value)


def is_date(value: object) -> bool:
    """Whether ``value`` is a Date."""
    if not isinstance(value, str):
        return False
    try:
        parse_date(value)
    except ValueError:
        return False
    return True


def is_utc_date(value: object) -> bool:
    """Whether ``value`` is a UTCDate."""
    return isinstance(value, str) and value[-1:] == "Z" and is_date(value)


def format_date(moment: datetime) -> str:
    """The Date of an aware datetime, keeping its offset (which must be whole minutes); ValueError when it has none."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a datetime without an offset is no moment")
    local = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T"
    local += f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    if moment.microsecond:
        local += f".{moment.microsecond:06d}".rstrip("0")
    if not offset:
        return local + "Z"
    minutes = int(offset.total_seconds()) // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{local}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def format_utc_date(moment: datetime) -> str:
    """The UTCDate of an aware datetime; a fraction only when it is not zero. ValueError when it has no offset, or when
    it lies outside of the years 1 to 9999 in UTC."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without an offset is no moment")
    try:
        return format_date(moment.astimezone(UTC))
    except OverflowError:
        raise ValueError("the moment lies outside of the years 1 to 9999") from None


def to_milliseconds(value: str) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z of a Date or UTCDate, rounded down; negative before.

    Dates order as these numbers do. ValueError when ``value`` is no Date.
    """
    # The difference of two aware datetimes never overflows, unlike their conversion to UTC.
    return (parse_date(value) - _EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> str:
    """The UTCDate of a number of milliseconds since 1970-01-01T00:00:00Z; ValueError outside of the years 1 to 9999."""
    try:
        return format_date(_EPOCH + milliseconds * _MILLISECOND)
    except OverflowError:
        raise ValueError(f"{milliseconds} ms lies outside of the years 1 to 9999") from None
