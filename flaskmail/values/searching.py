"""What a person types into a search box, and the words of a text: one notion of both for every store and for snippets.

Words are those of SQLite's FTS5 tokenizer ``unicode61 remove_diacritics 2``, near enough for everybody's mail: runs of letters
and digits, folded to lower case, accents off Latin letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

MAX_TERMS = 100
"""A query of more terms than this is refused."""

MAX_QUERY = 10_000
"""A query of more characters than this is refused."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a text: text[start:end], and the form under which words are compared."""

    start: int
    end: int
    folded: str


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to find: these folded words one after the other; with ``prefix`` the last one may go on.

    A term without words is found nowhere: it stands for a query of nothing but punctuation.
    """

    words: tuple[str, ...]
    prefix: bool = False


class QueryTooLong(ValueError):
    """A query has more than MAX_TERMS terms."""


@lru_cache(maxsize=8192)
def _folded(character: str) -> str:
    """The folded form of a character of a word; "" for a combining accent."""
    if "\u0300" <= character <= "\u0331":
        return ""
    lower = character.lower()
    if len(lower) == 1:
        folded = character.casefold()
        lower = folded if len(folded) == 1 else lower
    base = unicodedata.normalize("NFD", lower)
    # Accents come off Latin letters only: a Cyrillic й is a letter of its own.
    return base[0] if len(base) > 1 and base[0].isascii() else lower


@lru_cache(maxsize=8192)
def _in_word(character: str) -> bool:
    category = unicodedata.category(character)
    # SQLite counts code points that it does not know as letters.
    return category[0] in "LN" or category in ("Co", "Cn")


_ASCII_WORD = re.compile("[0-9A-Za-z]+")
_CANDIDATE = re.compile(r"[^\x00-/:-@\[-`{-\x7f]+")


def iter_tokens(text: str) -> Iterator[Token]:
    """The words of ``text`` in order, one after the other as they are asked for."""
    if text.isascii():
        for match in _ASCII_WORD.finditer(text):
            yield Token(match.start(), match.end(), match[0].lower())
        return
    for match in _CANDIDATE.finditer(text):
        run, base = match[0], match.start()
        if run.isascii():
            yield Token(base, match.end(), run.lower())
            continue
        start = -1
        word: list[str] = []
        for index, character in enumerate(run):
            if _in_word(character):
                if start < 0:
                    start = index
                word.append(_folded(character))
            # A combining accent goes on with a word but begins none.
            elif start >= 0 and not _folded(character):
                continue
            elif start >= 0:
                yield Token(base + start, base + index, "".join(word))
                start, word = -1, []
        if start >= 0:
            yield Token(base + start, match.end(), "".join(word))


def tokens(text: str) -> list[Token]:
    """All words of ``text`` in order. Markup, if any, has to be gone before."""
    return list(iter_tokens(text))


# RFC 8621 section 4.4.1: text within matched single or double quotes is a phrase, in which ', " and \ are escaped by \.
# A quote that does not stand at the edge of a word (don't) or has no partner is a character like others.
_QUERY = re.compile(
    r"""
    "(?P<double> (?: [^"\\] | \\. )* ) " (?P<double_star> \*? )
  | '(?P<single> (?: [^'\\] | \\. )* ) ' (?P<single_star> \*? ) (?= \s | $ )
  | (?P<word> [^\s]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _pieces(query: str) -> Iterator[tuple[str, bool]]:
    """(text, prefix) of each word and phrase that a person typed."""
    at = 0
    while True:
        space = _SPACE.match(query, at)
        at = space.end() if space else at
        match = _QUERY.match(query, at)
        if match is None:
            return
        at = match.end()
        if match["word"] is not None:
            word = match["word"]
            yield word, word.endswith("*")
        elif match["double"] is not None:
            yield _ESCAPED.sub(r"\1", match["double"]), bool(match["double_star"])
        else:
            yield _ESCAPED.sub(r"\1", match["single"]), bool(match["single_star"])


def parse_search(query: str) -> tuple[Term, ...]:
    """The terms of what a person typed; all of them must be found. RFC 8621 section 4.4.1.

    Words are divided by white space; "a phrase" or 'a phrase' is a row of words; ``word*`` (or ``"a phr"*``) is a prefix. What
    punctuation divides within a word (``foo-bar``, an address) is a row of words too. No terms (white space only) match
    everything; a query of punctuation only is one term without words, which matches nothing. QueryTooLong when there are
    more than MAX_TERMS terms or MAX_QUERY characters.
    """
    if len(query) > MAX_QUERY:
        raise QueryTooLong(f"the search text has {len(query)} characters, at most {MAX_QUERY} are searched for")
    terms: list[Term] = []
    typed = False
    for text, prefix in _pieces(query):
        typed = True
        words = tuple(token.folded for token in iter_tokens(text))
        if not words:
            continue
        if len(terms) == MAX_TERMS:
            raise QueryTooLong(f"the search text has more than {MAX_TERMS} words")
        terms.append(Term(words, prefix))
    return tuple(terms) if terms or not typed else (Term(()),)


def occurrences(term: Term, words: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """(start, end) in the text of each place where ``term`` is found among the words of a text, in order.

    With ``prefix`` the whole last word belongs to it.
    """
    wanted, length = term.words, len(term.words)
    if not length:
        return
    *exact, last = wanted
    for index in range(len(words) - length + 1):
        found = words[index + length - 1]
        if not (found.folded.startswith(last) if term.prefix else found.folded == last):
            continue
        if all(words[index + n].folded == word for n, word in enumerate(exact)):
            yield words[index].start, found.end


def found(term: Term, words: Sequence[Token]) -> bool:
    """Whether ``term`` is found among the words of a text."""
    return next(islice(occurrences(term, words), 1), None) is not None
