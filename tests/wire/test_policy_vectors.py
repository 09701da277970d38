"""The rows of the test vectors that a socket can carry, against gunicorn: over TCP and a Unix socket, plain and with TLS.

A peer of 10.0.0.0/8 becomes a client bound to 127.0.0.2, any other one a client bound to 127.0.0.3. Peers with IPv6, zones or
mapped addresses stay in-process, and so does a public peer where every loopback address is trusted.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from policyapp import check, vectors

TESTS = Path(__file__).parents[1]
APPLICATION = f"""
import json, sys
sys.path.insert(0, {str(TESTS / "support")!r})
from policyapp import bare_app
from flaskmail.policy import HttpPolicy

applications = {{}}

def application(environ, start_response):
    # Which policy a request is for; the rest of it is as the client sent it.
    text = environ.pop("HTTP_X_TEST_SETTINGS", "{{}}")
    if text not in applications:
        app = bare_app()
        HttpPolicy(app, json.loads(text))
        applications[text] = app
    return applications[text](environ, start_response)
"""
TRUSTED, UNTRUSTED = "127.0.0.2", "127.0.0.3"


@dataclass(frozen=True)
class Running:
    """port: of the loopback listener; path: of the Unix socket; tls: None for plain."""

    port: int
    path: str
    tls: ssl.SSLContext | None

    def send(self, peer: str | None, method: str, path: str, headers: list[tuple[str, str]]) -> tuple[Any, bytes]:
        """The response and its body. peer: the address that the client is bound to; None for the Unix socket."""
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
        encoded = [
            line.encode() if any(ord(character) > 0xFF for character in line) else line.encode("latin-1")
            for line in lines
        ]
        sock = socket.socket(socket.AF_UNIX if peer is None else socket.AF_INET)
        sock.settimeout(60)
        if peer is None:
            sock.connect(self.path)
        else:
            sock.bind((peer, 0))
            sock.connect(("127.0.0.1", self.port))
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        with sock:
            sock.sendall(b"\r\n".join(encoded) + b"\r\n\r\n")
            response = http.client.HTTPResponse(sock, method=method)
            response.begin()
            return response, response.read()


@contextmanager
def gunicorn(folder: Path, tls: ssl.SSLContext | None, *arguments: str) -> Iterator[Running]:
    """gunicorn with a policy for each request, on an ephemeral port and a Unix socket."""
    (folder / "rows.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "-b", f"unix:{folder}/s", *arguments]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "rows:application"], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            text = (folder / "log").read_text()
            if "127.0.0.1:" in text and "Booting worker" in text:
                break
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        port = int(re.findall(r"127\.0\.0\.1:([0-9]+)", text)[-1])
        yield Running(port, f"{folder}/s", tls)
    finally:
        process.terminate()
        process.wait(60)


OURS = ("-c", "python:flaskmail.gunicornconf", "-w", "1")
# gunicorn as it comes takes the scheme from headers, of every peer of a Unix socket too.
USUAL = ("--threads", "4")


@pytest.fixture(scope="module", params=[OURS, USUAL], ids=["our-configuration", "gunicorn-as-it-comes"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gunicorn(tmp_path_factory.mktemp("plain"), None, *request.param) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("secure")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with gunicorn(
        folder, context, "--certfile", "cert.pem", "--keyfile", "key.pem", "-w", "1", "--threads", "4"
    ) as running:
        yield running


def is_trusted(peer: str) -> bool:
    return peer.startswith(("10.", "192.168.", "127."))


def settings_for(row: dict[str, Any], *, unix: bool) -> dict[str, Any]:
    """The settings of a row, with the peers of this test in place of the row's. Hops that headers name stay trusted."""
    settings = dict(row["settings"])
    members = settings.get("trusted-proxies")
    if members is not None:
        peer = row.get("socket_peer") or (row.get("request") or {}).get("socket_peer", "203.0.113.7")
        ours = ("unix" if unix else f"{TRUSTED}/32") if is_trusted(peer) or "unix" in members else None
        settings["trusted-proxies"] = [one for one in members if one not in ("127.0.0.0/8", "unix")] + (
            [ours] if ours else []
        )
    return settings


FORWARDED = [
    row
    for row in vectors("forwarded.json")
    if not (
        row.values[0]
        and (
            ":" in row.values[0]["socket_peer"]
            or row.values[0]["expect"].get("config_error")
            or row.values[0]["name"] == "toggle-alone-public-peer"
        )
    )
]
POLICY = [
    row for row in vectors("http_policy.json") if not (row.values[0] and row.values[0]["expect"].get("config_error"))
]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("row", FORWARDED)
def test_who_the_client_is(row: dict[str, Any], unix: bool, request: pytest.FixtureRequest, plain: Running) -> None:
    peer, expect = row["socket_peer"], row["expect"]
    if unix and row["settings"].get("trusted-proxies") is None and peer and not is_trusted(peer):
        return
    running = request.getfixturevalue("secure") if row["socket_scheme"] == "https" else plain
    headers = [("X-Test-Settings", json.dumps(settings_for(row, unix=unix))), *map(tuple, row["headers"])]
    bound = None if unix else TRUSTED if is_trusted(peer) or not peer else UNTRUSTED
    if not peer and not unix:
        return
    response, body = running.send(bound, "GET", "/seen", headers)
    if "error" in expect:
        assert response.status == expect["status"]
        return
    assert response.status == 200, body
    seen = json.loads(body)
    wanted = expect["client_ip"]
    if wanted == peer and not any(peer in value for _, value in row["headers"]):
        wanted = bound
    assert (seen["client_ip"], seen["proto"], seen["host"]) == (wanted, expect["proto"], expect["host"])


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("row", POLICY)
def test_what_goes_out(row: dict[str, Any], unix: bool, request: pytest.FixtureRequest, plain: Running) -> None:
    asked, expect = row["request"], row["expect"]
    running = request.getfixturevalue("secure") if asked["scheme"] == "https" else plain
    peer = asked.get("socket_peer", "203.0.113.7")
    headers = [
        ("Host", "mail.example"),
        ("X-Test-Settings", json.dumps(settings_for(row, unix=unix))),
        *map(tuple, asked["headers"]),
    ]
    bound = None if unix else TRUSTED if is_trusted(peer) else UNTRUSTED
    # An application is made, with its policy, before it is asked.
    running.send(bound, "GET", "/x", headers[:2])
    response, body = running.send(bound, asked["method"], asked["path"], headers)
    if "when_status" in expect and response.status != expect["when_status"]:
        response, body = running.send(bound, "GET", f"/status/{expect['when_status']}", headers)
        assert response.status == expect["when_status"]
    check(expect, response.status, response.getheaders(), body)
