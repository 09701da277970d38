"""Settings whose value depends on the request: the base URL and the status of an endpoint. Expressions meet decisions here."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from flaskmail.config.kinds import EXPRESSION, Rules
from flaskmail.decisions.access import ALLOWED, CLOSED, access_status
from flaskmail.decisions.client import Client
from flaskmail.decisions.mistakes import shown
from flaskmail.decisions.url import read_base_url
from flaskmail.errors import ConfigError, FlaskmailError, Problem
from flaskmail.expressions import HTTP_TYPES, Compiled, ExpressionErrors, Function, Type, compile_setting
from flaskmail.sockets import place

log = logging.getLogger("flaskmail.policy")

Environ = Mapping[str, Any]
Lookups = Mapping[str, Mapping[str, Any]]
Readable = Mapping[str, Any]

PORTS = {"http": 80, "https": 443}
DEFAULT_URL = "protocol + '://' + key_get('default', 'hostname') + ':' + local_port"
"""What holds where ``url`` is not set."""


def local_port(environ: Environ, client: Client) -> int:
    """The port that the client used: of the socket, or of what a trusted proxy says; the scheme's own where nobody knows."""
    if client.port is not None:
        return client.port
    if client.forwarded or client.told or client.host is not None:
        return PORTS[client.scheme]
    port = str(environ.get("SERVER_PORT") or "")
    if is_unix(environ) or not port.isdecimal() or not 0 < int(port) < 65536:
        return PORTS[client.scheme]
    return int(port)


def is_unix(environ: Environ) -> bool:
    """Whether the connection came over a Unix socket, for which gunicorn takes name and port from the Host header."""
    return "REMOTE_PORT" not in environ and ("gunicorn.socket" in environ or environ.get("flaskmail.peer") == "")


def _remote_port(environ: Environ, client: Client) -> int:
    port = str(environ.get("REMOTE_PORT") or "")
    return 0 if client.forwarded or not port.isdecimal() else int(port)


def _url(environ: Environ, client: Client) -> str:
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw is None:
        query = environ.get("QUERY_STRING")
        raw = _path(environ, client) + (f"?{query}" if query else "")
    return str(raw)


def _path(environ: Environ, client: Client) -> str:
    octets = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1", "replace")
    return str(octets.decode("utf-8", "replace"))


def _headers(environ: Environ, client: Client) -> list[str]:
    found = [
        f"{name[5:].replace('_', '-').lower()}: {value}"
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found.append(f"{name.replace('_', '-').lower()}: {environ[name]}")
    return found


READERS: dict[str, Callable[[Environ, Client], Any]] = {
    "listener": lambda environ, client: place(environ).listener,
    "remote_ip": lambda environ, client: client.address or "",
    "remote_port": _remote_port,
    "local_ip": lambda environ, client: place(environ).ip or "",
    "local_port": local_port,
    "protocol": lambda environ, client: client.scheme,
    "is_tls": lambda environ, client: int(client.scheme == "https"),
    "url": _url,
    "url_path": _path,
    "headers": _headers,
    "method": lambda environ, client: str(environ.get("REQUEST_METHOD", "")),
}
"""How the value of each variable of an expression is taken from a request; only those that it uses are."""


class Rule:
    """A setting that is an expression, ready for requests. constant: its value when it needs no request; constants: the values
    that it is known to give, each with the path of the member that gives it; text: as configured.

    expected: the types that its value may have. ConfigError when it is wrong; the keys of its problems begin behind the key of
    the setting."""

    def __init__(
        self,
        rules: object,
        lookups: Lookups,
        readable: Readable = MappingProxyType({}),
        functions: Iterable[Function] = (),
        expected: Type = Type.ANY,
    ) -> None:
        blocks = [dict(block) for block in rules] if isinstance(rules, tuple) else rules
        config = {**readable, "server.hostname": lookups.get("default", {}).get("hostname", "")}
        try:
            self._compiled: Compiled = compile_setting(
                blocks,
                variables=HTTP_TYPES,
                functions=functions,
                lookups=lookups,
                config_get=config,
                expected=expected,
            )
        except ExpressionErrors as errors:
            raise ConfigError([error.problem("settings", "") for error in errors.errors]) from None
        self.constant = self._compiled.constant
        self.text = EXPRESSION.write(rules) if isinstance(rules, tuple) else self._compiled.text
        one = () if self.constant is None else (("", self.constant),)
        self.constants: tuple[tuple[str, Any], ...] = self._compiled.outcomes or one
        self._readers = [(name, READERS[name]) for name in sorted(self._compiled.uses)]

    def variables(self, environ: Environ, client: Client) -> dict[str, Any]:
        """The variables that it uses, with their values for a request."""
        return {name: read(environ, client) for name, read in self._readers}

    def value(self, environ: Environ, client: Client, **instead: Any) -> Any:
        """The value for a request. instead: values of variables that count in place of the request's. Raises FlaskmailError."""
        values = self.variables(environ, client)
        return self._compiled.evaluate(values | instead if instead else values)


def _wrong(found: object, expected: str, path: str = "") -> Problem:
    return Problem("settings", path, shown(found), expected)


def _once(sentence: str) -> Callable[[Exception], None]:
    """Logs the first error that it is told."""
    told = False

    def complain(error: Exception) -> None:
        nonlocal told
        if not told:
            told = True
            log.error(sentence, error)

    return complain


class UrlRule:
    """The setting ``url``. rules: as configured, None for the default. constant: the base URL when all requests have the same;
    rule: what gives it otherwise; complain: told when that fails for a request.

    ConfigError as for Rule, also for a constant that is no base URL."""

    def __init__(
        self,
        rules: Rules | None,
        lookups: Lookups,
        readable: Readable = MappingProxyType({}),
        functions: Iterable[Function] = (),
    ) -> None:
        self.is_default = rules is None
        self.constant: str | None = None
        self._default = self.rule = Rule(DEFAULT_URL, lookups)
        self._checked = lru_cache(maxsize=1024)(read_base_url)
        self.complain = _once("the setting url gives no base URL, the default is used instead: %s")
        value: object = None
        if isinstance(rules, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", rules):
            # A URL as it stands is no expression.
            value = rules
        elif rules is not None:
            self.rule = Rule(rules, lookups, readable, functions, Type.TEXT)
            value = self.rule.constant
        if value is not None:
            self.constant = self._expected([("", value)])
        elif rules is not None:
            self._expected(self.rule.constants)

    @staticmethod
    def _expected(values: Iterable[tuple[str, object]]) -> str | None:
        """The last one, as a base URL. ConfigError when one is none."""
        url, problems = None, []
        for path, value in values:
            try:
                url = read_base_url(str(value))
            except ValueError as error:
                problems.append(_wrong(value, str(error), path))
        if problems:
            raise ConfigError(problems)
        return url

    def base(self, environ: Environ, client: Client) -> str:
        """The base URL for a request, without a slash at its end."""
        return self.constant if self.constant is not None else self._evaluate(environ, client)

    def secure(self, environ: Environ, client: Client) -> str | None:
        """The base URL that the request would have if it had come over HTTPS; None when that is no https address."""
        base = self.constant
        if base is None:
            base = self._evaluate(environ, client, protocol="https", is_tls=1, local_port=443)
        return base if base.startswith("https://") else None

    def _evaluate(self, environ: Environ, client: Client, **instead: Any) -> str:
        value = ""
        try:
            value = str(self.rule.value(environ, client, **instead))
            return self._checked(value)
        except FlaskmailError as error:
            self.complain(error)
        except ValueError as error:
            self.complain(ValueError(f"found {shown(value)}, expected {error}"))
        # Where the request would have to be believed, only what is configured is.
        return self._checked(str(self._default.value(environ, client, **instead)))


class AccessRule:
    """The setting ``allowed-endpoint``, where it is more than 200 for all. rule: what gives the status; complain: told when it
    fails for a request."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.complain = _once("the setting allowed-endpoint failed for a request, which is refused: %s")

    @classmethod
    def of(
        cls,
        rules: Rules,
        lookups: Lookups,
        readable: Readable = MappingProxyType({}),
        functions: Iterable[Function] = (),
    ) -> AccessRule | None:
        """The rule; None when every request passes. ConfigError as for Rule, also for a constant that is no status."""
        rule = Rule(rules, lookups, readable, functions, Type.SCALAR)
        problems = [_wrong(value, _STATUS, path) for path, value in rule.constants if _is_no_status(value)]
        if problems:
            raise ConfigError(problems)
        return None if rule.constant is not None and access_status(rule.constant) == ALLOWED else cls(rule)

    def status(self, environ: Environ, client: Client) -> int:
        """200, or the status of the refusal."""
        try:
            value = self.rule.value(environ, client)
        except FlaskmailError as error:
            self.complain(error)
            return CLOSED
        status = access_status(value)
        if status == CLOSED and _is_no_status(value):
            self.complain(ValueError(f"found {shown(value)}, expected {_STATUS}"))
        return status


_STATUS = "a status: 200, or one from 400 to 599"


def _is_no_status(value: object) -> bool:
    return access_status(value) == CLOSED and str(value) not in (f"{CLOSED}", f"{CLOSED}.0")
