from __future__ import annotations

from typing import Any

import pytest

from flaskmail.values import checks

DATE = "2014-10-30T14:12:00+08:00"
UTC_DATE = "2014-10-30T06:12:00Z"

RIGHT: list[tuple[checks.Check, Any]] = [
    (checks.anything, {"a": [None]}),
    (checks.text, ""),
    (checks.boolean, False),
    (checks.integer, -(2**53) + 1),
    (checks.unsigned, 2**53 - 1),
    (checks.unsigned, 0),
    (checks.number, 1.5),
    (checks.number, -1),
    (checks.identifier, "a-1"),
    (checks.date, DATE),
    (checks.utc_date, UTC_DATE),
    (checks.true, True),
    (checks.optional(checks.text), None),
    (checks.optional(checks.text), "a"),
    (checks.list_of(checks.integer), []),
    (checks.list_of(checks.integer), [1, 2]),
    (checks.map_of(checks.identifier, checks.text), {"a": "b"}),
    (checks.id_set, {"a": True}),
    (checks.one_of("a", 1, None), None),
    (checks.one_of("a", 1, None), 1),
    (checks.object_of({"a": checks.text}, {"b": checks.text}), {"a": ""}),
    (checks.object_of({"a": checks.text}, open=True), {"a": "", "z": 1}),
]
WRONG: list[tuple[checks.Check, Any, str]] = [
    (checks.text, 1, "text"),
    (checks.boolean, 1, "true or false"),
    (checks.boolean, None, "true or false"),
    (checks.integer, True, "whole number"),
    (checks.integer, 1.0, "whole number"),
    (checks.integer, 2**53, "whole number"),
    (checks.unsigned, -1, "from 0"),
    (checks.unsigned, True, "from 0"),
    (checks.unsigned, "1", "from 0"),
    (checks.number, True, "a number"),
    (checks.identifier, "", "an id"),
    (checks.date, UTC_DATE[:-1], "a date"),
    (checks.utc_date, DATE, "a UTC date"),
    (checks.true, 1, "true"),
    (checks.optional(checks.text), 1, "or null"),
    (checks.list_of(checks.integer), {}, "an array"),
    (checks.list_of(checks.integer), [1, "2"], "item 1"),
    (checks.map_of(checks.identifier, checks.text), [], "an object"),
    (checks.map_of(checks.identifier, checks.text), {" ": "b"}, 'key " "'),
    (checks.map_of(checks.identifier, checks.text), {"a": 1}, 'under "a"'),
    (checks.id_set, {"a": False}, "must be true"),
    (checks.one_of("a", 1, None), True, 'one of "a", 1, null'),
    (checks.object_of({"a": checks.text}), {}, 'must have a member "a"'),
    (checks.object_of({"a": checks.text}), {"a": "", "z": 1}, 'unknown member "z"'),
    (checks.object_of({"a": checks.text}), {"a": 1}, 'member "a" that must be text'),
    (checks.object_of(), [], "an object"),
]


@pytest.mark.parametrize(("check", "value"), RIGHT)
def test_right_values(check: checks.Check, value: Any) -> None:
    assert check(value) is None


@pytest.mark.parametrize(("check", "value", "told"), WRONG)
def test_wrong_values_are_told_of(check: checks.Check, value: Any, told: str) -> None:
    assert told in (check(value) or "")


def test_sentences_stay_short_and_printable() -> None:
    assert len(checks.id_set({"é\n" * 10_000: True}) or "") < 1000
    assert checks.shown("a\x1b\n\u2028") == '"a\\x1b\\n\\u2028"'
    assert checks.shown({"a": 1}) == "an object"
    assert checks.listed([str(n) for n in range(102)]).endswith('"99" and 2 more')
