from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from guarding import within
from hypothesis import given
from hypothesis import strategies as st
from smallmail import ACCOUNT, World

from flaskmail.datatypes.mail import bodies, snippet
from flaskmail.datatypes.mail.email import Email
from flaskmail.datatypes.mail.snippet import (
    MAX_PREVIEW,
    SEARCH_SNIPPET_GET,
    mark_preview,
    mark_subject,
    wanted_terms,
)
from flaskmail.errors import MethodError
from flaskmail.jmap.context import Context, Limits
from flaskmail.jmap.storage import Reader, Record
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
    within(2.5, lambda: mark_preview(body, terms("foo bar ba* 'q r s'")))


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


BODIES = {"Lunch": "The conference room is free.", "Re: Room": "No.", "Dinner": "Nothing."}


@pytest.fixture
def mail(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, list[str]]:
    """Three Emails whose bodies are those of BODIES."""

    def body_text(ctx: Context, reader: Reader, record: Record) -> str:
        return BODIES[record["subject"]]

    monkeypatch.setattr(bodies, "body_text", body_text, raising=False)
    inbox = world.role("inbox")
    return world, [world.email(inbox, subject=subject) for subject in BODIES]


def get(world: World, limits: Limits | None = None, **arguments: object) -> dict[str, Any]:
    world.ctx.limits = limits or Limits()
    answer = SEARCH_SNIPPET_GET.call(world.ctx, {"accountId": ACCOUNT, **arguments})
    assert isinstance(answer, dict)
    return answer


def test_subject_and_preview_tell_where_the_words_were_found(mail: tuple[World, list[str]]) -> None:
    world, ids = mail
    answer = get(world, emailIds=ids, filter={"text": "room"})
    assert answer == {
        "accountId": ACCOUNT,
        "list": [
            {"emailId": ids[0], "subject": None, "preview": "The conference <mark>room</mark> is free."},
            {"emailId": ids[1], "subject": "Re: <mark>Room</mark>", "preview": None},
            {"emailId": ids[2], "subject": None, "preview": None},
        ],
        "notFound": None,
    }


def test_a_search_in_one_place_marks_only_there(mail: tuple[World, list[str]]) -> None:
    world, ids = mail
    listed = get(world, emailIds=ids, filter={"subject": "room"})["list"]
    assert [snippet["preview"] for snippet in listed] == [None] * 3
    assert listed[1]["subject"] == "Re: <mark>Room</mark>"
    listed = get(world, emailIds=ids, filter={"body": "room"})["list"]
    assert [snippet["subject"] for snippet in listed] == [None] * 3
    assert listed[0]["preview"] is not None


def test_ids_of_no_email_are_not_found(mail: tuple[World, list[str]]) -> None:
    world, ids = mail
    answer = get(world, emailIds=["nowhere", ids[0], ids[0]], filter=None)
    assert [snippet["emailId"] for snippet in answer["list"]] == [ids[0]]
    assert answer["notFound"] == ["nowhere"]


@pytest.mark.parametrize(
    ("arguments", "type"),
    [
        ({"filter": None}, "invalidArguments"),
        ({"emailIds": None, "filter": None}, "invalidArguments"),
        ({"emailIds": [5], "filter": None}, "invalidArguments"),
        ({"emailIds": [], "filter": 5}, "invalidArguments"),
        ({"emailIds": [], "filter": {"text": 5}}, "invalidArguments"),
        ({"emailIds": [], "filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"emailIds": [], "filter": {"nonsense": 5}}, "unsupportedFilter"),
        ({"emailIds": [], "more": 1}, "invalidArguments"),
        ({"emailIds": ["a", "b", "c"], "filter": None}, "requestTooLarge"),
    ],
)
def test_what_is_wrong_with_the_call(world: World, arguments: dict[str, Any], type: str) -> None:
    with pytest.raises(MethodError) as caught:
        get(world, Limits(maxSnippets=2), **arguments)
    assert caught.value.type == type


def test_a_call_looks_through_so_much_text_and_no_more(
    mail: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, ids = mail
    monkeypatch.setattr(snippet, "MAX_TEXTS", len(BODIES["Lunch"]))
    listed = get(world, emailIds=ids, filter={"text": "room nothing"})["list"]
    assert [one["preview"] is not None for one in listed] == [True, False, False]


def test_a_call_parses_so_many_octets_and_no_more(
    mail: tuple[World, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = mail
    monkeypatch.setattr(snippet, "MAX_OCTETS", 100)
    ids = [world.email(world.role("inbox"), subject="Lunch", size=60) for _ in range(3)]
    listed = get(world, emailIds=ids, filter={"text": "room"})["list"]
    assert [one["preview"] is not None for one in listed] == [True, True, False]


def test_the_body_of_a_real_email_is_found(tmp_path: Path) -> None:
    world = World(path=tmp_path, email=Email())
    create = {
        "mailboxIds": {world.role("inbox"): True},
        "subject": "Müsli & more",
        "bodyStructure": {"type": "text/html", "partId": "1"},
        "bodyValues": {"1": {"value": "<style>müsli{}</style><p>Today: <b>Müsli</b> &lt;3</p>"}},
    }
    answer = world.call("Email/set", create={"k": create})
    assert answer["notCreated"] is None
    id = answer["created"]["k"]["id"]
    assert world.call("Email/query", filter={"text": "musli"})["ids"] == [id]
    assert world.counts(world.role("inbox")) == (1, 1, 1, 1)
    assert world.sound()
    listed = get(world, emailIds=[id], filter={"text": "musli"})["list"]
    subject, preview = "<mark>Müsli</mark> &amp; more", "Today: <mark>Müsli</mark> &lt;3"
    assert listed == [{"emailId": id, "subject": subject, "preview": preview}]
    world.store.close()
