"""The policy made ready: settings checked and turned into what a request needs, once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from flaskmail import builtin
from flaskmail.config.kinds import Rate
from flaskmail.config.loading import CHECKS, read_section
from flaskmail.config.settings import ServerHttp, Settings
from flaskmail.decisions.addresses import NAMED, Networks, read_authority, read_networks, read_peer
from flaskmail.decisions.client import Claims, Client, Family, Step, Trust, decide_client
from flaskmail.decisions.cors import PREFLIGHT, Cors, is_below, read_cors
from flaskmail.decisions.headers import CORS_NAMES, DEFAULTS, Header, Outgoing, read_headers
from flaskmail.decisions.hsts import read_hsts
from flaskmail.decisions.mistakes import Mistake, shown
from flaskmail.decisions.rates import Limit
from flaskmail.errors import ConfigError, Problem
from flaskmail.expressions import Function
from flaskmail.expressions.types import octets
from flaskmail.hookvalues import Facts, RateDecision
from flaskmail.plugins import Plugins, load_plugins
from flaskmail.policy.hooks import Hooks, functions_of, networks_of
from flaskmail.policy.rules import PORTS, AccessRule, UrlRule
from flaskmail.server import Server
from flaskmail.sockets import listening, unknown_balancers

SECTION = "server.http."
LONGEST_KEY = 256
"""Characters of forwarded headers up to which a decision about them is remembered."""
REMEMBERED = 4096
"""Decisions that are remembered."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the settings of the policy do not say.

    lookups: what ``key_get`` finds; ``default`` has a ``hostname``. tls: whether the server's own sockets speak TLS. server: the
    Server, or None in another application. readable: what ``config_get`` finds beside that name. plugins, options: the plugins
    and their tables; folder: where relative paths start from. balanced: whether balancers say who the client is, by the PROXY
    protocol."""

    lookups: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"default": {"hostname": "localhost"}})
    tls: bool = False
    server: object | None = None
    readable: Mapping[str, Any] = field(default_factory=dict)
    plugins: Plugins | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()
    balanced: bool = False

    def facts(self, settings: ServerHttp) -> Facts:
        """What plugins may know while the policy is made."""
        return Facts(settings, self.server, self.options, self.folder)


class Policy:
    """Everything that the settings say about HTTP, ready for requests.

    settings; surroundings: as given. trust, configured, cors, url, access, anonymous, account: the parts; ``configured`` are
    the header fields of the setting. redirects: whether plain HTTP is redirected. pages: where forms may hold passwords.
    warnings: sentences for the start. steps: where the steps of each walk to a client are noted, None for nowhere."""

    def __init__(self, settings: ServerHttp, surroundings: Surroundings, parts: _Parts) -> None:
        self.settings, self.surroundings = settings, surroundings
        self.server, self.options, self.folder = surroundings.server, surroundings.options, surroundings.folder
        self.hooks = Hooks(surroundings.plugins)
        self.spend: Callable[..., RateDecision] | None = None
        self.trust, self.cors = parts.trust, parts.cors
        self.url, self.access = parts.url, parts.access
        limits = settings.rate_limit
        self.anonymous = _limit("anonymous", limits.anonymous)
        self.account = _limit("account", limits.account)
        self.warnings = list(parts.warnings)
        self.redirects = self._redirects()
        # As WSGI has paths: octets of UTF-8, read as Latin-1.
        self.excluded_paths = tuple(octets(path.rstrip("/")).decode("latin-1") for path in settings.cors_exclude)
        # Our own pages are where they are, whatever else is excluded, or nothing.
        self.pages = (*self.excluded_paths, *ServerHttp().cors_exclude)
        self._hsts = parts.hsts
        self.configured = parts.headers
        self._plain = self._lists(self._outgoing)
        self._excluded = self._lists(lambda secure: self._outgoing(secure, removed=CORS_NAMES))
        self._everybody = self._lists(lambda secure: self._outgoing(secure, self.cors.granted(None), CORS_NAMES))
        granted = Cors(everybody=True).granted(None)
        self._public = self._lists(lambda secure: self._outgoing(secure, granted, CORS_NAMES))
        plain = self._everybody if self.cors.everybody else self._plain
        self.ready: dict[str, Outgoing | None] = (
            dict.fromkeys(PORTS)
            if self.cors.listed or self.hooks.cors_decision is not None
            else dict(zip(("http", "https"), plain, strict=True))
        )
        self.listed = lru_cache(maxsize=256)(self._listed)
        self.granting = lru_cache(maxsize=256)(self._granting)
        self.clients: dict[tuple[str | None, ...], Client] = {}
        self.steps: list[Step] | None = None
        gates = (self.access, self.anonymous, self.hooks.refuse_request, self.hooks.rate_limit)
        self.has_gates = self.redirects or any(gate is not None for gate in gates)
        self.trusts = lru_cache(maxsize=4096)(self._trusts)

    # ---- the client
    def _trusts(self, peer: str) -> bool:
        """Whether the headers of this peer are read. peer: as text; "" for a Unix socket."""
        if not self.trust.use:
            return False
        ip = read_peer(peer)
        return self.trust.networks.unix if not peer else ip is not None and ip in self.trust.networks

    def client(
        self,
        peer: str,
        scheme: str,
        x_for: str | None = None,
        x_proto: str | None = None,
        x_host: str | None = None,
        forwarded: str | None = None,
        proxied: bool = False,
    ) -> Client:
        """The client of a request, which is remembered in ``clients`` under (peer, scheme), or with the four headers under
        those six. See :func:`flaskmail.decisions.client.decide_client`."""
        headers = (x_for, x_proto, x_host, forwarded)
        client = decide_client(self.trust, peer, scheme, Claims(*headers), proxied, self.steps)
        if not proxied and sum(len(text) for text in (peer, *headers) if text) <= LONGEST_KEY:
            if len(self.clients) >= REMEMBERED:
                self.clients.clear()
            self.clients[(peer, scheme) if headers == (None,) * 4 else (peer, scheme, *headers)] = client
        return client

    # ---- the headers
    def outgoing(self, secure: bool, path: str, origin: str | None) -> Outgoing:
        """What leaves with the response to a request of this path (without the prefix of a mount) and Origin."""
        if path.startswith(self.excluded_paths) and self.is_excluded(path):
            return self._excluded[secure]
        if self.cors.everybody:
            return self._everybody[secure]
        if not self.cors.listed:
            return self._plain[secure]
        return self.listed(secure, origin if origin is not None and len(origin) <= LONGEST_KEY else None)

    def unread(self, secure: bool) -> Outgoing:
        """What leaves with the answer to what is no request. Its path is unknown, so it gets no CORS."""
        return self._excluded[secure]

    def is_excluded(self, path: str) -> bool:
        """Whether a path never gets CORS."""
        return self.excluded_by(path) is not None

    def excluded_by(self, path: str) -> str | None:
        """The member of ``cors-exclude`` that a path lies at or below; None when there is none. path: as WSGI has it."""
        found = next((one for one in self.excluded_paths if is_below(path, (one,))), None)
        return found and found.encode("latin-1").decode("utf-8", "replace")

    def preflight(self, origin: str) -> tuple[Header, ...]:
        """What a preflight of this origin is granted beside what every response has; empty for one that may not read."""
        return PREFLIGHT if len(origin) <= LONGEST_KEY and self.cors.allows(origin) else ()

    def public(self, path: str) -> tuple[Outgoing, Outgoing] | None:
        """What leaves over plain HTTP, and over HTTPS, with a document that is for everybody, whatever ``cors-origins`` lists;
        None where something else counts: a path that never gets CORS, a plugin that decides, or that every origin may read."""
        if not self.cors.listed or self.hooks.cors_decision is not None or self.is_excluded(path):
            return None
        return self._public

    def _listed(self, secure: bool, origin: str | None) -> Outgoing:
        return self._outgoing(secure, self.cors.granted(origin), CORS_NAMES, ("Origin",))

    def _granting(self, secure: bool, origin: str | None) -> Outgoing:
        granted = () if origin is None else Cors(exact=frozenset({origin})).granted(origin)
        return self._outgoing(secure, granted, CORS_NAMES, ("Origin",))

    def _outgoing(
        self,
        secure: bool,
        granted: tuple[Header, ...] = (),
        removed: frozenset[str] = frozenset(),
        vary: tuple[str, ...] = (),
    ) -> Outgoing:
        configured = {name.lower() for name, _ in self.configured}
        defaults = tuple(pair for pair in DEFAULTS if pair[0].lower() not in configured)
        items = (*defaults, *self.configured, *granted)
        sources = ("",) * len(defaults) + ("headers",) * len(self.configured)
        sources += ("permissive-cors" if self.cors.everybody else "cors-origins",) * len(granted)
        if self._hsts is not None:
            # RFC 6797 section 7.2: never over plain HTTP; section 8.1: only the first line counts.
            removed |= {"strict-transport-security"}
            items += (("Strict-Transport-Security", self._hsts),) if secure else ()
        # What stands behind the others is of HSTS, and of Vary, which Outgoing appends.
        sources += ("hsts",) * (len(items) - len(sources)) + (("cors-origins",) if vary else ())
        return Outgoing(items, frozenset(name.lower() for name, _ in defaults), removed, vary, sources)

    @staticmethod
    def _lists(make: Callable[[bool], Outgoing]) -> tuple[Outgoing, Outgoing]:
        return make(False), make(True)

    # ---- HTTPS
    def _redirects(self) -> bool:
        settings = self.settings
        wanted = settings.https_redirect
        if wanted is None:
            wanted = settings.hsts is not False
        if not wanted:
            return False
        proxied = self.trust.use and "proto" in self.trust.fields and self.trust.networks != Networks()
        constant = self.url.constant
        if constant is not None and constant.startswith("http://"):
            self.warnings.append("https-redirect has no effect: url names a plain http address")
            return False
        if self.surroundings.tls or proxied or constant is not None:
            return True
        self.warnings.append(
            "hsts and https-redirect have no effect: nothing here could be https, as there is no TLS certificate, no trusted "
            "proxy that tells the protocol (use-x-forwarded), and url is no constant https address"
        )
        return False


def _limit(name: str, rate: Rate | None) -> Limit | None:
    return None if rate is None else Limit(name, rate.count, rate.seconds)


@dataclass(slots=True)
class _Parts:
    """The settings, read."""

    trust: Trust
    headers: tuple[Header, ...]
    cors: Cors
    hsts: str | None
    url: UrlRule
    access: AccessRule | None
    warnings: tuple[str, ...] = ()


def build(settings: ServerHttp, surroundings: Surroundings, *, prefix: str = SECTION) -> Policy:
    """The policy. prefix: what keys begin with in reports. ConfigError, with everything that is wrong."""
    parts, problems = _examine(settings, surroundings, prefix)
    if problems:
        raise ConfigError(problems)
    return Policy(settings, surroundings, parts)


def from_mapping(settings: Mapping[str, Any], surroundings: Surroundings) -> Policy:
    """The policy of a mapping with the keys of ``[server.http]``. ConfigError, with everything that is wrong."""
    typed, problems = read_section(settings, SECTION, ServerHttp)
    failed = {problem.key for problem in problems}
    parts, further = _examine(typed, surroundings, "")
    problems += (problem for problem in further if problem.key not in failed)
    if problems:
        raise ConfigError(problems)
    return Policy(typed, surroundings, parts)


def of_settings(settings: Settings, server: Server | None = None) -> Policy:
    """The policy of a server's settings. ConfigError, with everything that is wrong."""
    lookups, warnings = names(settings)
    readable = settings.readable()
    certified = any(listener.tls.certificate for listener in settings.server.listeners().values())
    surroundings = Surroundings(
        lookups,
        certified,
        server,
        readable,
        None if server is None else server.plugins,
        settings.plugins.options,
        settings.folder,
        any(listener.proxy.trusted_networks for listener in settings.server.listeners().values()),
    )
    policy = build(settings.server.http, surroundings)
    if policy.url.constant is None:
        policy.warnings += warnings
    return policy


def _lookups(settings: Settings, hostname: str) -> dict[str, Mapping[str, Any]]:
    tables = settings.lookup.tables
    return {**tables, "default": {**tables.get("default", {}), "hostname": hostname}}


def names(settings: Settings) -> tuple[Mapping[str, Mapping[str, Any]], list[str]]:
    """What ``key_get`` finds with these settings, and warnings where that had to be guessed."""
    warnings: list[str] = []
    hostname = settings.lookup.default.hostname
    if hostname is None:
        hostname = "localhost"
        # Those of gunicorn's command line count, where there are any.
        binds = [f"{host}:{port}" if port is not None else f"unix:{host}" for host, port in listening()]
        if not all(map(_is_own, binds or [bind for one in settings.server.listeners().values() for bind in one.bind])):
            hostname = _machine_name()
            warnings.append(
                f"clients are told that this server is {hostname}; set server.http.url or lookup.default.hostname to the "
                "name that they use"
            )
    return _lookups(settings, hostname), warnings


def _is_own(bind: str) -> bool:
    """Whether only this machine can reach a listener."""
    host = bind.rpartition(":")[0].strip("[]")
    ip = read_peer(host)
    return bind.startswith("unix:") or host == "localhost" or (ip is not None and ip.is_loopback)


def _machine_name() -> str:
    name = socket.gethostname()
    name = name if "." in name else socket.getfqdn()
    try:
        read_authority(name)
    except ValueError:
        return "localhost"
    return name


def check(settings: Settings) -> Iterator[Problem]:
    """What is wrong with ``[server.http]`` beyond the kinds of its values; the loader of the settings asks."""
    lookups = _lookups(settings, settings.lookup.default.hostname or "localhost")
    surroundings = Surroundings(lookups, readable=settings.readable())
    problems = _examine(settings.server.http, surroundings, SECTION)[1]
    balancers = list(unknown_balancers(settings.server.listener, NAMED))
    if problems or balancers:
        # A name that is not ours may be a plugin's; without such names nothing of a plugin is run to read settings.
        try:
            surroundings = _with_plugins(settings, surroundings)
            named = networks_of(surroundings.plugins, surroundings.facts(settings.server.http))
            problems = _examine(settings.server.http, surroundings, SECTION)[1]
            balancers = list(unknown_balancers(settings.server.listener, named))
        except ConfigError as error:
            # The others may follow from it.
            problems = [*error.problems, *problems]
    yield from problems
    yield from balancers


def _with_plugins(settings: Settings, surroundings: Surroundings) -> Surroundings:
    """With the plugins that the settings name. ConfigError when one does not load."""
    paths, disabled, options = settings.plugins.paths, settings.plugins.disabled, settings.plugins.options
    plugins = load_plugins(builtin.PLUGINS, paths, disabled=disabled, configured=options)
    return replace(surroundings, plugins=plugins, options=options, folder=settings.folder)


def functions_at_hand(settings: Settings) -> tuple[Function, ...]:
    """The functions that plugins bring to the expressions of these settings. ConfigError when a plugin fails."""
    surroundings = _with_plugins(settings, Surroundings(readable=settings.readable()))
    return functions_of(surroundings.plugins, surroundings.facts(settings.server.http))


def networks_at_hand(settings: Settings, server: Server | None = None) -> Mapping[str, Networks]:
    """The names for networks under these settings. server: whose plugins count, None to load those that the settings name.
    ConfigError when a plugin fails."""
    surroundings = Surroundings(server=server, options=settings.plugins.options, folder=settings.folder)
    if server is not None:
        surroundings = replace(surroundings, plugins=server.plugins)
    else:
        surroundings = _with_plugins(settings, surroundings)
    return networks_of(surroundings.plugins, surroundings.facts(settings.server.http))


CHECKS.append(check)


def check_for(server: Server, settings: Settings) -> Iterator[Problem]:
    """As ``check``, for a server with its plugins."""
    try:
        of_settings(settings, server)
    except ConfigError as error:
        yield from error.problems


def _examine(settings: ServerHttp, surroundings: Surroundings, prefix: str) -> tuple[_Parts, list[Problem]]:
    problems: list[Problem] = []

    def note(name: str, mistakes: list[tuple[int, Mistake]]) -> None:
        for index, mistake in mistakes:
            key = f"{prefix}{name}[{index}]"
            problems.append(Problem("settings", key, mistake.found, mistake.expected, mistake.hint))

    facts = surroundings.facts(settings)
    named = networks_of(surroundings.plugins, facts)
    functions = functions_of(surroundings.plugins, facts)
    networks, wrong = read_networks(settings.trusted_proxies, named)
    empty = [name for name in settings.trusted_proxies if named.get(name) == Networks()]
    warnings = tuple(
        f"trusted-proxies names {name}, of which no network is known: nobody is believed" for name in empty
    )
    note("trusted-proxies", wrong)
    headers, wrong = read_headers(settings.headers)
    note("headers", wrong)
    cors, wrong = read_cors(settings.permissive_cors, settings.cors_origins)
    note("cors-origins", wrong)
    if settings.permissive_cors and settings.cors_origins:
        expected = "none: permissive-cors lets every origin read already"
        problems.append(Problem("settings", f"{prefix}cors-origins", "a list of origins", expected))
    note(
        "cors-exclude",
        [
            (index, Mistake(path, "a path that begins with a slash, and is more than that, without a query"))
            for index, path in enumerate(settings.cors_exclude)
            if not path.startswith("/") or not path.strip("/") or "?" in path or "#" in path
        ],
    )
    hsts, mistakes = read_hsts(settings.hsts if isinstance(settings.hsts, bool) else dict(settings.hsts))
    problems += (Problem("settings", f"{prefix}hsts", one.found, one.expected, one.hint) for one in mistakes)
    wrong_name = _wrong_name(surroundings.lookups)
    if wrong_name:
        default = {**surroundings.lookups["default"], "hostname": "localhost"}
        surroundings = replace(surroundings, lookups={**surroundings.lookups, "default": default})
    url, access, of_rules = _rules(settings, surroundings, functions, prefix)
    problems += (*wrong_name, *of_rules)
    family: Family = settings.forwarded_header  # type: ignore[assignment]
    trust = Trust(settings.use_x_forwarded, networks, family, frozenset(settings.forwarded_fields))
    return _Parts(trust, headers, cors, hsts, url, access, warnings), problems


def _wrong_name(lookups: Mapping[str, Mapping[str, Any]]) -> list[Problem]:
    """What is wrong with the name of which the default URL is made."""
    hostname = lookups["default"].get("hostname")
    try:
        if isinstance(hostname, str) and read_authority(hostname)[1] is None:
            return []
    except ValueError:
        pass
    expected = "the name of a host alone, like 'mail.example.org'"
    return [Problem("settings", "lookup.default.hostname", shown(hostname), expected)]


def _rules(
    settings: ServerHttp, surroundings: Surroundings, functions: tuple[Function, ...], prefix: str
) -> tuple[UrlRule, AccessRule | None, list[Problem]]:
    problems: list[Problem] = []
    found = surroundings.lookups, surroundings.readable, functions
    url, access = UrlRule(None, *found), None
    try:
        url = UrlRule(settings.url, *found)
    except ConfigError as error:
        problems += (replace(one, key=f"{prefix}url{one.key}") for one in error.problems)
    try:
        access = AccessRule.of(settings.allowed_endpoint, *found)
    except ConfigError as error:
        problems += (replace(one, key=f"{prefix}allowed-endpoint{one.key}") for one in error.problems)
    return url, access, problems
