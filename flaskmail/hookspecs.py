"""The hooks that plugins implement, with what they are given and answer. Mark an implementation with ``hookimpl``::

    from flaskmail.hookspecs import hookimpl

    @hookimpl
    def response_headers(policy, request, response):
        return [("X-Frame-Options", "DENY")]

An implementation may leave out arguments that it does not need. docs/hooks.md is made from this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pluggy

from flaskmail.decisions.forwarded import BadForwarded
from flaskmail.errors import RequestError
from flaskmail.hookvalues import (
    Client,
    CorsDecision,
    Credentials,
    Denied,
    Event,
    Facts,
    Header,
    Leaving,
    PolicyFacts,
    RateDecision,
    Refusal,
    described,
    header_fields,
    known_client,
    known_principal,
    members,
)

if TYPE_CHECKING:
    from flaskmail.expressions import Function
    from flaskmail.jmap.context import AccountAccess
    from flaskmail.jmap.datatype import DataType
    from flaskmail.jmap.method import Method

PROJECT = "flaskmail"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function or method as the implementation of the hook of its name."""

Kind = Literal["start", "first", "collect", "notify"]
"""start: asked once, in load order; first: the first answer counts; collect: all answers count; notify: nobody's does."""

KINDS: Mapping[Kind, str] = {
    "start": "asked when the server starts; all answers are put together in load order",
    "first": "asked in turn until one answers; None is no opinion",
    "collect": "all are asked; of two answers to the same, the one of whoever is asked first counts",
    "notify": "all are told; answers do not count",
}
"""What each kind means, for the documentation."""

REFUSES_TO_START = "The server does not start; the message names the plugin."


@dataclass(frozen=True, slots=True)
class Hook:
    """What the machinery has to know of a hook.

    fails: what an exception, or an answer that cannot be used, does, for people. isolated: such a plugin counts as one without
    an opinion; else who asks decides what is refused. stable, since: the promise, and the version that brought it. check:
    answer -> answer as it is used, or ValueError or TypeError. passes: exceptions that are answers.
    """

    kind: Kind
    fails: str
    isolated: bool = False
    stable: bool = False
    since: str = "0.1"
    check: Callable[[Any], Any] | None = None
    passes: tuple[type[Exception], ...] = ()


HOOKS: dict[str, Hook] = {}
"""Every hook, by name."""

F = TypeVar("F", bound=Callable[..., Any])


def _hook(kind: Kind, fails: str = REFUSES_TO_START, **more: Any) -> Callable[[F], F]:
    def declare(function: F) -> F:
        HOOKS[function.__name__] = Hook(kind, fails, **more)
        return hookspec(function, firstresult=kind == "first")

    return declare


def _of(*kinds: type) -> Callable[[Any], Any]:
    def check(answer: Any) -> Any:
        if not isinstance(answer, kinds):
            raise TypeError(f"{type(answer).__name__}, where {' or '.join(kind.__name__ for kind in kinds)} is wanted")
        return answer

    return check


# ---- at the start


@_hook("start", stable=True)
def startup(server: Any) -> None:
    """The server is whole: settings are read, types and methods registered, the store can be opened.

    Called once in each process that makes a server, before the first request, in load order.

    Stable since 0.1.
    """


@_hook("start")
def trusted_networks(policy: PolicyFacts) -> Mapping[str, Iterable[str]]:  # type: ignore[empty-body]
    """Names for networks, that ``trusted-proxies`` may use: ``{"cloudflare": ["173.245.48.0/20", …]}``.

    Called whenever settings are read. A name that is there already, and what is no network, is a mistake of the
    plugin's. An empty list trusts nobody.

    Provisional since 0.1.
    """


@_hook("start")
def expression_functions(policy: PolicyFacts) -> list[Function]:  # type: ignore[empty-body]
    """Functions for the expressions of the settings, each declared as a ``flaskmail.expressions.Function``.

    Called whenever settings are read. A function has to be quick: it may be called for each request. Say ``pure=False`` of one
    that may give different values for the same arguments. A name that is there already is a mistake of the plugin's.

    Provisional since 0.1.
    """


@_hook("start")
def register_blueprints(server: Any) -> list[tuple[Any, str]]:  # type: ignore[empty-body]
    """Flask blueprints, each with the path under which it is served, "" for the root: ``[(blueprint, "/hello")]``.

    Called when the application is made. The HTTP policy holds for them as for everything else, and errors become problem details;
    who may use a view is the view's own business. Names of blueprints that are taken are refused; ours begin with ``flaskmail-``,
    but for ``jmap`` and ``discovery``.

    Provisional since 0.1.
    """


@_hook("start")
def register_commands(server: Any, cli: Any) -> None:
    """Adds commands to ``flaskmail``: ``cli`` is a click group. Names that are taken are refused.

    Called when the command line does not know a command, or lists all. Nothing of the server is open.

    Provisional since 0.1.
    """


@_hook("start")
def jmap_datatypes(server: Any) -> list[type[DataType]]:  # type: ignore[empty-body]
    """JMAP data types to serve, as classes; the standard methods, changes and storage come with them.

    Called once, when the server is made. A name that is there already is an error.

    Provisional since 0.1.
    """


@_hook("start")
def jmap_methods(server: Any) -> list[Method]:  # type: ignore[empty-body]
    """JMAP methods that are none of the standard ones of a data type (``Core/echo``, ``Email/import``).

    Called once, when the server is made, after ``jmap_datatypes``. A name that is there already is an error.

    Provisional since 0.1.
    """


# ---- for each request: the HTTP policy


@_hook(
    "first",
    "The client is the peer of the socket, no header is believed.",
    check=known_client,
    passes=(BadForwarded,),
)
def client_address(policy: PolicyFacts, peer: str, scheme: str, headers: Mapping[str, str]) -> Client | None:
    """Who is the client of this request, and what does it use?

    peer: the address of the socket's peer, "" on a Unix socket; scheme: the socket's, "http" or "https"; headers: the request's
    by names in lower case, lines of one name joined by commas. Headers that proxies send are removed afterwards, whatever is
    answered. An address is canonical, as ``str(ipaddress.ip_address(…))`` writes it. None: no opinion; the built-in ``proxies``
    decides by ``use-x-forwarded`` and ``trusted-proxies``.

    Provisional since 0.1.
    """


@_hook("first", "The request is refused with 500.", check=_of(Refusal), stable=True)
def refuse_request(policy: PolicyFacts, request: Any, client: Client) -> Refusal | None:
    """Must this request not be let in?

    request: a ``werkzeug.Request`` whose body cannot be read. Asked before routing, credentials and rate limits, but not for
    preflights. None: no opinion; the built-in ``access`` decides by ``allowed-endpoint``.

    Stable since 0.1.
    """


@_hook("first", "The built-in limits hold.", check=_of(RateDecision))
def rate_limit(policy: PolicyFacts, request: Any, principal: Any) -> RateDecision | None:
    """Has this client, or this account, asked too often?

    principal: whose credentials were right, None before credentials are looked at, and then only for requests without an
    Authorization header; None as well, later, for those whose credentials turned out to prove nothing. Never asked for health
    checks and trusted proxies. None: no opinion; the built-in ``limits`` decides by ``rate-limit``.

    Provisional since 0.1.
    """


@_hook("first", "The origin may not read the response.", check=_of(CorsDecision), stable=True)
def cors_decision(policy: PolicyFacts, origin: str, request: Any) -> CorsDecision | None:
    """May the pages of ``origin`` read this response?

    Called once for each request with an Origin, preflights included, but never for paths in ``cors-exclude``. request: a
    ``werkzeug.Request`` whose body cannot be read. None: no opinion; the built-in ``cors`` decides by ``permissive-cors`` and
    ``cors-origins``.

    Stable since 0.1.
    """


@_hook(
    "collect", "The plugin's headers are left out of this response.", isolated=True, check=header_fields, stable=True
)
def response_headers(policy: PolicyFacts, request: Any, response: Leaving) -> list[Header] | None:
    """Header fields for a response, as (name, value).

    Called for every response that leaves: errors, redirects, preflights and event streams too. What is answered takes the place
    of fields of the same name, those of the setting ``headers`` included; ``no-store``, and what a download or sign-in page says
    to protect itself, stays. ``Vary`` joins what the response depends on already. What no setting may send is refused: the
    connection's fields, those of one response alone, Access-Control-* and Strict-Transport-Security.

    Stable since 0.1.
    """


# ---- for each request: the server


@_hook(
    "first",
    "The request is refused with 503; it is never taken as anonymous.",
    check=known_principal,
    passes=(RequestError,),
)
def authenticate(server: Any, request: Any, credentials: Credentials) -> Any:
    """Whose request is this?

    request: a ``werkzeug.Request`` whose body cannot be read. Answers a ``Principal``, as
    ``server.directory.principals.get(name)`` gives it (a ``flaskmail.errors.FlaskmailError`` when nobody has that name),
    or ``Denied``: then no other credential helps. Asked for every request that needs an account, also without an
    Authorization header, and once more when its body took a second to come. None: no opinion; the built-in ``credentials``
    checks Basic and Bearer. A RequestError is answered as it stands.

    The sign-in page asks too, with what was typed as Basic credentials and a request that brings nothing else; then the
    second factor is asked for as ever. With Basic itself, the password of an account with a second factor lets nobody in.
    So answer None, not ``Denied``, to a password that you do not know: it may be an app password.

    Provisional since 0.1.
    """


@_hook("collect", "The request is refused with 403.", check=_of(Denied))
def authorize(server: Any, principal: Any, permission: str, resource: Mapping[str, Any]) -> Denied | None:
    """Must this not be done, although the principal has the permission?

    principal: a ``Principal`` whose ``grant`` tells with which credential it came; permission: one of
    ``flaskmail.accounts.permissions.PERMISSIONS``; resource: what it is about, as far as that is known: first
    ``{"operation": "principal.delete", "name": …}`` with what stands in the path, then, where it bears on a principal,
    ``{"type": "individual", "name": "alice@example.org"}``. Only asked for what the permissions allow: nobody gets more
    than he has. One ``Denied`` is enough to refuse; None: no opinion.

    Provisional since 0.1.
    """


@_hook("collect", "The plugin's members are left out.", isolated=True, check=members)
def discovery_metadata(server: Any, document: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """Further members of a document that clients start from.

    document: what it holds so far; kind: "jmap-session" (RFC 8620 section 2), "oauth-authorization-server" (RFC 8414),
    "openid-configuration" (OpenID Connect Discovery) or "oauth-protected-resource" (RFC 9728). Members that are there already
    stay as they are. Called when a session is made, and remembered for the account until the process ends; for the other
    documents, whenever they are read.

    Provisional since 0.1.
    """


@_hook("collect", "The plugin's capabilities stay empty.", isolated=True, check=described)
def session_capabilities(server: Any, principal: Any, account: AccountAccess | None) -> Mapping[str, Any] | None:
    """What capabilities of plugins say in the session: ``{"https://example.com/jmap/notes": {"maxNotes": 10}}``.

    account: the account, or None for ``capabilities`` at the top. A capability exists when one of its methods or types does;
    others, and built-in ones, are left alone. Remembered as for ``discovery_metadata``.

    Provisional since 0.1.
    """


@_hook("notify", "The others are told.", isolated=True)
def observe(server: Any, event: Event) -> None:
    """Something has happened; docs/writing-a-plugin.md lists the events.

    Called in the thread where it happened, before the client reads its response: be quick. server: None in another Flask
    application.

    Provisional since 0.1.
    """


__all__ = [
    "HOOKS",
    "KINDS",
    "PROJECT",
    "Client",
    "CorsDecision",
    "Credentials",
    "Denied",
    "Event",
    "Facts",
    "Header",
    "Hook",
    "Leaving",
    "PolicyFacts",
    "RateDecision",
    "Refusal",
    "hookimpl",
    "hookspec",
]
