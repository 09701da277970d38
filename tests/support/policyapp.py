"""A bare Flask application for tests of the HTTP policy, and requests in the form of the test vectors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from werkzeug.test import run_wsgi_app

VARIABLE = "FLASKMAIL_TEST_VECTORS"


def vectors(name: str) -> list[Any]:
    """The rows of a file of test vectors, as parameters; one that is skipped when nobody says where they are."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return [pytest.param(None, marks=pytest.mark.skip(f"{VARIABLE} names no folder with test vectors"), id=name)]
    rows = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    return [pytest.param(row, id=row["name"]) for row in rows]


def bare_app() -> Flask:
    """Routes of every kind, and ``/seen`` that tells who the request comes from."""
    app = Flask("bare")

    def told() -> Response:
        return jsonify(
            client_ip=request.remote_addr,
            proto=request.scheme,
            host=request.environ.get("HTTP_HOST"),
            path=request.path,
            keys=[name for name in request.environ if name.isupper()],
        )

    for path in ("/", "/x", "/seen", "/jmap/", "/.well-known/jmap", "/api/principal"):
        app.add_url_rule(path, f"view-{path}", told, methods=["GET", "POST"])

    @app.get("/jmap/session")
    def session() -> Response:
        response = jsonify({})
        response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
        return response

    @app.get("/jmap/eventsource/")
    def events() -> Response:
        response = Response((piece for piece in (b": hello\n\n", b"")), content_type="text/event-stream")
        response.headers["Content-Type"] = "text/event-stream"
        return response

    @app.get("/plugin-sets-hsts")
    def sets_hsts() -> Response:
        response = jsonify({})
        response.headers["Strict-Transport-Security"] = "max-age=1"
        return response

    @app.route("/status/<int:status>", methods=["GET", "POST", "PUT"])
    def status(status: int) -> Response:
        response = Response(b"" if status in (204, 304) else b"x", status)
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @app.get("/boom")
    def boom() -> Response:
        raise RuntimeError("boom")

    return app


def environ_of(row: dict[str, Any], path: str = "/seen", method: str = "GET") -> dict[str, Any]:
    """The WSGI environ of a row with ``socket_peer``, ``socket_scheme`` (or ``scheme``) and ``headers``."""
    scheme = row.get("socket_scheme") or row.get("scheme") or "http"
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443" if scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": row.get("socket_peer", "203.0.113.99"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": __import__("io").BytesIO(),
        "wsgi.errors": __import__("sys").stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    lines: dict[str, list[str]] = {}
    for name, value in row.get("headers", ()):
        octets = value.encode() if any(ord(character) > 0xFF for character in value) else value.encode("latin-1")
        lines.setdefault("HTTP_" + name.upper().replace("-", "_"), []).append(octets.decode("latin-1"))
    environ["HTTP_HOST"] = "mail.example"
    return environ | {name: ",".join(values) for name, values in lines.items()}


class Answered:
    """A response. headers: (name, value) in order."""

    def __init__(self, app: Any, environ: dict[str, Any]) -> None:
        pieces, status, headers = run_wsgi_app(app, environ, buffered=True)
        self.status, self.headers = int(status.split()[0]), [(str(name), str(value)) for name, value in headers]
        self.body = b"".join(pieces)

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def check(expect: dict[str, Any], status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    """Asserts what a row of ``http_policy.json`` expects of a response."""

    def values(name: str) -> list[str]:
        return [value for key, value in headers if key.lower() == name.lower()]

    def members(text: str) -> set[str]:
        return {member.strip().lower() for member in text.split(",")}

    if "status" in expect:
        wanted = expect["status"]
        assert status in (wanted if isinstance(wanted, list) else [wanted])
    if "status_not" in expect:
        unwanted = expect["status_not"]
        assert status not in (unwanted if isinstance(unwanted, list) else [unwanted])
    for name, value in expect.get("headers", {}).items():
        assert len(values(name)) == 1, (name, headers)
        if name.lower().startswith("access-control-"):
            assert members(value) <= members(values(name)[0])
        elif name.lower() == "content-type":
            assert values(name)[0].partition(";")[0] == value
        else:
            assert values(name) == [value]
    for name, part in expect.get("header_contains", {}).items():
        assert part.lower() in ", ".join(values(name)).lower(), (name, headers)
    for name, part in expect.get("header_contains_not", {}).items():
        assert part.lower() not in ", ".join(values(name)).lower(), (name, headers)
    for name in expect.get("absent", ()):
        assert not values(name), (name, headers)
    for name, count in expect.get("count", {}).items():
        assert len(values(name)) == count, (name, headers)
    for name, most in expect.get("header_max_len", {}).items():
        assert all(len(value) <= most for value in values(name))
    if "body" in expect:
        assert body == expect["body"].encode()
