"""Domains, DKIM keys and DNS records on a running server, over HTTP and by the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nameserver import NameServer, name_server
from workers import each_worker

from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

from .conftest import ROOT, START

CONFIG = """
[lookup.default]
hostname = "mail.example.org"
[dns]
resolver = ["127.0.0.1:%d"]
timeout = "60s"
"""


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, names: NameServer) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("dns")
    with live_server(CONFIG % names.address[1], folder=folder, arguments=START, python_path=ROOT) as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        yield server


def ask(live: LiveServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": basic("admin"), "Content-Type": "application/json"}
    reply = live.send(method, f"/api{path}", headers, b"" if body is None else json.dumps(body).encode())
    return reply.status, json.loads(reply.body) if reply.body.startswith(b"{") else reply.body.decode()


def test_from_a_domain_to_its_published_records(live: LiveServer, names: NameServer) -> None:
    assert ask(live, "POST", "/domain", {"name": "example.org"})[0] == 200
    assert ask(live, "POST", "/dkim", {"domain": "example.org", "algorithm": "Ed25519"}) == (200, {"data": None})
    assert {ask(live, "GET", "/dkim/ed25519-example.org")[0] for _ in each_worker(live)} == {200}
    public = ask(live, "GET", "/dkim/ed25519-example.org")[1]["data"]

    status, zone = ask(live, "GET", "/dns/zone/example.org")
    assert (status, public in zone) == (200, True)
    missing = live.cli("domain", "check", "example.org")
    assert (missing.returncode, "missing    TXT    _dmarc.example.org." in missing.stdout) == (1, True)

    names.serve(zone + "mail.example.org. 60 IN A 192.0.2.1\n")
    checked = ask(live, "GET", "/dns/check/example.org")[1]["data"]
    assert (checked["complete"], {one["status"] for one in checked["items"]}) == (True, {"ok"})
    complete = live.cli("domain", "check", "example.org", "--json")
    assert (complete.returncode, json.loads(complete.stdout)) == (0, checked)

    assert ask(live, "DELETE", "/domain/example.org") == (200, {"data": None})
    assert {ask(live, "GET", "/dkim/ed25519-example.org")[0] for _ in each_worker(live)} == {404}


def test_the_command_line_makes_the_same(live: LiveServer) -> None:
    assert live.cli("domain", "create", "example.com").returncode == 0
    made = json.loads(live.cli("dkim", "create", "example.com", "--algorithm", "ed25519", "--json").stdout)
    assert ask(live, "GET", f"/dkim/{made['id']}") == (200, {"data": made["publicKey"]})
    records = ask(live, "GET", "/dns/records/example.com")[1]["data"]
    assert made["record"] in records
    assert json.loads(live.cli("domain", "dns", "example.com", "--json").stdout) == records


def test_no_private_key_is_logged_or_readable_by_others(live: LiveServer) -> None:
    data = Path(live.folder) / "data"
    assert ask(live, "POST", "/domain", {"name": "example.net"})[0] == 200
    assert ask(live, "POST", "/dkim", {"domain": "example.net"})[0] == 200
    assert "PRIVATE" not in live.log()
    for file in ("control.db", "secret.key"):
        assert os.stat(data / file).st_mode & 0o077 == 0
