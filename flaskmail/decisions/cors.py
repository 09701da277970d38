"""Which pages of other origins may read responses: CORS of the Fetch standard, never with the browser's credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flaskmail.decisions.addresses import read_authority
from flaskmail.decisions.headers import Header
from flaskmail.decisions.mistakes import Mistake

EXPOSED = (
    "Content-Disposition, ETag, Location, Retry-After, WWW-Authenticate, Link, Content-Range, Accept-Ranges, Last-Modified, "
    "RateLimit, RateLimit-Policy"
)
# "*" does not stand for Authorization in the Fetch standard.
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Accept, Accept-Language, X-Requested-With, If-Match, If-None-Match, Last-Event-ID, "
    "Range, *"
)
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT: tuple[Header, ...] = (
    ("Access-Control-Allow-Methods", ALLOWED_METHODS),
    ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
    ("Access-Control-Max-Age", "7200"),
)
"""What a preflight is granted beside the origin. Static: nothing of a request is reflected."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\*\.)?([^/?#@\\\s]+)", re.ASCII)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Cors:
    """Who may read. everybody: every origin. exact: serialised origins. below: (scheme, "example.org[:port]") for one label
    before it."""

    everybody: bool = False
    exact: frozenset[str] = frozenset()
    below: frozenset[tuple[str, str]] = frozenset()

    @property
    def listed(self) -> bool:
        """Whether the answer depends on the origin."""
        return bool(self.exact or self.below)

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may read. The comparison is exact (RFC 6454 section 6.2 serialises in lower case)."""
        return self.everybody or self.member(origin) is not None

    def member(self, origin: str) -> str | None:
        """The configured origin, as it is compared, that lets this one read; None when none does."""
        if origin in self.exact:
            return origin
        if not self.below:
            return None
        scheme, _, authority = origin.partition("://")
        label, _, rest = authority.partition(".")
        found = (scheme, rest) in self.below and _LABEL.fullmatch(label) is not None
        return f"{scheme}://*.{rest}" if found else None

    def granted(self, origin: str | None) -> tuple[Header, ...]:
        """The header fields of a response to a request of this origin; None: the request names none."""
        if self.everybody:
            return (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED))
        if origin is not None and self.allows(origin):
            return (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED))
        return ()


def read_origin(text: str) -> tuple[str, str, bool]:
    """(scheme, host[:port], whether one label may stand before it) of a configured origin. Raises Mistake."""
    expected = "an origin like 'https://app.example' or 'https://*.example.org'"
    if text == "*":
        raise Mistake(text, "origins; every origin may read with permissive-cors", "permissive-cors")
    if text.lower() == "null":
        raise Mistake(text, "an origin that not every page can have")
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        whole = text.lower().rstrip("/")
        if whole != text.lower() and _ORIGIN.fullmatch(whole):
            raise Mistake(text, "an origin without a slash at its end", whole)
        raise Mistake(text, expected)
    try:
        host, port = read_authority(match[3])
    except ValueError:
        raise Mistake(text, expected) from None
    if match[2] and (host.startswith("[") or re.fullmatch(r"[0-9.]+", host) or "." not in host):
        raise Mistake(text, "a star before a domain of two labels or more, like 'https://*.example.org'")
    written = host if port is None or port == _DEFAULT_PORTS.get(match[1]) else f"{host}:{port}"
    return match[1], written, bool(match[2])


def read_cors(permissive: bool, origins: Iterable[str]) -> tuple[Cors, list[tuple[int, Mistake]]]:
    """The rules, and what is wrong with the origins, each with its index."""
    exact: set[str] = set()
    below: set[tuple[str, str]] = set()
    wrong = []
    for index, text in enumerate(origins):
        try:
            scheme, authority, star = read_origin(text)
        except Mistake as mistake:
            wrong.append((index, mistake))
            continue
        if star:
            below.add((scheme, authority))
        else:
            exact.add(f"{scheme}://{authority}")
    return Cors(permissive, frozenset(exact), frozenset(below)), wrong


def is_below(path: str, prefixes: Iterable[str]) -> bool:
    """Whether a path is one of the prefixes or lies below it."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
