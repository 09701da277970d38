from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.values import dates

RIGHT = [
    ("1970-01-01T00:00:00Z", 0),
    ("2014-10-30T06:12:00Z", 1414649520000),
    ("2014-10-30T14:12:00+08:00", 1414649520000),
    ("2014-10-29T22:42:00-07:30", 1414649520000),
    ("1969-12-31T23:59:59.999Z", -1),
    ("1970-01-01T00:00:00.001999Z", 1),
    ("2016-12-31T23:59:60Z", 1483228800000),
    ("2024-02-29T00:00:00-00:00", 1709164800000),
    ("9999-12-31T23:59:59-01:00", 253402304399000),
    ("0001-01-01T00:00:00+01:00", -62135600400000),
]
WRONG = [
    "",
    "2014-10-30",
    "2014-10-30T06:12Z",
    "2014-10-30t06:12:00Z",
    "2014-10-30T06:12:00z",
    "2014-10-30 06:12:00Z",
    "2014-10-30T06:12:00",
    "2014-10-30T06:12:00.000Z",
    "2014-10-30T06:12:00.Z",
    "2014-02-30T06:12:00Z",
    "2023-02-29T00:00:00Z",
    "2014-13-01T06:12:00Z",
    "2014-10-30T24:00:00Z",
    "2014-10-30T06:60:00Z",
    "2014-10-30T06:12:61Z",
    "2014-10-30T06:12:00+24:00",
    "2014-10-30T06:12:00+00:60",
    "2014-10-30T06:12:00+0800",
    "0000-01-01T00:00:00Z",
    "2014-10-30T06:12:00Z\n",
    "２０14-10-30T06:12:00Z",
    "2014-10-30T06:12:00." + "1" * 10_000 + "Z",
]


@pytest.mark.parametrize(("text", "milliseconds"), RIGHT)
def test_dates_are_moments(text: str, milliseconds: int) -> None:
    assert dates.is_date(text)
    assert dates.to_milliseconds(text) == milliseconds
    assert dates.is_utc_date(text) == text.endswith("Z")


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_date(text: str) -> None:
    assert not dates.is_date(text)
    assert not dates.is_utc_date(text)
    with pytest.raises(ValueError, match=r"date|day|offset"):
        dates.parse_date(text)


@pytest.mark.parametrize("value", [None, 3, True, ["2014-10-30T06:12:00Z"]])
def test_values_that_are_no_text_are_no_dates(value: object) -> None:
    assert not dates.is_date(value)
    assert not dates.is_utc_date(value)


def test_a_date_with_an_offset_is_no_utc_date() -> None:
    with pytest.raises(ValueError, match="no UTC date"):
        dates.parse_utc_date("2014-10-30T14:12:00+08:00")


def test_writing_dates() -> None:
    moment = datetime(2014, 10, 30, 14, 12, 0, 120000, timezone(timedelta(hours=-7, minutes=-30)))
    assert dates.format_date(moment) == "2014-10-30T14:12:00.12-07:30"
    assert dates.format_utc_date(moment) == "2014-10-30T21:42:00.12Z"
    for write in (dates.format_date, dates.format_utc_date):
        with pytest.raises(ValueError, match="without an offset"):
            write(datetime(2014, 10, 30))


def test_moments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        dates.from_milliseconds(10**18)
    with pytest.raises(ValueError, match="outside"):
        dates.format_utc_date(datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))))


@given(
    st.datetimes(
        timezones=st.timezones() | st.just(UTC), min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1)
    )
)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    text = dates.format_utc_date(moment)
    assert dates.is_utc_date(text)
    # Python never finds a time that a clock shows twice equal to one in another zone.
    assert dates.parse_utc_date(text) == moment.astimezone(UTC)


@given(st.integers(min_value=-62135596800000, max_value=253402300799999))
def test_milliseconds_round_trip(milliseconds: int) -> None:
    assert dates.to_milliseconds(dates.from_milliseconds(milliseconds)) == milliseconds
