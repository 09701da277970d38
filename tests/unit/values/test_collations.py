"""RFC 4790 sections 9.1 and 9.2, RFC 5051."""

from __future__ import annotations

import pytest
from guarding import within

from flaskmail.values.collations import COLLATIONS, DEFAULT, key


def ordered(name: str, texts: list[str]) -> list[str]:
    return sorted(texts, key=key(name))


def same(name: str, one: str, other: str) -> bool:
    return bool(key(name)(one) == key(name)(other))


def test_names() -> None:
    assert set(COLLATIONS) == {"i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"}
    assert DEFAULT in COLLATIONS
    for name in ("i;octet", "I;ASCII-CASEMAP", "", "default"):
        with pytest.raises(KeyError):
            key(name)


def test_ascii_casemap() -> None:
    name = "i;ascii-casemap"
    assert same(name, "Hello", "hELLO")
    assert not same(name, "é", "É")
    assert not same(name, "ﬁ", "FI")
    # Lower case becomes upper case: what lies between the two alphabets comes behind letters.
    assert ordered(name, ["_", "a", "B", "[", "1", "é", ""]) == ["", "1", "a", "B", "[", "_", "é"]


def test_octet_order_is_that_of_utf_8() -> None:
    texts = ["\uffff", "\U00010000", "z", "\x7f", "\x80"]
    for name in ("i;ascii-casemap", "i;unicode-casemap"):
        assert ordered(name, texts) == sorted(texts, key=lambda text: text.upper().encode())


def test_ascii_numeric() -> None:
    name = "i;ascii-numeric"
    assert ordered(name, ["x", "10", "9", "-1", "00", "9000000000000000000000"]) == [
        "00", "9", "10", "9000000000000000000000", "x", "-1",
    ]  # fmt: skip
    for one, other in [("0", "000"), ("010", "10 apples"), ("", "abc"), ("-1", "x"), ("٣", "x"), ("²", "")]:
        assert same(name, one, other)
    assert not same(name, "1", "x")
    assert not same(name, "0", "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hello", "HELLO"),
        ("é", "É"),
        ("é", "e\u0301"),
        ("ǆ", "Ǆ"),
        ("ǅ", "Ǆ"),
        ("ａ", "A"),
        ("ﬁ", "fi"),
        ("ς", "Σ"),
        ("я", "Я"),
        ("Å", "\u212b"),
        ("½", "1\u20442"),
        ("ﾊ", "ハ"),
        ("ᾳ", "ᾼ"),
    ],
)
def test_unicode_casemap_equates(one: str, other: str) -> None:
    if (one, other) == ("ﬁ", "fi"):
        # The ligature has no simple titlecase; it is decomposed afterwards, into small letters.
        assert key("i;unicode-casemap")(one) == "fi"
    else:
        assert same("i;unicode-casemap", one, other)


@pytest.mark.parametrize(("one", "other"), [("ß", "ss"), ("e", "é"), ("ı", "İ"), ("a", "b"), ("", " ")])
def test_unicode_casemap_keeps_apart(one: str, other: str) -> None:
    assert not same("i;unicode-casemap", one, other)


def test_unicode_casemap_orders_people_s_names() -> None:
    assert ordered("i;unicode-casemap", ["zoe", "Émile", "emil", "Anna", "élan", "Zed"]) == [
        "Anna", "emil", "élan", "Émile", "Zed", "zoe",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["9" * 1_000_000, "é" * 1_000_000, "\u0301" * 1_000_000, "0" * 1_000_000 + "x"])
@pytest.mark.parametrize("name", list(COLLATIONS))
def test_long_text_costs_little(name: str, text: str) -> None:
    within(2, lambda: key(name)(text))
