"""What a person types, and the words of a text."""

from __future__ import annotations

from contextlib import suppress

import apsw
import pytest
from guarding import within
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.values.searching import (
    MAX_QUERY,
    MAX_TERMS,
    QueryTooLong,
    Term,
    Token,
    found,
    iter_tokens,
    occurrences,
    parse_search,
    tokens,
)


def folded(text: str) -> list[str]:
    return [token.folded for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" .,;-!", []),
        ("Hello, World", ["hello", "world"]),
        ("don't", ["don", "t"]),
        ("a.b@c-d.example", ["a", "b", "c", "d", "example"]),
        ("École ÀÉÎõü", ["ecole", "aeiou"]),
        ("e\u0301cole", ["ecole"]),
        ("ộ", ["o"]),
        ("\u0301", []),
        ("\u0301a", ["a"]),
        ("Straße", ["straße"]),
        ("ŒUVRE Łódź", ["œuvre", "łodz"]),
        ("ΣΊΣΥΦΟΣ ς", ["σίσυφοσ", "σ"]),
        ("ЙОГУРТ", ["йогурт"]),
        ("日本語、テキスト", ["日本語", "テキスト"]),
        ("x² ½ 42", ["x²", "½", "42"]),
        ("a_b", ["a", "b"]),
        ("😀ok😀", ["ok"]),
        ("a\0b", ["a", "b"]),
        ("İstanbul", ["istanbul"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert folded(text) == words


def test_places() -> None:
    text = "L’École, c’est moi"
    assert tokens(text) == list(iter_tokens(text))
    assert [(token.start, token.end, text[token.start : token.end]) for token in tokens(text)] == [
        (0, 1, "L"), (2, 7, "École"), (9, 10, "c"), (11, 14, "est"), (15, 18, "moi"),
    ]  # fmt: skip
    assert tokens("e\u0301 x") == [Token(0, 2, "e"), Token(3, 4, "x")]


LATER_LETTERS = st.characters(codec="utf-8", categories=["Lu", "Ll", "Lt", "Nd", "Zs", "Po", "Pd"], max_codepoint=0x52F)


@given(st.text(LATER_LETTERS))
def test_words_are_those_of_the_search_index(text: str) -> None:
    with_index = text.translate({ord(c): None for c in "ǠǡͿԨԩԪԫԬԭԮԯ\0"})
    connection = apsw.Connection(":memory:")
    tokenizer = connection.fts5_tokenizer("unicode61", ["remove_diacritics", "2"])
    theirs = tokenizer(
        with_index.encode(), apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False, include_colocated=False
    )
    assert folded(with_index) == theirs
    connection.close()


@given(st.text())
def test_places_are_in_order_and_inside(text: str) -> None:
    at = 0
    for token in tokens(text):
        assert at <= token.start < token.end <= len(text)
        assert token.folded
        at = token.end


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", ()),
        (" \t\n\u3000", ()),
        ("Hello world", (Term(("hello",)), Term(("world",)))),
        ('"Hello World"', (Term(("hello", "world")),)),
        ("'Hello World'", (Term(("hello", "world")),)),
        ("wor*", (Term(("wor",), True),)),
        ('"hello wor"*', (Term(("hello", "wor"), True),)),
        ("'hello wor'*", (Term(("hello", "wor"), True),)),
        ("w*r", (Term(("w", "r")),)),
        ("*", (Term(()),)),
        ("* a", (Term(("a",)),)),
        ("foo-bar@example.com", (Term(("foo", "bar", "example", "com")),)),
        ("don't say 'that'", (Term(("don", "t")), Term(("say",)), Term(("that",)))),
        ("'tis the season's", (Term(("tis",)), Term(("the",)), Term(("season", "s")))),
        ('"unclosed phrase', (Term(("unclosed",)), Term(("phrase",)))),
        ('say "hi there" now', (Term(("say",)), Term(("hi", "there")), Term(("now",)))),
        (r'"a \"quoted\" b"', (Term(("a", "quoted", "b")),)),
        (r"'it\'s me'", (Term(("it", "s", "me")),)),
        ('""', (Term(()),)),
        ('"" a', (Term(("a",)),)),
        (":-)", (Term(()),)),
        ("É", (Term(("e",)),)),
        ("a AND b", (Term(("a",)), Term(("and",)), Term(("b",)))),
        ("日本", (Term(("日本",)),)),
    ],
)
def test_queries(query: str, terms: tuple[Term, ...]) -> None:
    assert parse_search(query) == terms


def test_queries_are_bounded() -> None:
    assert len(parse_search("a " * MAX_TERMS)) == MAX_TERMS
    for query in ("a " * (MAX_TERMS + 1), "x" * (MAX_QUERY + 1)):
        with pytest.raises(QueryTooLong):
            parse_search(query)


@pytest.mark.parametrize("piece", ['"', "'", "' ", '" \\', "'a ", '"\\\\', "\\", "'a' ", '"a', "*", "\u0301"])
def test_hostile_queries_cost_little(piece: str) -> None:
    def parse() -> None:
        with suppress(QueryTooLong):
            parse_search(piece * (MAX_QUERY // len(piece)))

    within(2, parse)


@given(st.text(max_size=200))
def test_any_query_can_be_parsed(query: str) -> None:
    for term in parse_search(query):
        assert all(term.words)


@pytest.mark.parametrize(
    ("query", "text", "places"),
    [
        ("red", "Red, the RED; redder", ["Red", "RED"]),
        ("red*", "Red, the RED; redder", ["Red", "RED", "redder"]),
        ('"the red"', "the red the  réd. red", ["the red", "the  réd"]),
        ('"the re"*', "the reader", ["the reader"]),
        ("a-b", "a b, b a", ["a b"]),
        ('"a a"', "a a a", ["a a", "a a"]),
        ("nothing", "something", []),
        (":-)", "anything :-)", []),
    ],
)
def test_occurrences(query: str, text: str, places: list[str]) -> None:
    (term,) = parse_search(query)
    words = tokens(text)
    assert [text[start:end] for start, end in occurrences(term, words)] == places
    assert found(term, words) is bool(places)
