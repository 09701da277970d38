"""SearchSnippet/get: where in an Email the words of a search were found. RFC 8621 section 5.

SearchSnippet is no data type with records and states, but one plain method.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flaskmail.datatypes.mail import bodies
from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.errors import MethodError
from flaskmail.jmap.context import Context
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import check_arguments
from flaskmail.jmap.methods.query import parse_filter
from flaskmail.jmap.storage import Json, Reader, Record
from flaskmail.values.checks import anything, list_of, text
from flaskmail.values.searching import Term, Token, iter_tokens, occurrences, parse_search, tokens

MAX_PREVIEW = 255
"""Octets of a preview at most, markup and entities counted. RFC 8621 section 5."""

MAX_TEXT = 250_000
"""Characters of one body that are looked through."""

MAX_TEXTS = 5_000_000
"""Characters of all bodies together that one call looks through; Emails after that get no preview."""

MAX_OCTETS = 50_000_000
"""Octets of all messages together that one call parses; Emails after that get no preview."""

MAX_TERMS = 100
"""How many terms of a filter are marked."""

_BEFORE = 60
_WINDOW = 400
_MARK, _UNMARK, _ELLIPSIS = "<mark>", "</mark>", "…"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPACES = re.compile(r"\s+")


@dataclass(slots=True)
class Wanted:
    """The terms that a filter looks for in the subject and in the body."""

    subject: list[Term] = field(default_factory=list)
    body: list[Term] = field(default_factory=list)


def wanted_terms(given: Json) -> Wanted:
    """What a valid filter of Email/query looks for, in the order in which it stands there; what it excludes (NOT) is left
    out."""
    wanted = Wanted()
    waiting = [given]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict) or one.get("operator") == "NOT":
            continue
        if "operator" in one:
            waiting.extend(reversed(one["conditions"]))
            continue
        for name, lists in _LISTS.items():
            if name in one:
                for which in lists:
                    terms = getattr(wanted, which)
                    terms.extend(term for term in parse_search(one[name]) if term.words and term not in terms)
                    del terms[MAX_TERMS:]
    return wanted


_LISTS = {"text": ("subject", "body"), "subject": ("subject",), "body": ("body",)}


def spans(words: Sequence[Token], terms: Iterable[Term]) -> list[tuple[int, int]]:
    """(start, end) of everything that one of the terms matches, in order; overlapping matches are one."""
    folded = {word.folded for word in words}
    found: list[tuple[int, int]] = []
    for term in terms:
        # Most terms are not there at all, and a set knows that at once.
        if folded.issuperset(term.words[:-1] if term.prefix else term.words):
            found.extend(occurrences(term, words))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def escaped(plain: str) -> str:
    """Text as HTML: ``&``, ``<`` and ``>`` as entities."""
    return plain.translate(_ESCAPES)


_ESCAPES = str.maketrans(_ENTITIES)


def mark_subject(subject: str | None, terms: Sequence[Term]) -> str | None:
    """The whole subject as HTML with every match marked; None when there is none."""
    if not subject or not terms:
        return None
    out: list[str] = []
    at = 0
    for start, end in spans(tokens(subject), terms):
        out += (escaped(subject[at:start]), _MARK, escaped(subject[start:end]), _UNMARK)
        at = end
    return "".join((*out, escaped(subject[at:]))) if out else None


def mark_preview(body: str, terms: Sequence[Term]) -> str | None:
    """The part of the body around the first match as HTML of at most ``MAX_PREVIEW`` octets with every match in it
    marked; None when there is none within the first ``MAX_TEXT`` characters."""
    body = body[:MAX_TEXT]
    if not body or not terms:
        return None
    first = _first(body, terms)
    if first is None:
        return None
    # Words that stand before the window's first match must not make up a match with it, so the text is cut, then searched.
    start = _word_start(body, max(0, first - _BEFORE), first)
    window = _SPACES.sub(" ", body[start : first + _WINDOW]).strip()
    found = spans(tokens(window), terms)
    budget = MAX_PREVIEW - len(_ELLIPSIS.encode()) * 2
    out, at = _Cut(budget), 0
    for begin, end in found:
        if not (out.plain(window[at:begin]) and out.marked(window[begin:end])):
            break
        at = end
    whole = not out.full and out.plain(window[at:]) and first + _WINDOW >= len(body)
    return f"{_ELLIPSIS if start else ''}{out.text()}{'' if whole else _ELLIPSIS}"


def _first(body: str, terms: Sequence[Term]) -> int | None:
    """Where the first match begins."""
    if body.isascii():
        lowered = body.lower()
        terms = [term for term in terms if all(word in lowered for word in term.words)]
        if not terms:
            return None
    found = spans(list(iter_tokens(body)), terms)
    return found[0][0] if found else None


def _word_start(body: str, at: int, limit: int) -> int:
    """The first position from ``at`` on at which a word begins, ``limit`` at the latest."""
    if at == 0:
        return 0
    space = _SPACES.search(body, at, limit)
    return limit if space is None else space.end()


class _Cut:
    """HTML that takes no more than a number of octets."""

    def __init__(self, budget: int) -> None:
        self._left, self._parts, self.full = budget, list[str](), False

    def plain(self, text: str) -> bool:
        """Adds as much of the text as there is room for; False when something is left over."""
        for character in text:
            piece = _ENTITIES.get(character, character)
            size = len(piece.encode("utf-8", "replace"))
            if size > self._left:
                self.full = True
                return False
            self._parts.append(piece)
            self._left -= size
        return True

    def marked(self, text: str) -> bool:
        """Adds marked text, shortened when it is the first and too long; False when there was no room for all of it."""
        room = self._left - len(_MARK) - len(_UNMARK)
        fits = len(escaped(text).encode("utf-8", "replace")) <= room
        if not fits and _MARK in self._parts:
            self.full = True
            return False
        self._parts.append(_MARK)
        self._left = room
        self.plain(text)
        self._parts.append(_UNMARK)
        return not self.full

    def text(self) -> str:
        return "".join(self._parts)


def _snippets(ctx: Context, arguments: Record) -> Record:
    check_arguments(arguments, {"filter": anything, "emailIds": list_of(text)}, required=("emailIds",))
    ids: list[str] = list(dict.fromkeys(arguments["emailIds"]))
    if len(ids) > ctx.limits.maxSnippets:
        raise MethodError("requestTooLarge", f"At most {ctx.limits.maxSnippets} emailIds are answered at once.")
    given = arguments.get("filter")
    parse_filter(ctx.types["Email"], given)
    wanted = wanted_terms(given)
    with ctx.store.read(arguments["accountId"]) as reader:
        listed = _of_emails(ctx, reader, ids, wanted)
    found = {snippet["emailId"] for snippet in listed}
    missing = [id for id in ids if id not in found]
    # RFC 8621 section 5.1: null, not an empty array, when all ids were found.
    return {"accountId": arguments["accountId"], "list": listed, "notFound": missing or None}


def _of_emails(ctx: Context, reader: Reader, ids: Sequence[str], wanted: Wanted) -> list[Record]:
    characters, octets = MAX_TEXTS, MAX_OCTETS
    out: list[Record] = []
    for record in reader.get("Email", ids, ("blobId", "size", "subject")):
        ctx.check_time()
        preview = None
        if wanted.body and characters > 0 and octets > 0:
            body = bodies.body_text(ctx, reader, record)
            characters -= min(len(body), MAX_TEXT)
            octets -= record["size"]
            preview = mark_preview(body, wanted.body)
        out.append(
            {"emailId": record["id"], "subject": mark_subject(record["subject"], wanted.subject), "preview": preview}
        )
    return out


SEARCH_SNIPPET_GET = Method("SearchSnippet/get", MAIL, _snippets)
"""SearchSnippet/get. RFC 8621 section 5.1."""
