"""What hooks are given and what they answer: small frozen values, made in one line in a test. New fields have
defaults."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from flaskmail.decisions.addresses import is_host_header, read_peer
from flaskmail.decisions.client import Client
from flaskmail.decisions.headers import SINGLE, Header, read_header, read_vary
from flaskmail.decisions.mistakes import Mistake

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
_NEVER = frozenset(
    {"content-type", "content-length", "transfer-encoding", "connection", "date", "strict-transport-security"}
)


def _fields(headers: Any) -> tuple[Header, ...]:
    """Fields of one answer alone, as they can be sent. ValueError or TypeError for what is none, and for those that frame a
    message or have a decision of their own, as CORS and HSTS have."""
    if not isinstance(headers, (list, tuple)):
        raise TypeError(f"{type(headers).__name__}, where headers as pairs (name, value) are wanted")
    for pair in headers:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(one, str) for one in pair)):
            raise TypeError(f"{ascii(pair)[:80]}, where a pair of texts (name, value) is wanted")
        name, value = pair
        lower = name.lower()
        if not _NAME.fullmatch(name) or lower in _NEVER or lower.startswith("access-control-"):
            raise ValueError(f"{ascii(name)[:80]} is no header that can be given here")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} cannot be sent: {ascii(value)[:80]}")
    return tuple((name, value) for name, value in headers)


def _sentence(text: Any) -> None:
    """TypeError for what is no text, ValueError for one that UTF-8 cannot hold."""
    if not isinstance(text, str):
        raise TypeError(f"{type(text).__name__}, where a sentence is wanted")
    text.encode()


class PolicyFacts(Protocol):
    """What a hook may know of the policy that asks it. ``flaskmail.policy`` has more, which is not promised to stay."""

    @property
    def settings(self) -> Any:
        """The section ``[server.http]``: ``policy.settings.use_x_forwarded``."""

    @property
    def server(self) -> Any:
        """The Server, or None in another Flask application."""

    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]:
        """The tables ``[plugins.<name>]`` by the names of the plugins."""

    @property
    def folder(self) -> Path:
        """Where relative paths in those tables start from: the folder of the settings file."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A policy for tests of a hook. The attributes are those of PolicyFacts."""

    settings: Any = None
    server: Any = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request is not let in. status: from 400 to 599; detail: a sentence for people; headers: fields that belong to
    the refusal (``Retry-After``). ValueError or TypeError for what cannot be sent."""

    status: int
    detail: str
    headers: tuple[Header, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", _fields(self.headers))
        _sentence(self.detail)
        if type(self.status) is not int or self.status not in range(400, 600):
            raise ValueError(f"{self.status!r} is no status of a refusal: those are from 400 to 599")


@dataclass(frozen=True, slots=True)
class RateDecision:
    """Whether a client has asked too often. wait: whole seconds until its next request, 0 when this one may pass; headers:
    what tells it how much is left. ``Retry-After`` is added by itself. ValueError or TypeError for what cannot be sent."""

    wait: int = 0
    headers: tuple[Header, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", _fields(self.headers))
        # RFC 9110 section 10.2.3: whole seconds, not below zero.
        if type(self.wait) is not int or self.wait < 0:
            raise ValueError(f"{self.wait!r}, where whole seconds are wanted")


@dataclass(frozen=True, slots=True)
class CorsDecision:
    """Whether the pages of an origin may read the response. TypeError for what is neither True nor False."""

    allow: bool

    def __post_init__(self) -> None:
        # A text like "no" would be true.
        if not isinstance(self.allow, bool):
            raise TypeError(f"{type(self.allow).__name__}, where True or False is wanted")


class Leaving(NamedTuple):
    """A response on its way out. status: the number; headers: the fields set so far, in order. Its body is nobody's business."""

    status: int
    headers: tuple[Header, ...] = ()

    def get(self, name: str) -> str | None:
        """The value of the first field of this name; None when there is none."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), None)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to prove whose it is. authorization: the header, None when there is none; address: the client's, ""
    when nobody knows it."""

    authorization: str | None
    address: str = ""

    @property
    def scheme(self) -> str:
        """The scheme in lower case: "basic", "bearer", …; "" without the header."""
        return (self.authorization or "").partition(" ")[0].lower()

    @property
    def value(self) -> str:
        """What follows the scheme."""
        return (self.authorization or "").partition(" ")[2].strip(" ")


@dataclass(frozen=True, slots=True)
class Denied:
    """A plugin refuses: credentials are wrong (401), or something may not be done (403), whatever others would say. detail: a
    sentence for the client; without one it reads what goes with the status. ValueError or TypeError for what is none."""

    detail: str = ""

    def __post_init__(self) -> None:
        _sentence(self.detail)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened. name: dotted, as docs/writing-a-plugin.md lists them; data: JSON values, never a secret; at:
    seconds since 1970."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


# ---- checks of answers: they raise ValueError or TypeError with what is wrong


def header_fields(answer: Any) -> tuple[Header, ...]:
    """(name, value) pairs that may be sent: none of the connection's, of one response's own, or with a setting of its own."""
    if not isinstance(answer, (list, tuple)):
        raise TypeError(f"{type(answer).__name__}, where a list of (name, value) is wanted")
    fields = tuple(answer)
    try:
        return _sendable(fields)
    except TypeError:
        # Without the memory, which says of a pair that is a list only that it cannot be kept.
        return _sendable.__wrapped__(fields)


@lru_cache(maxsize=1024)
def _sendable(fields: tuple[Any, ...]) -> tuple[Header, ...]:
    for pair in fields:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str)):
            raise TypeError(f"{ascii(pair)[:80]}, where a pair of texts (name, value) is wanted")
        name, value = pair
        if not _NAME.fullmatch(name):
            raise ValueError(f"the header name {ascii(name)[:80]}")
        try:
            if name.lower() == "vary":
                read_vary(value)
            else:
                read_header(f"{name}: {value}")
        except Mistake as mistake:
            raise ValueError(f"the header {mistake.found}, where {mistake.expected} is wanted") from None
    names = [name.lower() for name, _ in fields]
    for name in SINGLE.intersection(names):
        if names.count(name) > 1:
            raise ValueError(f"the header {name} more than once")
    return fields


def known_client(answer: Any) -> Client:
    """A Client with a canonical address, a scheme, and a host and port that can be."""
    if not isinstance(answer, Client):
        raise TypeError(f"{type(answer).__name__}, where a Client is wanted")
    if answer.address is not None:
        ip = read_peer(answer.address)
        if ip is None or str(ip) != answer.address:
            raise ValueError(f"the address {ascii(answer.address)[:80]}, where one in its canonical form is wanted")
    if answer.scheme not in ("http", "https"):
        raise ValueError(f"the scheme {ascii(answer.scheme)[:80]}, where http or https is wanted")
    if answer.host is not None and not is_host_header(answer.host):
        raise ValueError(f"the host {ascii(answer.host)[:80]}, where host or host:port is wanted")
    if answer.port is not None and (type(answer.port) is not int or answer.port not in range(1, 65536)):
        raise ValueError(f"the port {answer.port!r}, where a number up to 65535 is wanted")
    return answer


def known_principal(answer: Any) -> Any:
    """Denied, or what has what a Principal has; the server looks closer."""
    if not isinstance(answer, Denied) and not all(hasattr(answer, name) for name in ("id", "name", "grant")):
        raise TypeError(f"{type(answer).__name__}, where a Principal or Denied is wanted")
    return answer


def members(answer: Any) -> Mapping[str, Any]:
    """A mapping with texts as names, all of which can be written as JSON."""
    if not isinstance(answer, Mapping) or not all(isinstance(name, str) for name in answer):
        raise TypeError(f"{type(answer).__name__}, where a mapping with texts as names is wanted")
    found = dict(answer)
    for name, value in found.items():
        try:
            # In the order of the names, as the state of a session is made of it.
            msgspec.json.encode({name: value}, order="sorted")
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise ValueError(f"what it says of {ascii(name)[:80]} is no JSON: {error}") from None
    return found


def described(answer: Any) -> Mapping[str, Any]:
    """``members`` that are objects themselves."""
    found = members(answer)
    for name, value in found.items():
        if not isinstance(value, Mapping):
            raise TypeError(f"{type(value).__name__} for {ascii(name)[:80]}, where a mapping is wanted")
    return found


__all__ = [
    "Client",
    "CorsDecision",
    "Credentials",
    "Denied",
    "Event",
    "Facts",
    "Header",
    "Leaving",
    "PolicyFacts",
    "RateDecision",
    "Refusal",
]
