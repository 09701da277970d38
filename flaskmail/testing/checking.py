"""What every plugin has to keep to, whatever it does."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from typing import Any

from werkzeug.test import run_wsgi_app

from flaskmail.errors import ConfigError
from flaskmail.testing.servers import PASSWORD, MadeServer, basic, make_server

NAME = "alice@example.org"

_PATHS = [
    "/", "", "//", "/jmap/", "/jmap/session", "/.well-known/jmap", "/jmap/eventsource/", "/login", "/healthz/live",
    "/\xff\xfe", "/%00", "/\x00", "/a\r\nX-B: c", "/..", "/jmap/../..", "/" + "a" * 5000, "/\xe2\x80\xa8", "*", "http://other.example/",
]  # fmt: skip
_HEADERS: list[dict[str, str]] = [
    {},
    {"HTTP_ORIGIN": "null"},
    {"HTTP_ORIGIN": "https://" + "a" * 3000 + ".example"},
    {"HTTP_ORIGIN": "https://app.example\xff", "HTTP_REFERER": "\x80"},
    {"HTTP_ORIGIN": "", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": ""},
    {"HTTP_AUTHORIZATION": "Basic"},
    {"HTTP_AUTHORIZATION": "Bearer \xff\xfe"},
    {"HTTP_AUTHORIZATION": "Nonsense " + "x" * 9000},
    {"HTTP_AUTHORIZATION": "Basic " + "=" * 40, "HTTP_COOKIE": "a=b; =; \xff; c"},
    {"HTTP_X_FORWARDED_FOR": "unknown, 300.1.1.1, ::1%eth0", "HTTP_FORWARDED": 'for="[::1'},
    {"HTTP_X_REQUEST_ID": "\x01" * 200, "HTTP_USER_AGENT": ""},
    {"HTTP_ACCEPT": "*/*;q=\xb2", "HTTP_ACCEPT_LANGUAGE": "," * 2000, "HTTP_IF_NONE_MATCH": '"'},
    {"HTTP_RANGE": "bytes=-0", "CONTENT_TYPE": "text/\xff", "CONTENT_LENGTH": "0"},
    {"QUERY_STRING": "a=%ff&%00=;&=" + "&" * 500},
]
_PEERS = ["127.0.0.1", "", "::1", "fe80::1%eth0", "203.0.113.9", "::ffff:192.0.2.1", "no address"]
_METHODS = ["GET", "POST", "OPTIONS", "HEAD", "BREW"]


def odd_requests() -> Iterator[dict[str, Any]]:
    """WSGI environs as clients and scanners send them: every path by every method, every header from every kind of peer."""
    for path in _PATHS:
        for method in _METHODS:
            yield _environ(method, path, "127.0.0.1", {})
    for peer in _PEERS:
        for headers in _HEADERS:
            yield _environ("GET", "/jmap/session", peer, headers)
    for headers in _HEADERS:
        yield _environ("OPTIONS", "/jmap/", "203.0.113.9", {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"} | headers)
        yield _environ("POST", "/jmap/", "203.0.113.9", {"HTTP_AUTHORIZATION": basic(NAME)} | headers)


def _environ(method: str, path: str, peer: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8080",
        "REMOTE_ADDR": peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }


def check_plugin(plugin: object, config: str = "") -> None:
    """Raises AssertionError with everything that is wrong with a plugin.

    plugin: a module or an object with hooks. config: TOML text that it needs. It has to load by itself, twice in one process;
    implement at least one hook, and none that does not exist; answer some hundred odd requests without a failure, a 500 or a
    header that cannot be sent; and leave another application in the same process as it was."""
    with make_server() as other:
        other.server.create_account(NAME, PASSWORD)
        before = _answers(other)
        wrong = _alone(plugin, config) or _alone(plugin, config)
        after = _answers(other)
    changed = [asked for asked, was, now in zip(_names(), before, after, strict=True) if was != now]
    if changed:
        wrong.append(f"another application in the same process answers {changed[0]} in another way than before")
    if wrong:
        raise AssertionError("\n".join(wrong))


def _alone(plugin: object, config: str) -> list[str]:
    """What is wrong with the plugin in a server of its own."""
    try:
        with make_server(plugins=[plugin], config=config) as made:
            manager = made.server.plugins
            if not any(manager.hooks_of(one.name) for one in manager.found if one.source == "given"):
                return ["it implements no hook: is an implementation without @hookimpl?"]
            wrong: list[str] = []
            made.server.create_account(NAME, PASSWORD)
            for asked, (status, headers) in zip(_names(), _answers(made), strict=True):
                if status == 500:
                    wrong.append(f"{asked} is answered with 500")
                bad = [name for name, value in headers if re.search(r"[\r\n\0]", name + value)]
                wrong += (f"{asked} is answered with a header {name!r} that cannot be sent" for name in bad)
            wrong += (
                f"{name} failed {count} times in {hook}; the log says how"
                for (name, hook), count in manager.failures.items()
            )
            return list(dict.fromkeys(wrong))
    except ConfigError as error:
        return [f"it does not load alone: {error}"]


def _names() -> list[str]:
    return [f"{one['REQUEST_METHOD']} {ascii(one['PATH_INFO'])[:60]}" for one in odd_requests()]


_FICKLE = frozenset({"date", "etag", "content-length"})


def _answers(made: MadeServer) -> list[tuple[int, list[tuple[str, str]]]]:
    """Status and headers of the answer to each odd request, but for those that differ from one time to the next."""
    found = []
    for environ in odd_requests():
        _, status, headers = run_wsgi_app(made.app.wsgi_app, environ, buffered=True)
        kept = [(name, _lasting(name, value)) for name, value in headers if name.lower() not in _FICKLE]
        found.append((int(status[:3]), kept))
    return found


def _lasting(name: str, value: str) -> str:
    # A cookie's value is new for each browser. What stays are its name and its attributes.
    return re.sub(r"=[^;]*", "=", value, count=1) if name.lower() == "set-cookie" else value


__all__ = ["check_plugin", "odd_requests"]
