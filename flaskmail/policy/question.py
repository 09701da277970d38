"""From what a person asks about the policy ("what happens to a request for …?") to the request that is explained. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flaskmail import sockets
from flaskmail.config import Settings
from flaskmail.config.listening import Listener
from flaskmail.decisions.addresses import LOOPBACK, read_peer
from flaskmail.decisions.headers import Header
from flaskmail.errors import FlaskmailError
from flaskmail.policy.explaining import request_environ

STRANGER = "192.0.2.1"
"""Who asks when nobody is named and others can reach the listener: an address of RFC 5737."""


class BadQuestion(FlaskmailError):
    """The question cannot be asked. member: its field; expected: a sentence."""

    def __init__(self, member: str, expected: str) -> None:
        self.member, self.expected = member, expected
        super().__init__(f"{member}: {expected}")


@dataclass(frozen=True, slots=True)
class Question:
    """url: what the server is asked for, or a path alone; peer: who connects, an address or "unix", None for somebody likely;
    headers: "Name: value" each; origin: of the page that asks; listener: the id of the one that accepts, None for the first."""

    url: str
    method: str = "GET"
    peer: str | None = None
    headers: tuple[str, ...] = ()
    origin: str | None = None
    listener: str | None = None


def asked(question: Question, settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """(the request's WSGI environ, what people get wrong with such a question). Raises BadQuestion."""
    listeners = settings.server.listeners()
    name = next(iter(listeners)) if question.listener is None else question.listener
    if name not in listeners:
        raise BadQuestion("listener", f"{name!r} is none of: {', '.join(listeners)}")
    place = _place(name, listeners[name])
    scheme, host, target = _target(question.url, "https" if listeners[name].tls.certificate else "http")
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}", question.method):
        raise BadQuestion("method", f"{question.method!r} is no method")
    fields = [_header(one) for one in question.headers]
    if not any(one[0].lower() == "host" for one in fields):
        fields.insert(0, ("Host", host or f"{_bracketed(place.ip)}{f':{place.port}' if place.port else ''}"))
    if question.origin is not None:
        fields.append(("Origin", question.origin))
    peer = _peer(question.peer, place)
    environ = request_environ(question.method.upper(), scheme, target, peer, place, fields)
    return environ, list(_notes(scheme, listeners[name]))


def _place(name: str, listener: Listener) -> sockets.Place:
    bind = listener.bind[0]
    if bind.startswith("unix:"):
        return sockets.Place(name, None, None)
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    return sockets.Place(name, "127.0.0.1" if host == "localhost" else host, int(port))


def _bracketed(ip: str | None) -> str:
    return "localhost" if ip is None else f"[{ip}]" if ":" in ip else ip


def _target(url: str, spoken: str) -> tuple[str, str, str]:
    """(scheme, host with port, path with query) of what is asked for."""
    if url.startswith("/"):
        return spoken, "", url
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadQuestion("url", f"{url!r} is neither an http(s) URL nor a path") from None
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        raise BadQuestion("url", f"{url!r} is neither an http(s) URL nor a path")
    return parts.scheme, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _header(line: str) -> Header:
    name, colon, value = line.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
        raise BadQuestion("headers", f"{line!r} is not 'Name: value'")
    return name.strip(), value.strip(" \t")


def _peer(text: str | None, place: sockets.Place) -> str:
    if text is None:
        ip = None if place.ip is None else read_peer(place.ip)
        return "" if place.ip is None else str(ip) if ip is not None and ip in LOOPBACK else STRANGER
    if text == "unix":
        return ""
    if read_peer(text) is None:
        raise BadQuestion("peer", f"{text!r} is neither an IP address nor unix")
    return text


def _notes(scheme: str, listener: Listener) -> Iterator[str]:
    if scheme == "https" and not listener.tls.certificate:
        yield (
            "This listener speaks plain HTTP, so nothing reaches it over https. Behind a proxy that speaks TLS, ask with "
            "http:// and what the proxy sends, like -H 'X-Forwarded-Proto: https'."
        )
    if scheme == "http" and listener.tls.certificate:
        yield "This listener speaks TLS, so nothing reaches it over plain http."
    if listener.proxy.trusted_networks:
        yield "Behind the PROXY protocol, --peer is the client that the balancer names."
