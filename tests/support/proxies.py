"""Real proxies in front of a running server: nginx, Caddy and HAProxy with the recipes of the documentation, or bare."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from ports import free_ports

from flaskmail.testing import LiveServer, basic

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "proxies"
NAME = "mail.example.org"
CLIENT = "127.0.0.9"
"""Where the client of every test comes from."""


def needed(program: str) -> str:
    """The path of a proxy's program; the test is skipped where it is not installed."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed (apt-get install nginx-light caddy haproxy)")
    return found


class Certificates:
    """A certificate for NAME in a folder: cert.pem, key.pem, and both in all.pem. trusting: a context that believes it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        made = authority.issue_cert(NAME)
        self.certificate, self.key, self.all = folder / "cert.pem", folder / "key.pem", folder / "all.pem"
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        self.key.write_bytes(made.private_key_pem.bytes())
        self.all.write_bytes(made.private_key_and_cert_chain_pem.bytes())
        self.authority = folder / "ca.pem"
        self.authority.write_bytes(authority.cert_pem.bytes())
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)


@dataclass(frozen=True)
class Proxy:
    """A running proxy. port: for HTTPS, or for HTTP when there is no TLS; plain: its port for HTTP, or None."""

    port: int
    plain: int | None
    tls: ssl.SSLContext | None


def changed(text: str, changes: Iterable[tuple[str, str]]) -> str:
    """The text with its placeholders replaced; each must be there."""
    for old, new in changes:
        assert old in text, f"the recipe has no {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def running(command: Sequence[str], folder: Path, ports: Sequence[int]) -> Iterator[None]:
    """A process that listens at these ports of the loopback interface; ended at the end."""
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        for port in ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError((folder / "proxy.log").read_text()) from None
                    time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def upstream(server: LiveServer, unix: bool, prefix: str) -> str:
    """How a proxy names the server's socket."""
    return f"{prefix}{server.folder / 'http.sock'}" if unix else f"127.0.0.1:{server.port}"


@contextmanager
def nginx(folder: Path, text: str, ports: Sequence[int]) -> Iterator[None]:
    """nginx with this text in its http block."""
    temporary = "".join(
        f"    {kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "flaskmail.conf").write_text(text)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nuser {getpass.getuser()};\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\n    access_log off;\n{temporary}    include {folder}/flaskmail.conf;\n}}\n"
    )
    with running([needed("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], folder, ports):
        yield


@contextmanager
def caddy(folder: Path, text: str, ports: Sequence[int], http: int, https: int) -> Iterator[None]:
    """Caddy with this Caddyfile."""
    # Not HTTP/3: its datagrams would need a free port of their own.
    chosen = ("admin off", "default_bind 127.0.0.1", f"http_port {http}", f"https_port {https}")
    options = "".join(f"\t{one}\n" for one in (*chosen, "servers {", "\tprotocols h1 h2", "}"))
    (folder / "Caddyfile").write_text(f"{{\n{options}}}\n{text}")
    command = [needed("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with running(command, folder, ports):
        yield


@contextmanager
def haproxy(folder: Path, text: str, ports: Sequence[int]) -> Iterator[None]:
    """HAProxy with this text behind a minimal global section."""
    (folder / "haproxy.cfg").write_text("global\n    maxconn 200\n\n" + text)
    with running([needed("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], folder, ports):
        yield


@contextmanager
def with_recipe(
    kind: str, folder: Path, server: LiveServer, certificates: Certificates, unix: bool = False
) -> Iterator[Proxy]:
    """The proxy as the documentation says, in front of the server's TCP or Unix socket."""
    https, http = free_ports(2)
    proxy = Proxy(https, http, certificates.trusting)
    if kind == "nginx":
        text = changed(
            (RECIPES / "nginx.conf").read_text(),
            [
                ("server 127.0.0.1:8080;", f"server {upstream(server, unix, 'unix:')};"),
                ("listen 80;", f"listen 127.0.0.1:{http};"),
                ("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
                ("/etc/ssl/mail.example.org/cert.pem", str(certificates.certificate)),
                ("/etc/ssl/mail.example.org/key.pem", str(certificates.key)),
            ],
        )
        with nginx(folder, text, (https, http)):
            yield proxy
    elif kind == "caddy":
        text = changed(
            (RECIPES / "Caddyfile").read_text(),
            [
                ("reverse_proxy 127.0.0.1:8080", f"reverse_proxy {upstream(server, unix, 'unix/')}"),
                ("/etc/ssl/mail.example.org/cert.pem", str(certificates.certificate)),
                ("/etc/ssl/mail.example.org/key.pem", str(certificates.key)),
            ],
        )
        with caddy(folder, text, (https, http), http, https):
            yield proxy
    else:
        text = changed(
            (RECIPES / "haproxy.cfg").read_text(),
            [
                ("server flaskmail 127.0.0.1:8080", f"server flaskmail {upstream(server, unix, '')}"),
                ("bind :80\n", f"bind 127.0.0.1:{http}\n"),
                ("bind :443 ", f"bind 127.0.0.1:{https} "),
                ("/etc/haproxy/mail.example.org.pem", str(certificates.all)),
            ],
        )
        with haproxy(folder, text, (https, http)):
            yield proxy


BARE = {
    "nginx": "server {{\n    listen 127.0.0.1:{port};\n    location / {{\n        proxy_pass http://{server};\n    }}\n}}\n",
    "caddy": "http://mail.example.org {{\n\treverse_proxy {server}\n}}\n",
    "haproxy": (
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n    option forwardfor\n\n"
        "frontend mail\n    bind 127.0.0.1:{port}\n    default_backend mail\n\nbackend mail\n    server mail {server}\n"
    ),
}
"""What many start with: no more than where the server is (and HAProxy's option forwardfor)."""


@contextmanager
def bare(kind: str, folder: Path, server: LiveServer) -> Iterator[Proxy]:
    """The proxy with its defaults, over plain HTTP."""
    [port, other] = free_ports(2)
    text = BARE[kind].format(port=port, server=upstream(server, False, ""))
    started = {
        "nginx": lambda: nginx(folder, text, (port,)),
        "caddy": lambda: caddy(folder, text, (port,), port, other),
        "haproxy": lambda: haproxy(folder, text, (port,)),
    }[kind]
    with started():
        yield Proxy(port, None, None)


def exchange(
    proxy: Proxy, lines: Sequence[str], *, plain: bool = False, path: str = "/jmap/session"
) -> tuple[int, bytes, bytes]:
    """(status, head, body) of the answer to one request with these header lines, from CLIENT."""
    names = {line.partition(":")[0].lower() for line in lines}
    head = [f"GET {path} HTTP/1.1", *lines]
    if "host" not in names:
        head.append(f"Host: {NAME}")
    if "connection" not in names:
        head.append("Connection: close")
    head.append(f"Authorization: {basic('ann@example.org')}")
    port = proxy.plain if plain else proxy.port
    assert port is not None
    sock = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(CLIENT, 0))
    if proxy.tls is not None and not plain:
        sock = proxy.tls.wrap_socket(sock, server_hostname=NAME)
    with sock:
        sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    if not answer:
        raise ConnectionResetError("the proxy ended the connection without an answer")
    start, _, body = answer.partition(b"\r\n\r\n")
    return int(start.split(b" ", 2)[1]), start, body


@dataclass(frozen=True)
class Seen:
    """What the server made of a request: its status, the client, scheme and path in the access log ("-" for an unknown client),
    and the apiUrl of the session."""

    status: int
    client: str = ""
    scheme: str = ""
    path: str = ""
    url: str = ""


def seen(server: LiveServer, proxy: Proxy, lines: Sequence[str], *, plain: bool = False) -> Seen:
    """Asks for the session with these header lines, and reads the access log."""
    before = _access(server)
    status, head, body = exchange(proxy, lines, plain=plain)
    # A session came from there. Of anything else the line may never come; where it does, it comes before the answer.
    for _ in range(6000 if status == 200 and body else 10):
        new = _access(server)[len(before) :]
        if new:
            break
        time.sleep(0.01)
    else:
        # It never came to the server.
        return Seen(status)
    assert len(new) == 1, new
    words = new[0].split()
    if b"chunked" in head.lower():
        body = body.split(b"\r\n", 1)[1].rsplit(b"\r\n0", 1)[0]
    url = json.loads(body)["apiUrl"] if status == 200 else ""
    return Seen(status, words[1], words[3], words[5], url)


def _access(server: LiveServer) -> list[str]:
    return [line for line in server.log().splitlines() if " GET /" in line and "healthz" not in line]


SERVER_ARGUMENTS = ("-b", "unix:http.sock", "-c", "python:flaskmail.gunicornconf", "flaskmail.app:create_app()")
"""For live_server: the server listens at a Unix socket too."""


@contextmanager
def passing_on(
    folder: Path, server: LiveServer, certificates: Certificates, version: int, unix: bool
) -> Iterator[Proxy]:
    """HAProxy passing connections on with the PROXY protocol, as the documentation says; it listens at ``front.sock`` too."""
    [port] = free_ports(1)
    text = changed(
        (RECIPES / "haproxy-proxy-protocol.cfg").read_text(),
        [
            ("server flaskmail 127.0.0.1:8443", f"server flaskmail {upstream(server, unix, '')}"),
            ("bind :443\n", f"bind 127.0.0.1:{port}\n    bind {folder}/front.sock\n"),
            (" send-proxy-v2 check ", f" send-proxy{'-v2' if version == 2 else ''} check inter 200ms "),
        ],
    )
    with haproxy(folder, text, (port,)):
        yield Proxy(port, None, certificates.trusting)


def settings_in(recipe: str) -> str:
    """The settings that a recipe names in its comment."""
    lines = (RECIPES / recipe).read_text().splitlines()
    return "\n".join(line.removeprefix("#     ") for line in lines if line.startswith("#     ")) + "\n"
