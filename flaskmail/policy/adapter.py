"""HttpPolicy: the decisions, carried into WSGI and Flask. Values go in, decisions come out; nothing is decided here."""

from __future__ import annotations

import logging
import os
import ssl
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask

from flaskmail import builtin
from flaskmail.config import Settings
from flaskmail.config.kinds import Rules
from flaskmail.decisions.addresses import read_peer
from flaskmail.decisions.client import Client
from flaskmail.decisions.forwarded import BadForwarded
from flaskmail.decisions.headers import Outgoing
from flaskmail.decisions.proxyheaders import FORWARDING as FORWARDING
from flaskmail.plugins import HookFailed, load_plugins
from flaskmail.policy.answers import Answer, problem
from flaskmail.policy.counters import Counters
from flaskmail.policy.environ import CLIENT as CLIENT
from flaskmail.policy.environ import KEEP as KEEP
from flaskmail.policy.environ import OUTER, OUTGOING, PLAN, READABLE, Application, apart
from flaskmail.policy.environ import PEER as PEER
from flaskmail.policy.environ import POLICY as POLICY
from flaskmail.policy.environ import Environ as Environ
from flaskmail.policy.environ import StartResponse as StartResponse
from flaskmail.policy.gates import Gates
from flaskmail.policy.hooks import ACCOUNT, REQUEST_ID, Ask, headers_of, observed, request_of
from flaskmail.policy.leaving import Starting, joined
from flaskmail.policy.leaving import leave as leave
from flaskmail.policy.plan import LONGEST_KEY, Policy, Surroundings, from_mapping
from flaskmail.policy.rules import UrlRule
from flaskmail.sockets import place

log = logging.getLogger("flaskmail.policy")

Source = Mapping[str, Any] | Callable[[], Policy]
"""The settings, or what makes the policy anew in every process that serves."""


class HttpPolicy(Gates):
    """Applies the HTTP policy to a Flask application.

    app: None to give it to ``init_app`` later. settings: a mapping with the keys of ``[server.http]``
    (docs/configuration.md), or a function that makes the policy; it is called in each process at its first request.
    lookup: what ``key_get`` finds, by the two names. tls: whether the sockets speak TLS. counters: the file in which
    processes that are not forked from one another count rate limits together, or a function that names it. answered:
    called with (environ, status, octets) for each response that never came to Flask. plugins: objects with hooks
    (docs/hooks.md); options: their tables, ``[plugins.<name>]``, by name.

    ConfigError, with everything that is wrong with the settings and plugins.
    """

    def __init__(
        self,
        app: Flask | None = None,
        settings: Source | None = None,
        plugins: Iterable[object] = (),
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        lookup: Mapping[str, Mapping[str, Any]] | None = None,
        tls: bool = False,
        counters: Callable[[], Path] | Path | None = None,
        answered: Callable[[Environ, int, int], None] | None = None,
    ) -> None:
        super().__init__(counters)
        lookups = {table: dict(entries) for table, entries in (lookup or {}).items()}
        lookups.setdefault("default", {}).setdefault("hostname", "localhost")
        options = dict(options or {})
        loaded = load_plugins(builtin.PLUGINS, explicit=plugins, installed=False, configured=options)
        self._surroundings = Surroundings(lookups, tls, plugins=loaded, options=options)
        self._source: Source | None = None
        self._policy: Policy | None = None
        # Whoever renews later has read the settings later.
        self._turn = threading.RLock()
        self._follows_forks = False
        self._answered = answered
        self.usual_server_name = ""
        if settings is not None:
            self._take(settings)
        if app is not None:
            self.init_app(app)

    def _take(self, settings: Source) -> None:
        if isinstance(settings, Mapping):
            self._policy = self._made_of(settings)
        self._follow(settings)

    def _follow(self, source: Source) -> None:
        self._source = source
        if not isinstance(source, Mapping) and not self._follows_forks:
            # A process that is forked later asks anew: the settings may have been read again in between.
            self._follows_forks, anew = True, weakref.WeakMethod(self._forget)
            os.register_at_fork(after_in_child=lambda: (forget := anew()) and forget())
        if self._counted_in is None and self._counters is None:
            # Made before the server forks, so that its workers share it.
            self._counters = Counters()

    def _forget(self) -> None:
        self._turn = threading.RLock()
        if not isinstance(self._source, Mapping):
            self._policy = None

    def init_app(self, app: Flask, settings: Source | None = None) -> None:
        """Applies the policy to this application, and to any number of others. settings: when they were not given before.
        ConfigError as for the class; RuntimeError for an application that has this policy already."""
        if app.extensions.get("flaskmail.policy") is self:
            raise RuntimeError("this application has this HttpPolicy already")
        if settings is not None:
            self._take(settings)
        elif self._source is None:
            self._take({})
        # Functions are called last to first: ours sees what all others have set.
        app.after_request_funcs.setdefault(None, []).insert(0, leave)
        app.extensions["flaskmail.policy"] = self
        app.wsgi_app = Applied(self, app.wsgi_app, app)  # type: ignore[method-assign]

    @property
    def policy(self) -> Policy:
        """The settings, ready. ConfigError when they are wrong."""
        policy = self._policy
        if policy is None:
            with self._turn:
                policy = self._policy
                if policy is None:
                    if self._source is None:
                        raise RuntimeError("HttpPolicy has no settings yet")
                    policy = self._policy = self._made_of(self._source)
        return policy

    def prepare(self) -> None:
        """Makes the policy of this process now, not at the first request. ConfigError when its settings are wrong."""
        if self._source is not None and not isinstance(self._source, Mapping):
            self._policy = None
        self._ready(self.policy)

    def renew(self, settings: Source | None = None) -> Policy:
        """Puts new settings into force in this process, while it serves; answers the policy that is in force from now on.

        settings: what takes the place of what was given before, in the same forms; None to read that again: a function is
        called anew, a mapping is looked at anew. Every setting of ``[server.http]`` follows, the names that ``key_get`` finds
        with a function. Each request is decided by one policy from its beginning to its end: those that came in before keep
        the old one. Rate limits keep what they have counted: it is the time until a client has all its requests again.

        ConfigError, or whatever else the function raises, when they are wrong: then everything stays as it was. Other
        processes see nothing of it: each calls this for itself. Safe to call in any thread, also at the same time: whoever
        comes last has read the settings last. It takes about a millisecond, and requests do not wait for it."""
        with self._turn:
            source = self._source if settings is None else settings
            if source is None:
                raise RuntimeError("HttpPolicy has no settings yet")
            policy = self._made_of(source)
            if settings is not None:
                self._follow(settings)
            self._policy = policy
            # What is said once is said again when it holds under the new settings.
            self._warned &= {*policy.warnings, "scheme", "path"}
        return policy

    def _made_of(self, source: Source) -> Policy:
        policy = from_mapping(source, self._surroundings) if isinstance(source, Mapping) else source()
        self._ready(policy)
        return policy

    def _ready(self, policy: Policy) -> None:
        policy.spend = self._spend_for
        for sentence in policy.warnings:
            self._warn(sentence, sentence)
        gunicorn: Any = sys.modules.get("gunicorn.http.wsgi")
        if gunicorn is not None:
            # gunicorn writes this field itself and drops the application's.
            name = next((value for name, value in policy.configured if name.lower() == "server"), None)
            if name is not None:
                self.usual_server_name = self.usual_server_name or gunicorn.SERVER
                gunicorn.SERVER = name
            elif self.usual_server_name:
                gunicorn.SERVER = self.usual_server_name

    def _warn_of(self, peer: str, error: BadForwarded) -> None:
        log.warning("refused a request from the trusted proxy %s: %s", peer or "on a Unix socket", error)

    # ---- in
    def serve(self, environ: Environ, start_response: StartResponse, applied: Applied) -> Iterable[bytes]:
        """What WSGI asks for one request to an application that has this policy."""
        if CLIENT in environ:
            return self._within(environ, start_response, applied)
        policy = self._policy or self.policy
        get = environ.get
        peer, scheme, answer = get("REMOTE_ADDR") or "", get("wsgi.url_scheme"), None
        outer: tuple[str, Client] | None = get(OUTER)
        if outer is not None:
            # Its headers are gone, and the socket says nothing of the client.
            peer, client = outer
            scheme = client.scheme
        elif "gunicorn.socket" in environ:
            scheme = self._socket_scheme(environ)
        elif scheme != "https":
            scheme = "http"
        sent, hooks = FORWARDING.intersection(environ), policy.hooks
        if hooks.observe is not None:
            start_response = observed(hooks.observe, policy.server, environ, start_response)
        try:
            if outer is not None:
                pass
            elif hooks.client_address is not None:
                client = self._asked_client(hooks.client_address, policy, environ, peer, scheme)
            elif not sent:
                client = policy.clients.get((peer, scheme)) or policy.client(peer, scheme)
            else:
                # Only what trusted peers sent is ever remembered under these six.
                remembered = policy.clients.get(
                    (
                        peer,
                        scheme,
                        get("HTTP_X_FORWARDED_FOR"),
                        get("HTTP_X_FORWARDED_PROTO"),
                        get("HTTP_X_FORWARDED_HOST"),
                        get("HTTP_FORWARDED"),
                    )
                )
                if remembered is None or "HTTP_SCRIPT_NAME" in sent:
                    client = self._forwarded(policy, environ, peer, scheme)
                else:
                    client = remembered
        except BadForwarded as error:
            self._warn_of(peer, error)
            client, answer = Client(None, scheme), problem(400, str(error), more={"error": "bad-forwarded-header"})
        for name in sent:
            del environ[name]
        environ[POLICY], environ[PLAN], environ[PEER], environ[CLIENT] = self, policy, peer, client
        environ["wsgi.url_scheme"], address = client.scheme, client.address
        if address is not None:
            environ["REMOTE_ADDR"] = address
        else:
            environ.pop("REMOTE_ADDR", None)
        if client.host is not None:
            environ["HTTP_HOST"] = client.host
        host = get("HTTP_HOST")
        if host not in self._good_hosts and answer is None:
            answer = self._check_host(environ, host)
        origin, path = get("HTTP_ORIGIN"), get("PATH_INFO", "")
        out = policy.ready[client.scheme]
        if out is None or path.startswith(policy.excluded_paths):
            if hooks.cors_decision is None:
                out = policy.outgoing(client.scheme == "https", path, origin)
            else:
                out = self._asked_outgoing(hooks.cors_decision, policy, environ, path, origin)
        environ[OUTGOING] = out
        if answer is None:
            if origin is not None and environ["REQUEST_METHOD"] == "OPTIONS":
                answer = self._preflight(policy, environ, path, origin)
            if answer is None and policy.has_gates:
                answer = self._gate(policy, environ, client, path)
        if answer is not None:
            return self._answer(environ, start_response, answer, out)

        starting = Starting(start_response, environ, out)
        try:
            body = applied.inner(environ, starting)
        except Exception as error:
            if starting.begun or applied.propagates:
                raise
            return self._failed(environ, start_response, out, error)
        starting.begin()
        return body

    def _within(self, environ: Environ, start_response: StartResponse, applied: Applied) -> Iterable[bytes]:
        """For an application that is mounted in another one with a policy: who the client is has been decided there, once. All
        else is decided here too, and of two header fields the outer one leaves."""
        own = apart(environ)

        def start(*arguments: Any) -> Any:
            environ.update((name, own[name]) for name in (KEEP, ACCOUNT, REQUEST_ID) if name in own)
            return start_response(*arguments)

        return self.serve(own, start, applied)

    # ---- what plugins are asked
    def _asked_client(self, asked: Ask, policy: Policy, environ: Environ, peer: str, scheme: str) -> Client:
        if "HTTP_SCRIPT_NAME" in environ:
            self._restore_path(environ)
        client: Client | None = None
        try:
            client = asked(policy, peer, scheme, headers_of(environ))
        except HookFailed:
            pass
        if client is None:
            ip = read_peer(peer)
            client = Client(None if ip is None else str(ip), scheme, why="a plugin failed: the client is the peer")
        return client

    def _asked_outgoing(self, asked: Ask, policy: Policy, environ: Environ, path: str, origin: str | None) -> Outgoing:
        secure = environ["wsgi.url_scheme"] == "https"
        if policy.is_excluded(path):
            return policy.outgoing(secure, path, origin)
        allowed = False
        if origin is not None and len(origin) <= LONGEST_KEY:
            try:
                decision = asked(policy, origin, request_of(environ))
                allowed = decision is not None and decision.allow
            except HookFailed:
                pass
        environ[READABLE] = allowed
        return policy.granting(secure, origin if allowed else None)

    def _socket_scheme(self, environ: Environ) -> str:
        scheme = "https" if isinstance(environ["gunicorn.socket"], ssl.SSLSocket) else "http"
        if environ.get("wsgi.url_scheme") != scheme:
            self._warn(
                "scheme",
                "gunicorn took the scheme of a request from its headers; it is ignored. Start gunicorn with "
                "-c python:flaskmail.gunicornconf, or set secure_scheme_headers = {}",
            )
        return scheme

    def _forwarded(self, policy: Policy, environ: Environ, peer: str, scheme: str) -> Client:
        get = environ.get
        if "HTTP_SCRIPT_NAME" in environ:
            self._restore_path(environ)
        if not policy.trusts(peer):
            key = "server.http.trusted-proxies" if policy.trust.use else "server.http.use-x-forwarded"
            if policy.surroundings.balanced:
                # Forwarded headers and the PROXY protocol exclude each other.
                key = f"server.listener.{place(environ).listener}.proxy.trusted-networks"
            self._warn(
                "untrusted",
                "%s sent headers about a client that it forwards for; they are ignored. If it is your proxy, set %s",
                peer or "a peer on a Unix socket",
                key,
            )
            return policy.client(peer, scheme, proxied=True)
        client = policy.client(
            peer,
            scheme,
            get("HTTP_X_FORWARDED_FOR"),
            get("HTTP_X_FORWARDED_PROTO"),
            get("HTTP_X_FORWARDED_HOST"),
            get("HTTP_FORWARDED"),
        )
        if client.forwarded and not client.told and "proto" in policy.trust.fields:
            self._warn(
                "proto", "the trusted proxy %s does not say which protocol its clients use", peer or "(Unix socket)"
            )
        return client

    def _restore_path(self, environ: Environ) -> None:
        name = environ["HTTP_SCRIPT_NAME"]
        if name and name == environ.get("SCRIPT_NAME") and name != os.environ.get("SCRIPT_NAME"):
            # gunicorn's default lets peers on the loopback interface move the path by a header.
            environ["PATH_INFO"], environ["SCRIPT_NAME"] = name + environ.get("PATH_INFO", ""), ""
            self._warn("path", "gunicorn took SCRIPT_NAME from a header; it is ignored. Set forwarder_headers = ''")

    def _failed(
        self, environ: Environ, start_response: StartResponse, out: Outgoing, error: Exception
    ) -> Iterable[bytes]:
        """The answer for what fails where no error handler of the application reaches, like a teardown function."""
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        log.error("%s %s failed outside of the application's error handlers", method, ascii(path), exc_info=error)

        return self._answer(environ, start_response, problem(500, "An error of the server's. Its log knows more."), out)

    def _answer(
        self, environ: Environ, start_response: StartResponse, answer: Answer, out: Outgoing
    ) -> Iterable[bytes]:
        headers = list(answer.headers)
        # RFC 9110 section 8.6: a 204 has no Content-Length.
        if answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        if self._answered is not None:
            self._answered(environ, answer.status, len(answer.body))
        start_response(answer.line, joined(out, answer.line, headers, environ))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    # ---- for views
    def base_url(self, environ: Environ) -> str:
        """The public base URL for the request of this environ, without a slash at its end."""
        url: UrlRule = environ[PLAN].url
        base = url.base(environ, environ[CLIENT])
        return base + environ.get("SCRIPT_NAME", "") if url.is_default else base


class Applied:
    """An application with a policy, as WSGI calls it. inner: the application without it; app: None when it is not Flask's."""

    __slots__ = ("app", "inner", "policy")

    def __init__(self, policy: HttpPolicy, inner: Application, app: Flask | None = None) -> None:
        self.policy, self.inner, self.app = policy, inner, app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        return self.policy.serve(environ, start_response, self)

    @property
    def propagates(self) -> bool:
        """Whether errors are for the server, a debugger or a test to see, as Flask decides it for those of views."""
        if self.app is None:
            return True
        told = self.app.config["PROPAGATE_EXCEPTIONS"]
        return bool(self.app.testing or self.app.debug if told is None else told)


@lru_cache(maxsize=8)
def _url_rule(url: Rules | None, hostname: str) -> UrlRule:
    return UrlRule(url, {"default": {"hostname": hostname}})


def base_url_without_policy(settings: Settings, environ: Environ) -> str:
    """The public base URL by a server's settings, in an application that has no HttpPolicy."""
    rule = _url_rule(settings.server.http.url, settings.lookup.default.hostname or "localhost")
    scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
    base = rule.base(environ, Client(environ.get("REMOTE_ADDR") or None, scheme))
    return base + environ.get("SCRIPT_NAME", "") if rule.is_default else base
