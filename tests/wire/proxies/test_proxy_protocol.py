"""HAProxy passes connections on with the PROXY protocol; TLS ends in the server."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest
from proxies import CLIENT, NAME, SERVER_ARGUMENTS, Seen, changed, passing_on, seen, settings_in

from flaskmail.testing import live_server

FORGED = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "Forwarded: for=6.6.6.6;proto=http"]


@pytest.fixture(scope="module")
def server(certificates, tmp_path_factory):
    config = changed(
        settings_in("haproxy-proxy-protocol.cfg"),
        [
            ("/etc/flaskmail/cert.pem", str(certificates.certificate)),
            ("/etc/flaskmail/key.pem", str(certificates.key)),
            ('trusted-networks = ["127.0.0.1"]', 'trusted-networks = ["127.0.0.1", "unix"]'),
        ],
    )
    context = certificates.trusting.__class__(certificates.trusting.protocol)
    context.load_verify_locations(str(certificates.authority))
    context.check_hostname = False
    with live_server(
        f'server.workers = 1\nlookup.default.hostname = "{NAME}"\n{config}',
        folder=tmp_path_factory.mktemp("proxy-protocol"),
        arguments=SERVER_ARGUMENTS,
        tls=context,
        source="127.0.0.8",
    ) as server:
        server.account("ann@example.org")
        yield server


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("version", [1, 2])
def test_the_client_is_the_one_that_came_to_the_balancer(server, certificates, tmp_path, version, unix):
    url = f"https://{NAME}{'' if unix else f':{server.port}'}/jmap/"
    with passing_on(tmp_path, server, certificates, version, unix) as proxy:
        for lines in ([], FORGED):
            assert seen(server, proxy, lines) == Seen(200, CLIENT, "https", "/jmap/session", url)
        # A client that the balancer cannot name: it came over a Unix socket.
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(tmp_path / "front.sock"))
        with certificates.trusting.wrap_socket(raw, server_hostname=NAME) as sock:
            sock.sendall(f"GET /unknown{version}{unix} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 404")
        # The balancer asks every 200 ms whether the server is alive; three times suffice to declare it dead.
        time.sleep(0.8)
        # One that it could not ask, as the machine is busy, is not dead for long: until it is alive, connections are closed.
        deadline, status = time.monotonic() + 60, None
        while status is None and time.monotonic() < deadline:
            with suppress(OSError):
                status = seen(server, proxy, []).status
        assert status == 200
    [unknown] = [line for line in server.log().splitlines() if f"/unknown{version}{unix} " in line]
    # In version 2 HAProxy says that the connection is its own.
    assert unknown.split()[1] == ("127.0.0.1" if version == 2 and not unix else "-")
    assert "Invalid request" not in server.log()
    assert "Traceback" not in server.log()
