"""Listeners of a running server: what each serves, TLS, and connections that a balancer passes on."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

import pytest
import trustme
from ports import free_ports
from workers import wait_for_workers, worker_ids

from flaskmail.decisions.proxyprotocol import SIGNATURE
from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 192, 0, 2, 1]) + struct.pack(">HH", 1234, 443)


def logged(server: LiveServer, path: str, count: int = 1) -> list[list[str]]:
    """The words of the lines of the access log about a path, as soon as there are so many."""
    deadline = time.monotonic() + 60
    while True:
        found = [line.split() for line in server.log().splitlines() if f" {path} " in line]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def ask(sock: socket.socket, path: str) -> bytes:
    """The status of the response to one request on an open connection; empty when the connection ends."""
    response = http.client.HTTPResponse(sock)
    try:
        # It may have ended before this is sent.
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        response.begin()
        response.read()
    except (OSError, http.client.HTTPException):
        return b""
    return str(response.status).encode()


def connect(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))


BALANCED = 'server.workers = 1\nserver.listener.a = { bind = "127.0.0.1:1", proxy.trusted-networks = ["127.0.0.2"] }\n'


@pytest.fixture(scope="module")
def ports():
    return free_ports(3)


@pytest.fixture(scope="module")
def routed(ports, tmp_path_factory):
    config = (
        "server.workers = 1\n"
        "server.http.url = \"'http://' + listener + '.example:' + local_port\"\n"
        f'server.listener.mail = {{ bind = ["127.0.0.1:{ports[0]}", "unix:mail.sock"], routes = ["jmap", "health"] }}\n'
        f'server.listener.start = {{ bind = "127.0.0.1:{ports[1]}", routes = ["discovery"] }}\n'
        f'server.listener.tokens = {{ bind = "127.0.0.1:{ports[2]}", auth.basic = false }}\n'
    )
    with live_server(config, folder=tmp_path_factory.mktemp("routes"), bind=()) as server:
        yield server


@pytest.fixture(scope="module", params=["gthread", "sync"])
def balanced(request, tmp_path_factory):
    config = f'server.worker-class = "{request.param}"\n' + BALANCED
    with live_server(config, folder=tmp_path_factory.mktemp("proxy"), source="127.0.0.9") as server:
        yield server


class TestRoutes:
    @pytest.mark.parametrize(
        ("listener", "path", "status"),
        [
            (0, "/jmap/session", 401),
            (0, "/healthz/live", 200),
            (0, "/.well-known/jmap", 404),
            (1, "/.well-known/jmap", 401),
            (1, "/jmap/session", 404),
            (1, "/jmap/", 404),
            (1, "/healthz/live", 404),
        ],
    )
    def test_a_listener_serves_its_groups_and_nothing_else(self, routed, ports, listener, path, status):
        # More than once: the first request of a process takes another way than those that follow.
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", ports[listener], timeout=60)
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == status
            if status == 404:
                assert response.headers["Content-Type"] == "application/problem+json"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
            connection.close()

    def test_expressions_know_listener_and_port(self, routed, ports):
        made = routed.cli("account", "create", "ann@example.org", "--password-stdin", input=f"{PASSWORD}\n")
        assert made.returncode == 0, made
        found = []
        for port, path in ((ports[0], "/jmap/session"), (ports[1], "/.well-known/jmap")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path, headers={"Authorization": basic("ann@example.org")})
            found.append(json.loads(connection.getresponse().read())["apiUrl"])
            connection.close()
        assert found == [f"http://mail.example:{ports[0]}/jmap/", f"http://start.example:{ports[1]}/jmap/"]

    def test_a_listener_may_take_tokens_only(self, routed, ports):
        made = routed.cli("account", "create", "bob@example.org", "--password-stdin", input=f"{PASSWORD}\n")
        assert made.returncode == 0, made
        token = routed.cli("token", "create", "bob@example.org", "--name", "t").stdout.split()[-1]

        def ask_for(port, authorization):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(
                "GET", "/jmap/session", headers={"Authorization": authorization} if authorization else {}
            )
            response = connection.getresponse()
            response.read()
            connection.close()
            return response.status, {one.split()[0] for one in response.headers.get_all("WWW-Authenticate") or ()}

        password = basic("bob@example.org")
        assert ask_for(ports[0], password) == (200, set())
        for refused in (password, password.replace("Basic", "BASIC"), None):
            assert ask_for(ports[2], refused) == (401, {"Bearer"})
        assert ask_for(ports[0], None) == (401, {"Bearer", "Basic"})
        assert ask_for(ports[2], f"Bearer {token}") == (200, set())

    def test_a_unix_socket_belongs_to_its_listener(self, routed):
        for path, status in (("/jmap/session", b"401"), ("/.well-known/jmap", b"404")):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(routed.folder / "mail.sock"))
                assert ask(sock, path) == status

    def test_a_reload_changes_what_is_served(self, routed, ports):
        config = routed.folder / "config.toml"
        config.write_text(config.read_text().replace('["discovery"]', '["health"]'))
        before = worker_ids(routed)
        routed.process.send_signal(signal.SIGHUP)
        # The old worker serves what it did until it is gone.
        wait_for_workers(routed, 1, gone=before)
        with connect(ports[1], "127.0.0.1") as sock:
            assert ask(sock, "/healthz/live") == b"200"
        assert "Settings: changed: server.listener.start.routes" in routed.log()
        with connect(ports[1], "127.0.0.1") as sock:
            assert ask(sock, "/.well-known/jmap") == b"404"

    def test_several_listeners_are_not_replaced_on_the_command_line(self, routed):
        with (
            pytest.raises(RuntimeError, match="do not give it -b"),
            live_server('server.listener = { a.bind = "127.0.0.1:1", b.bind = "127.0.0.1:2" }'),
        ):
            pass


class TestProxyProtocol:
    @pytest.mark.parametrize(
        ("name", "header", "client"),
        [
            ("v1", b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n", "203.0.113.7"),
            ("v1-6", b"PROXY TCP6 2001:db8::7 ::1 1234 443\r\n", "2001:db8::7"),
            ("v1-unknown", b"PROXY UNKNOWN\r\n", "-"),
            ("v2", V2, "203.0.113.9"),
            ("v2-unknown", SIGNATURE + b"\x21\x00\x00\x00", "-"),
            ("v2-local", SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.2"),
        ],
    )
    def test_the_client_is_the_one_in_the_header_for_every_request_of_the_connection(
        self, balanced, name, header, client
    ):
        with connect(balanced.port, "127.0.0.2") as sock:
            # In two pieces, as the network may deliver it.
            sock.sendall(header[:9])
            time.sleep(0.05)
            sock.sendall(header[9:])
            assert ask(sock, f"/{name}") == b"404"
            ask(sock, f"/{name}")
        wanted = 2 if "gunicornworker" in balanced.log() else 1
        found = logged(balanced, f"/{name}", wanted)
        assert {words[1] for words in found} == {client}
        assert wanted == 1 or len(found) == 2

    @pytest.mark.parametrize("header", [b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n", V2])
    def test_others_may_not_send_it(self, balanced, header):
        with connect(balanced.port, "127.0.0.3") as sock:
            sock.sendall(header)
            assert ask(sock, "/untrusted") in (b"400", b"")
        assert "/untrusted" not in balanced.log()

    def test_others_are_served_without_it(self, balanced):
        with connect(balanced.port, "127.0.0.3") as sock:
            assert ask(sock, "/direct") == b"404"
        assert {words[1] for words in logged(balanced, "/direct")} == {"127.0.0.3"}

    def test_a_balancer_may_not_leave_it_out(self, balanced):
        with connect(balanced.port, "127.0.0.2") as sock:
            assert ask(sock, "/without") in (b"400", b"")
        deadline = time.monotonic() + 60
        while "does not begin with a PROXY header" not in balanced.log():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert " /without " not in balanced.log()

    def test_forwarded_headers_change_nothing(self, balanced):
        with connect(balanced.port, "127.0.0.2") as sock:
            sock.sendall(V2)
            sock.sendall(
                b"GET /forged HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n"
            )
            assert sock.recv(1000).startswith(b"HTTP/1.1 404")
        [words] = logged(balanced, "/forged")
        assert (words[1], words[3]) == ("203.0.113.9", "http")


def test_balancers_may_be_named_by_a_plugin(tmp_path):
    (tmp_path / "named.py").write_text(
        "from flaskmail.hookspecs import hookimpl\n\n\n@hookimpl\ndef trusted_networks():\n"
        "    return {'balancers': ['127.0.0.2']}\n"
    )
    config = 'plugins.paths = ["named.py"]\n' + BALANCED.replace("127.0.0.2", "balancers")
    with live_server(config, folder=tmp_path, source="127.0.0.9") as server:
        with connect(server.port, "127.0.0.2") as sock:
            sock.sendall(V2)
            assert ask(sock, "/passed") == b"404"
        with connect(server.port, "127.0.0.3") as sock:
            sock.sendall(b"GET /other HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 404")
        assert [words[1] for words in logged(server, "/passed")] == ["203.0.113.9"]
        assert [words[1] for words in logged(server, "/other")] == ["127.0.0.3"]
        # Not the headers' key: the two do not go together.
        assert "set server.listener.a.proxy.trusted-networks" in server.log()


def test_the_header_comes_before_tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.check_hostname = False
    config = BALANCED.replace(" }", ', tls = { certificate = "cert.pem", private-key = "key.pem" } }')
    with live_server(config, folder=tmp_path, tls=context, source="127.0.0.9") as server:
        raw = connect(server.port, "127.0.0.2")
        raw.sendall(V2)
        with context.wrap_socket(raw) as sock:
            assert ask(sock, "/secret") == b"404"
            assert ask(sock, "/secret") == b"404"
        assert [(words[1], words[3]) for words in logged(server, "/secret", 2)] == [("203.0.113.9", "https")] * 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            "server.http.use-x-forwarded = true\n"
            'server.listener.a = { bind = "127.0.0.1:1", proxy.trusted-networks = ["127.0.0.2"] }\n',
            r"server\.listener\.a\.proxy\.trusted-networks.*use-x-forwarded",
        ),
        (
            'server.listener.a.bind = "127.0.0.1:1"\n'
            'server.listener.b = { bind = "127.0.0.1:2", proxy.trusted-networks = ["127.0.0.2"] }\n',
            r"server\.listener\.b\.proxy\.trusted-networks.*second process",
        ),
    ],
)
def test_what_does_not_go_together_does_not_start(tmp_path, config, said):
    (tmp_path / "config.toml").write_text(config)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:flaskmail.gunicornconf", "flaskmail.app:create_app()"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert done.returncode != 0
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr
