from __future__ import annotations

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.datatypes.mail.snippet import MAX_PREVIEW, mark_preview, mark_subject, wanted_terms
from flaskmail.values.searching import Term, parse_search


def terms(query: str) -> tuple[Term, ...]:
    return parse_search(query)


@pytest.mark.parametrize(
    ("subject", "query", "marked"),
    [
        ("The Foo competition", "foo", "The <mark>Foo</mark> competition"),
        ("The Foosball", "foo", None),
        ("The Foosball", "foo*", "The <mark>Foosball</mark>"),
        ("a <b> & foo", "foo", "a &lt;b&gt; &amp; <mark>foo</mark>"),
        ("Ann & Bob", "ann bob", "<mark>Ann</mark> &amp; <mark>Bob</mark>"),
        ("one two three", '"two three"', "one <mark>two three</mark>"),
        ("three two", '"two three"', None),
        ("Größe, ZOË", "größe zoe", "<mark>Größe</mark>, <mark>ZOË</mark>"),
        ("x<y>z", "y", "x&lt;<mark>y</mark>&gt;z"),
        ("one two three", '"one two" "two three"', "<mark>one two three</mark>"),
        ("nothing", "", None),
        ("", "foo", None),
        (None, "foo", None),
    ],
)
def test_subjects(subject: str | None, query: str, marked: str | None) -> None:
    assert mark_subject(subject, terms(query)) == marked


def test_a_short_body_is_shown_whole() -> None:
    assert mark_preview("We meet\n\n in the  room", terms("room")) == "We meet in the <mark>room</mark>"


def test_of_a_long_body_the_part_around_the_first_match_is_shown() -> None:
    body = "Lorem ipsum dolor. " * 100 + "Here is the xylophone <b>. " + "Sit amet. " * 100 + "xylophone"
    preview = mark_preview(body, terms("xylophone"))
    assert preview is not None
    assert preview.startswith("…")
    assert preview.endswith("…")
    assert "Here is the <mark>xylophone</mark> &lt;b&gt;. Sit amet." in preview
    assert preview.count("<mark>") == 1


def test_no_match_no_preview() -> None:
    assert mark_preview("nothing here", terms("xylophone")) is None
    assert mark_preview("", terms("xylophone")) is None
    assert mark_preview("nothing here", ()) is None


def test_a_match_longer_than_the_preview_is_cut() -> None:
    preview = mark_preview("x" * 1000, terms("x*"))
    assert preview is not None
    assert len(preview) <= MAX_PREVIEW
    assert re.fullmatch("<mark>x+</mark>…", preview)


def test_a_match_far_behind_much_space_is_found() -> None:
    assert mark_preview("a" + " " * 5000 + "foo", terms("foo")) == "…<mark>foo</mark>"


words = st.lists(st.sampled_from(["foo", "bar", "<&>", "é", "\n", "x" * 40, "𝒳", "a-b", "  "]), max_size=120).map(
    " ".join
)


@given(words, st.sampled_from(["foo", "foo bar", '"foo bar"', "x*", "é foo", "b"]))
def test_a_preview_is_small_and_sound(body: str, query: str) -> None:
    preview = mark_preview(body, terms(query))
    if preview is None:
        return
    assert len(preview.encode()) <= MAX_PREVIEW
    parts = re.split(r"(<mark>.*?</mark>)", preview)
    assert len(parts) > 1
    shown = ""
    for part in parts:
        inner = part.removeprefix("<mark>").removesuffix("</mark>")
        assert not set(inner) & {"<", ">"}
        assert re.search(r"&(?!(amp|lt|gt);)", inner) is None
        shown += html.unescape(inner)
    assert shown.removeprefix("…").removesuffix("…").strip() in re.sub(r"\s+", " ", body)


@pytest.mark.parametrize("body", ["foo " * 500_000, "é" * 2_000_000, "é " * 1_000_000 + "foo", " " * 2_000_000 + "foo"])
def test_a_hostile_body_is_cheap(body: str) -> None:
    start = time.process_time()
    mark_preview(body, terms("foo bar ba* 'q r s'"))
    assert time.process_time() - start < 2.5


def test_what_a_filter_looks_for() -> None:
    wanted = wanted_terms(
        {
            "operator": "AND",
            "conditions": [
                {"text": "one two", "inMailbox": "m"},
                {"operator": "OR", "conditions": [{"subject": "three"}, {"body": '"four five"'}]},
                {"operator": "NOT", "conditions": [{"text": "six"}]},
                {"from": "seven"},
                {"text": "one"},
            ],
        }
    )
    assert [" ".join(term.words) for term in wanted.subject] == ["one", "two", "three"]
    assert [" ".join(term.words) for term in wanted.body] == ["one", "two", "four five"]


@pytest.mark.parametrize("given_filter", [None, {}, {"hasKeyword": "$seen"}, {"text": "..."}])
def test_a_filter_without_words_looks_for_nothing(given_filter: object) -> None:
    wanted = wanted_terms(given_filter)
    assert (wanted.subject, wanted.body) == ([], [])
