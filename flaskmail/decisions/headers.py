"""The headers that leave: what may be configured, and how it joins what the application has set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from flaskmail.decisions.mistakes import Mistake

Header = tuple[str, str]
"""(name, value)."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

_OWN = "the setting that is made for it"
_FRAMING = "fields that do not concern the connection or the framing of messages"
_PER_RESPONSE = "fields that are the same on every response"
REFUSED = {
    **dict.fromkeys(
        [
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "trailer",
            "trailers",
            "transfer-encoding",
            "upgrade",
            "content-length",
            "content-encoding",
            "content-range",
        ],
        _FRAMING,
    ),
    **dict.fromkeys(
        [
            "content-type",
            "date",
            "set-cookie",
            "location",
            "www-authenticate",
            "etag",
            "last-modified",
            "content-disposition",
            "allow",
            "retry-after",
            "accept-ranges",
            "ratelimit",
            "ratelimit-policy",
        ],
        _PER_RESPONSE,
    ),
    "strict-transport-security": f"{_OWN}, hsts",
    "vary": "no Vary: it follows from what a response depends on",
}
"""Names that no setting may send, and what is expected instead."""

SINGLE = frozenset(
    [
        "server",
        "referrer-policy",
        "x-frame-options",
        "x-content-type-options",
        "x-xss-protection",
        "x-dns-prefetch-control",
        "x-permitted-cross-domain-policies",
        "x-download-options",
        "x-powered-by",
        "cross-origin-resource-policy",
        "cross-origin-opener-policy",
        "cross-origin-embedder-policy",
        "origin-agent-cluster",
        "expires",
        "age",
        "expect-ct",
        "content-location",
        "pragma",
    ]
)
"""Fields that may stand once."""

KEPT = frozenset({"content-security-policy", "x-content-type-options", "cross-origin-resource-policy"})
"""What a download or a sign-in page says of itself stays, whatever is configured."""

DEFAULTS: tuple[Header, ...] = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))
"""On every response that does not say otherwise itself."""

CORS_NAMES = frozenset(
    f"access-control-{name}"
    for name in [
        "allow-origin",
        "allow-credentials",
        "expose-headers",
        "allow-methods",
        "allow-headers",
        "max-age",
        "allow-private-network",
    ]
)
LIMIT_NAMES = frozenset({"ratelimit", "ratelimit-policy"})


def read_header(line: str) -> Header:
    """The field of a line "Name: value". Raises Mistake for what must not be sent."""
    name, colon, value = line.partition(":")
    name, value = name.strip(" \t"), value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name):
        raise Mistake(line, "a header like 'Name: value'")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise Mistake(line, "a value without control characters")
    if not value.isascii() and any(ord(character) > 0xFF for character in value):
        raise Mistake(line, "a value of Latin-1 characters")
    lower = name.lower()
    if lower.startswith("access-control-"):
        raise Mistake(line, f"{_OWN}, permissive-cors or cors-origins")
    if lower in REFUSED:
        raise Mistake(line, REFUSED[lower])
    return name, value


def read_headers(lines: Iterable[str]) -> tuple[tuple[Header, ...], list[tuple[int, Mistake]]]:
    """The fields in order, and what is wrong, with the index of the line."""
    found: list[Header] = []
    wrong: list[tuple[int, Mistake]] = []
    for index, line in enumerate(lines):
        try:
            name, value = read_header(line)
            if name.lower() in SINGLE and any(name.lower() == known.lower() for known, _ in found):
                raise Mistake(line, f"{name} once: it is a field that may not be repeated")
            found.append((name, value))
        except Mistake as mistake:
            wrong.append((index, mistake))
    return tuple(found), wrong


def is_no_store(value: str) -> bool:
    """Whether a Cache-Control forbids to store."""
    return "no-store" in value.lower()


_UNTOUCHED = frozenset({"Content-Type", "Content-Length"})


REMEMBERED = 64
"""Lists that are remembered, each for what plugins add to it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A ready list, and what it does to headers that are there already.

    items: appended in order. defaults: lower-case names of items that give way to what is there. removed: lower-case names
    whose lines go, although no item takes their place. vary: the request fields that the response depends on; they join those
    that it names itself. sources: the name of the setting that each item comes from, "" for none, for explanations.
    """

    items: tuple[Header, ...]
    defaults: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    vary: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    touches: frozenset[str] = field(init=False)
    known: dict[tuple[Header, ...], Outgoing] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        own = frozenset(name.lower() for name, _ in self.items)
        vary = frozenset({"vary"}) if self.vary else frozenset()
        object.__setattr__(self, "touches", own | self.removed | vary | LIMIT_NAMES)
        if self.vary:
            object.__setattr__(self, "items", (*self.items, ("Vary", ", ".join(self.vary))))

    def instead(self, fields: tuple[Header, ...]) -> Outgoing:
        """The same with these fields in the place of all that have one of their names; but a Vary joins what is there."""
        found = self.known.get(fields)
        if found is None:
            names = frozenset(name.lower() for name, _ in fields) | {"vary"}
            items = (
                *(pair for pair in self.items if pair[0].lower() not in names),
                *(pair for pair in fields if pair[0].lower() != "vary"),
            )
            vary = joined_vary([*self.vary, *(value for name, value in fields if name.lower() == "vary")])
            found = Outgoing(items, self.defaults - names, self.removed, vary)
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[fields] = found
        return found

    def added(self, headers: Collection[Header]) -> tuple[Header, ...] | None:
        """What to append to these headers; None when they need :meth:`merged`."""
        touches = self.touches
        for name, _ in headers:
            # Most responses have these two and no others, and lower() for each costs more than this.
            if name not in _UNTOUCHED and name.lower() in touches:
                return None
        return self.items

    def merged(self, headers: Sequence[Header], *, keep: bool = False, limited: bool = False) -> list[Header]:
        """The headers as they leave. keep: the response is a download or a sign-in page (:data:`KEPT`). limited: a limit of
        ours is told in :data:`LIMIT_NAMES`, so that nobody else's may be.

        Done twice it changes nothing more."""
        touches, defaults = self.touches, self.defaults
        out: list[Header] = []
        there: set[str] = set()
        vary: list[str] = []
        for pair in headers:
            name = pair[0].lower()
            if name not in touches:
                out.append(pair)
            elif name == "vary":
                vary.append(pair[1])
            elif (
                name in defaults
                or (name in LIMIT_NAMES and not limited)
                or (name == "cache-control" and is_no_store(pair[1]))
                or (keep and name in KEPT and name not in self.removed)
            ):
                there.add(name)
                out.append(pair)
        for pair in self.items:
            if pair[0] == "Vary":
                out.append(("Vary", ", ".join(joined_vary([*vary, pair[1]]))))
            elif pair[0].lower() not in there:
                out.append(pair)
        return out


def joined_vary(values: Iterable[str]) -> tuple[str, ...]:
    """The members of the one Vary that says as much as all of these."""
    members: dict[str, str] = {}
    for value in values:
        for member in value.split(","):
            if name := member.strip(" \t"):
                members.setdefault(name.lower(), name)
    # RFC 9110 section 12.5.5: "*" says that anything may matter, whatever else is named.
    return ("*",) if "*" in members else tuple(members.values())


def read_vary(value: str) -> tuple[str, ...]:
    """The members of a Vary. Raises Mistake for what is none."""
    members = joined_vary([value])
    if not members or not all(_TOKEN.fullmatch(member) for member in members):
        raise Mistake(f"Vary: {value}", "names of request header fields, or *")
    return members
