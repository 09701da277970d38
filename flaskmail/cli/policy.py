"""``flaskmail policy``: what the HTTP policy does with a request, and why."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import click

from flaskmail import sockets
from flaskmail.cli.common import as_json, opened, write_json
from flaskmail.config import Settings
from flaskmail.config.listening import Listener
from flaskmail.decisions.addresses import LOOPBACK, read_peer
from flaskmail.decisions.headers import Header
from flaskmail.policy.explaining import explain as explanation_of
from flaskmail.policy.explaining import request_environ
from flaskmail.policy.explanation import Explanation, Part, Responsible
from flaskmail.policy.plan import of_settings

STRANGER = "192.0.2.1"
"""Who asks when nobody is named and others can reach the listener: an address of RFC 5737."""


@click.group()
def policy() -> None:
    """The HTTP policy: what it does with a request, and why."""


@policy.command(short_help="Say what the policy does with a request for URL, and why.")
@click.option("--peer", metavar="IP", help="Who connects to the server: an address, or unix for a Unix socket.")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header field; may be repeated."
)
@click.option("--method", default="GET", show_default=True, help="The method of the request.")
@click.option("--origin", help="The Origin of the page that asks; the same as -H 'Origin: …'.")
@click.option("--listener", metavar="ID", help="The listener that accepts the connection; default: the first.")
@click.argument("url")
@as_json
def explain(
    peer: str | None,
    headers: tuple[str, ...],
    method: str,
    origin: str | None,
    listener: str | None,
    url: str,
    machine: bool,
) -> None:
    """Say what the policy does with a request for URL with the settings at hand, and why. No request is made, nothing is counted.

    URL is what this server is asked for: behind a proxy, what the proxy asks it. https:// stands for a connection that speaks
    TLS with this server; a path alone takes what the listener speaks. -H adds what a proxy sends, such as 'X-Forwarded-For:
    192.0.2.7'.
    """
    with opened() as server:
        settings = server.settings
        listeners = settings.server.listeners()
        name = next(iter(listeners)) if listener is None else listener
        if name not in listeners:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(listeners)}", param_hint="--listener")
        place = _place(name, listeners[name])
        scheme, host, target = _target(url, "https" if listeners[name].tls.certificate else "http")
        fields = [_header(one) for one in headers]
        if not any(one[0].lower() == "host" for one in fields):
            fields.insert(0, ("Host", host or f"{_bracketed(place.ip)}{f':{place.port}' if place.port else ''}"))
        if origin is not None:
            fields.append(("Origin", origin))
        environ = request_environ(method.upper(), scheme, target, _peer(peer, place), place, fields)
        sockets.serve(listeners)
        try:
            found = explanation_of(of_settings(settings, server), environ, settings)
        finally:
            # Whoever runs this in a process of theirs has listeners of their own.
            sockets.serve({})
        notes = list(_notes(scheme, settings, listeners[name]))
    if machine:
        write_json(found.as_data() | {"notes": notes})
        return
    for line in in_words(found, notes):
        click.echo(line)


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
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        raise click.BadParameter(f"{url!r} is neither an http(s) URL nor a path", param_hint="URL")
    return parts.scheme, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _header(line: str) -> Header:
    name, colon, value = line.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
        raise click.BadParameter(f"{line!r} is not 'Name: value'", param_hint="-H")
    return name.strip(), value.strip(" \t")


def _peer(text: str | None, place: sockets.Place) -> str:
    if text is None:
        ip = None if place.ip is None else read_peer(place.ip)
        return "" if place.ip is None else str(ip) if ip is not None and ip in LOOPBACK else STRANGER
    if text == "unix":
        return ""
    if read_peer(text) is None:
        raise click.BadParameter(f"{text!r} is neither an IP address nor unix", param_hint="--peer")
    return text


def _notes(scheme: str, settings: Settings, listener: Listener) -> Iterator[str]:
    """What people get wrong with this command."""
    if scheme == "https" and not listener.tls.certificate:
        yield (
            "This listener speaks plain HTTP, so nothing reaches it over https. Behind a proxy that speaks TLS, ask with "
            "http:// and what the proxy sends, like -H 'X-Forwarded-Proto: https'."
        )
    if scheme == "http" and listener.tls.certificate:
        yield "This listener speaks TLS, so nothing reaches it over plain http."
    if listener.proxy.trusted_networks:
        yield "Behind the PROXY protocol, --peer is the client that the balancer names."


# ---- for people

TITLES = {
    "listener": "Listener",
    "client": "Client",
    "scheme": "Scheme",
    "host": "Host",
    "url": "Public URL",
    "cors": "CORS",
    "hsts": "HSTS",
    "redirect": "Redirect to HTTPS",
    "access": "Allowed endpoint",
    "limits": "Rate limits",
}
VERDICTS = {
    "trusted": "is in trusted-proxies, so what it was told counts too",
    "client": "is not in trusted-proxies: this is the client. What stands left of it is the client's own word",
    "unidentified": "tells nobody's address",
    "malformed": "is no address",
}


def in_words(found: Explanation, notes: list[str]) -> Iterator[str]:
    """The lines of an explanation for people."""
    asked = found.request
    yield _plain(f"{asked['method']} {asked['url']} from {asked['peer'] or 'a Unix socket'}")
    for name, value in asked["headers"]:
        if name != "Host":
            yield _plain(f"    {name}: {value}")
    for part in found.parts:
        yield ""
        yield _plain(f"{TITLES[part.name]}: {_result(part)}")
        for sentence in part.why:
            yield from _wrapped(f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}.")
        yield from _step_by_step(part)
        variables = {} if part.result is None else part.result.get("variables") or {}
        if part.result is not None and part.result.get("expression"):
            yield _plain(f"    {part.result['expression']}")
        for name, value in variables.items():
            yield _plain(f"      {name} = {value!r}")
        yield from _settings(part.settings)
    yield ""
    yield f"Answer: {found.status if found.status is not None else 'as the application gives it'}"
    if found.status is not None:
        yield f"    Given by the policy itself: {TITLES[found.answered_by]}."
    for one in found.headers:
        source = one.source + (f" ({one.origin})" if one.origin else "") + (f" {one.plugin}" if one.plugin else "")
        yield from textwrap.wrap(
            _plain(f"{one.name}: {one.value}"),
            110,
            initial_indent="    ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
        yield _plain(f"        from {source}")
    for title, sentences in (("Warning", found.warnings), ("Note", notes)):
        for sentence in sentences:
            yield ""
            yield from textwrap.wrap(_plain(f"{title}: {sentence}"), 110)


def _result(part: Part) -> str:
    result: Any = part.result
    if result is None:
        return "-"
    match part.name:
        case "listener":
            return f"{result['id']}" + ("" if result["ip"] is None else f" ({result['ip']}, port {result['port']})")
        case "client":
            return result["address"] or "unidentified"
        case "scheme" | "host" | "url":
            return str(result[part.name] or "none")
        case "cors":
            who = f"pages of {result['origin']}" if result["origin"] else "pages of other origins"
            return f"{who} {'may' if result['readable'] else 'may not'} read the response"
        case "hsts":
            return result["value"] or "not sent"
        case "redirect":
            return "refused" if result["refused"] else f"to {result['location']}" if result["redirected"] else "none"
        case "access":
            return str(result["status"])
    return f"{result['limit']}, {result['count']} in {result['seconds']} s" if result["counted"] else "not counted"


def _step_by_step(part: Part) -> Iterator[str]:
    if part.name != "client" or part.result is None:
        return
    for number, step in enumerate(part.result["walk"], 1):
        yield from _wrapped(f"{number}. {step['text'] or 'Nobody'} ({step['header']}) {VERDICTS[step['verdict']]}.")
    if part.result["removed"]:
        unread = "" if part.result["trusted_peer"] else "unread "
        yield from _wrapped(
            f"Removed {unread}before the application sees the request: {', '.join(part.result['removed'])}."
        )


def _settings(settings: tuple[Responsible, ...]) -> Iterator[str]:
    for one in settings:
        value = f"{one.key} = {one.value}" if one.value is not None else f"{one.key} is not set"
        yield _plain(f"    {value}  # {one.origin}")


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(_plain(sentence), 110, initial_indent="    ", subsequent_indent="    ", break_long_words=False)


def _plain(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
