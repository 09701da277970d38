"""``flaskmail policy``: what the HTTP policy does with a request, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click

from flaskmail import sockets
from flaskmail.cli.common import Group, as_json, at_url, opened, write_json
from flaskmail.cli.manager import Refused, operations
from flaskmail.policy.explaining import explain as explanation_of
from flaskmail.policy.explanation import Explanation, Part, Responsible, Sent
from flaskmail.policy.plan import of_settings
from flaskmail.policy.question import BadQuestion, Question, asked

HINTS = {"url": "URL", "headers": "-H", "peer": "--peer", "listener": "--listener", "method": "--method"}
"""Where each part of a question stands on the command line."""
WANTED = {
    "url": "{url!r} is neither an http(s) URL nor a path",
    "headers": "a header field is wanted: NAME: VALUE",
    "peer": "{peer!r} is neither an IP address nor unix",
    "method": "{method!r} is no method",
}
"""What is wrong with what a server at a URL refuses by its form alone."""


@click.group(cls=Group, short_help="What the HTTP policy does with a request, and why.")
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
    With --url in front the settings of that server count.

    URL is what this server is asked for: behind a proxy, what the proxy asks it. https:// stands for a connection that speaks
    TLS with this server; a path alone takes what the listener speaks. -H adds what a proxy sends, such as 'X-Forwarded-For:
    192.0.2.7'.

    Example: flaskmail policy explain https://mail.example.org/jmap/ --peer 127.0.0.1 -H 'X-Forwarded-For: 192.0.2.7'
    """
    if at_url():
        body = {
            "url": url,
            "method": method,
            "peer": peer,
            "headers": list(headers),
            "origin": origin,
            "listener": listener,
        }
        with operations() as manager:
            try:
                told = manager.call("POST", "/policy/explain", body=body)
            except Refused as error:
                member = str(error.problem.get("member", "")).partition("[")[0]
                if error.status != 400 or member not in WANTED:
                    raise
                raise click.BadParameter(WANTED[member].format(**body), param_hint=HINTS[member]) from None
        if machine:
            write_json(told)
            return
        notes = told.pop("notes")
        for line in in_words(_read(told), notes):
            click.echo(line)
        return
    with opened() as server:
        settings = server.settings
        try:
            environ, notes = asked(Question(url, method, peer, headers, origin, listener), settings)
        except BadQuestion as error:
            raise click.BadParameter(error.expected, param_hint=HINTS.get(error.member, error.member)) from None
        sockets.serve(settings.server.listeners())
        try:
            found = explanation_of(of_settings(settings, server), environ, settings)
        finally:
            # Whoever runs this in a process of theirs has listeners of their own.
            sockets.serve({})
    if machine:
        write_json(found.as_data() | {"notes": notes})
        return
    for line in in_words(found, notes):
        click.echo(line)


def _read(told: dict[str, Any]) -> Explanation:
    """The explanation that a server at a URL gave."""
    parts = [
        Part(**one | {"why": tuple(one["why"]), "settings": tuple(Responsible(**each) for each in one["settings"])})
        for one in told["parts"]
    ]
    headers = tuple(Sent(**one) for one in told["headers"])
    return Explanation(**told | {"parts": tuple(parts), "headers": headers, "warnings": tuple(told["warnings"])})


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
    if result["counted"]:
        return f"{result['limit']}, {result['count']} in {result['seconds']} s"
    return "not counted" if part.plugin == "limits" else f"as the plugin {part.plugin} says"


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
