from __future__ import annotations

import pytest
from guarding import within
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.formats.html import MAX_INPUT, to_text
from flaskmail.formats.preview import MAX_LENGTH, preview


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two", "one\ntwo"),
        ("<b>wor</b>ld", "world"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<td>1</td><td>2</td>", "1\n2"),
        ("a\n  b&nbsp;c", "a b c"),
        ("&lt;b&gt; &amp;amp; &eacute;&#233;&#x1F600; &#xD800; &bogus;", "<b> &amp; éé😀 \ufffd &bogus;"),
        ("&#99999999999999999999;", "\ufffd"),
        ("<head><title>t</title><style>p{}</style></head>x", "x"),
        ("a<script>if (1 < 2) '</p>'</SCRIPT >b", "a\nb"),
        ("a<!-- <p>no --> b<!---->c<!-->d", "a bcd"),
        ("a<!DOCTYPE x><?xml y?>b", "ab"),
        ("<a title=\"1 > 0\" href='x>y'>link</a>", "link"),
        ('<a title="Joe\'s > 1">link</a>', "link"),
        ('<a title="open>link</a> more', "link more"),
        ("1 < 2 <3", "1 < 2 <3"),
        ("a<div hidden>no<div>no</div>no</div>b", "a\nb"),
        ('a<span style="color:red; DISPLAY : none">no</span>b', "ab"),
        ('a<div style="overflow: hidden">yes</div>', "a\nyes"),
        ('a<i class="so hidden">yes</i>', "ayes"),
        ("a<p hidden>no<p>yes", "a\nyes"),
        ("a<span hidden>never closed", "anever closed"),
        ("<svg><text>no</text></svg>x<noscript>yes</noscript>", "x\nyes"),
        ("a<img alt=x>b", "a\nb"),
        ("a <unfinished", "a"),
        ("<o:p>a</o:p><o:p>b</o:p>", "ab"),
        ("", ""),
        ("plain", "plain"),
    ],
)
def test_text_of_html(html: str, text: str) -> None:
    assert to_text(html) == text


def test_length_is_limited() -> None:
    assert to_text("<p>" + "word " * 1000, 12) == "word word wo"
    assert to_text("x" * (MAX_INPUT + 10), MAX_INPUT * 2) == "x" * MAX_INPUT


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000 + "x",
        "<b>" * 600_000,
        "<a " + " ".join(f"a{n}=1" for n in range(100_000)) + ">x",
        "<" * 2_000_000,
        "<!--" * 500_000,
        "<!" * 1_000_000,
        "&" * 2_000_000,
        "&#" + "9" * 1_900_000,
        '<a "' * 500_000,
        '<a ">' * 400_000,
        "<a \"'>" * 300_000,
        "<p hidden>" * 200_000,
        "<div hidden>" * 160_000,
        "<script>" * 250_000,
        "<a hidden" + "='" * 900_000 + ">",
        "<a " + "display " * 240_000 + ">",
        '<a b="' + ">" * 1_900_000,
    ],
    ids=lambda html: html[:12],
)
def test_time_is_bounded(html: str) -> None:
    within(5, lambda: to_text(html))


@given(st.one_of(st.text(), st.lists(st.sampled_from([*"<>/!-\"'=& ;#x1p", "<p hidden>", "<script>"])).map("".join)))
def test_any_text_is_html(html: str) -> None:
    assert len(to_text(html, 50)) <= 50
    assert len(preview(html)) <= MAX_LENGTH


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello,\n\n  how are\tyou?\n", "Hello, how are you?"),
        ("On Monday, Joe wrote:\n> quoted\n> more\n\nMy answer\n", "My answer"),
        ("> only quoted\n", "> only quoted"),
        ("-----\nText\n====\n", "Text"),
        ("To do:\n1. this", "To do: 1. this"),
        ("soft\u00adhyphen\u200b\ufeff", "softhyphen"),
        ("", ""),
    ],
)
def test_preview(text: str, shown: str) -> None:
    assert preview(text) == shown


def test_preview_is_short() -> None:
    assert preview("x" * 1000) == "x" * MAX_LENGTH
    assert preview("word " * 100).endswith("word")
    assert MAX_LENGTH - 40 <= len(preview("word " * 100)) <= MAX_LENGTH
