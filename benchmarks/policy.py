"""What the HTTP policy costs a request, in this process, beside ProxyFix + flask-cors + flask-talisman.

    python benchmarks/policy.py [ROUNDS]

Needs ``pip install flask-cors flask-talisman``. Every request comes from a trusted proxy and names one of 1,000 clients. The
variants take turns, and the fastest round of each counts.
"""

from __future__ import annotations

import gc
import io
import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response
from flask_cors import CORS
from flask_talisman import Talisman
from werkzeug.middleware.proxy_fix import ProxyFix

from flaskmail.decisions.client import Client
from flaskmail.decisions.cors import ALLOWED_HEADERS, ALLOWED_METHODS, EXPOSED
from flaskmail.hookspecs import hookimpl
from flaskmail.policy import HttpPolicy
from flaskmail.policy.rules import UrlRule

CLIENTS = 1000
SETTINGS: dict[str, Any] = {
    "url": "protocol + '://' + key_get('default', 'hostname') + ':' + local_port",
    "headers": ["X-Frame-Options: SAMEORIGIN", "Content-Security-Policy: default-src 'self'"],
    "use-x-forwarded": True,
    "hsts": True,
    "permissive-cors": True,
    "rate-limit": {"anonymous": False, "account": False},
}
LIMITED = SETTINGS | {"rate-limit": {"anonymous": "1000000/1m", "account": False}}


def bare() -> Flask:
    """An application with one view."""
    app = Flask("bench")

    @app.get("/")
    def index() -> Response:
        return Response(b"{}", content_type="application/json")

    return app


def others() -> Flask:
    """The three that are compared with, told to send the same."""
    app = bare()
    CORS(
        app,
        send_wildcard=True,
        expose_headers=EXPOSED.split(", "),
        allow_headers=ALLOWED_HEADERS.split(", "),
        methods=ALLOWED_METHODS.split(", "),
        max_age=7200,
    )
    Talisman(app)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


def ours(settings: dict[str, Any], plugins: Iterable[object] = ()) -> Flask:
    """The whole policy."""
    app = bare()
    HttpPolicy(app, settings, plugins)
    return app


def plugin(number: int, answer: list[tuple[str, str]] | None) -> object:
    """A plugin that answers response_headers."""

    def response_headers(policy: object, request: object, response: object) -> list[tuple[str, str]] | None:
        return answer

    return type(f"Plugin{number}", (), {"response_headers": staticmethod(hookimpl(response_headers))})


def environs() -> list[dict[str, Any]]:
    """A request from each client."""
    base: dict[str, Any] = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "10.0.0.1", "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False, "HTTP_HOST": "mail.example.org", "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "bench", "HTTP_ORIGIN": "https://app.example", "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_X_FORWARDED_PROTO": "https",
    }  # fmt: skip
    return [base | {"HTTP_X_FORWARDED_FOR": f"198.51.{n // 250}.{n % 250 + 1}"} for n in range(CLIENTS)]


def microseconds(app: Flask, requests: list[dict[str, Any]]) -> float:
    """Of CPU for each request of one round."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        assert status == "200 OK", status

    application: Callable[..., Any] = app.wsgi_app
    fresh = [environ | {"wsgi.input": io.BytesIO()} for environ in requests]
    # What another variant has left behind is not this one's to sweep up.
    gc.collect()
    begin = time.process_time()
    for environ in fresh:
        answer = application(environ, start)
        b"".join(answer)
        answer.close() if hasattr(answer, "close") else None
    return (time.process_time() - begin) / len(fresh) * 1e6


def url_microseconds() -> float:
    """Of the ``url`` expression when its inputs repeat."""
    rule = UrlRule(SETTINGS["url"], {"default": {"hostname": "mail.example.org"}})
    environ, client = environs()[0], Client("198.51.100.1", "https", trusted=True, forwarded=True, told=True)
    best = 1e9
    for _ in range(20):
        begin = time.process_time()
        for _ in range(10_000):
            rule.base(environ, client)
        best = min(best, (time.process_time() - begin) / 10_000 * 1e6)
    return best


def main() -> None:
    """Prints the table."""
    logging.disable(logging.CRITICAL)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    apps = {
        "bare Flask": bare(),
        "ProxyFix + flask-cors + flask-talisman": others(),
        "HttpPolicy": ours(SETTINGS),
        "HttpPolicy with rate limits": ours(LIMITED),
        "HttpPolicy and a plugin with a header": ours(SETTINGS, [plugin(0, [("X-Plugin", "yes")])]),
        "HttpPolicy and 5 plugins without one": ours(SETTINGS, [plugin(number, None) for number in range(5)]),
    }
    requests = environs()
    best = dict.fromkeys(apps, 1e9)
    for _ in range(rounds):
        for name, app in apps.items():
            best[name] = min(best[name], microseconds(app, requests))
    floor, theirs = best["bare Flask"], best["ProxyFix + flask-cors + flask-talisman"]
    for name, cost in best.items():
        print(f"{name:<40} {cost:7.1f} us   adds {cost - floor:6.1f} us   {(cost - floor) / (theirs - floor):5.2f}x")
    more = best["HttpPolicy and 5 plugins without one"] - best["HttpPolicy"]
    print(f"{'5 plugins with an empty hook':<40} {more:7.2f} us")
    print(f"{'url expression, inputs repeat':<40} {url_microseconds():7.2f} us")


if __name__ == "__main__":
    main()
