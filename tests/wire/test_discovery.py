"""Discovery as it leaves gunicorn: octet for octet, from every worker, whatever Host is asked for."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from workers import each_worker

from flaskmail.testing import LiveServer, live_server

from .conftest import START

ROOT = Path(__file__).resolve().parents[2]
BASE = "https://mail.example.org"
CONFIG = f"""
[server]
workers = 2
[server.http]
url = "{BASE}"
https-redirect = false
[session.mta-sts]
mode = "testing"
mx = ["mx.example.org"]
[discovery.security-txt]
contact = ["mailto:security@example.org"]
# As it comes it changes at midnight.
expires = "{datetime.now(UTC) + timedelta(days=100):%Y-%m-%dT00:00:00Z}"
"""
DOCUMENTS = {
    "/.well-known/oauth-authorization-server": "application/json",
    "/.well-known/openid-configuration": "application/json",
    "/.well-known/oauth-protected-resource": "application/json",
    "/.well-known/oauth-protected-resource/jmap/session": "application/json",
    "/.well-known/security.txt": "text/plain; charset=utf-8",
    "/.well-known/mta-sts.txt": "text/plain; charset=utf-8",
    "/mail/config-v1.1.xml?emailaddress=a@example.org": "text/xml; charset=utf-8",
    "/robots.txt": "text/plain; charset=utf-8",
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("discovery")
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as server:
        server.account("a@example.org")
        yield server


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_worker_says_the_same_to_every_host(live: LiveServer, path: str) -> None:
    seen = set()
    hosts = ("mail.example.org", "evil.example", "mta-sts.example.net:99")
    for host in (one for _ in each_worker(live) for one in hosts):
        reply = live.send("GET", path, {"Host": host, "X-Forwarded-Host": "evil.example"}, b"")
        assert (reply.status, reply.header("Content-Type")) == (200, DOCUMENTS[path])
        assert reply.all("Access-Control-Allow-Origin") == ["*"]
        seen.add((reply.body, reply.header("ETag")))
    [(body, etag)] = seen
    assert b"evil" not in body
    assert b"127.0.0.1" not in body
    assert live.send("GET", path, {"If-None-Match": etag}, b"").status == 304
    if DOCUMENTS[path] == "application/json":
        assert json.loads(body).get("issuer", BASE) == BASE


def test_head_has_no_body_on_the_wire(live: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
        request = "".join(f"HEAD {path} HTTP/1.1\r\nHost: x.example\r\n\r\n" for path in DOCUMENTS)
        connection.sendall(request.encode() + b"GET /robots.txt HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert body == b"User-agent: *\nDisallow: /\n"
    assert head.count(b" 200 OK") == len(DOCUMENTS) + 1
    # Nothing stands between the heads.
    assert all(block.startswith(b"HTTP/1.") for block in head.split(b"\r\n\r\n"))


def test_a_raw_host_never_comes_back(live: LiveServer) -> None:
    targets = [
        *DOCUMENTS,
        "/.well-known/change-password",
        "/.well-known/jmap",
        "http://evil.example/robots.txt",
        "//evil.example/",
    ]
    for target in targets:
        for host in (b"evil.example", b"evil.example:1", b"EVIL.example."):
            with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
                connection.sendall(
                    f"GET {target} HTTP/1.1\r\nConnection: close\r\nHost: ".encode() + host + b"\r\n\r\n"
                )
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
            assert answer.startswith(b"HTTP/1.1 ")
            assert b" 500 " not in answer.split(b"\r\n")[0]
            assert b"evil" not in answer.lower(), (target, answer)
