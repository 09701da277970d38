"""``flaskmail doctor`` behind real proxies: content with the recipes, and in plain words about everything else."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from ports import free_ports
from proxies import NAME, RECIPES, SERVER_ARGUMENTS, bare, changed, nginx, with_recipe

from flaskmail.config import load
from flaskmail.doctor import asking
from flaskmail.doctor.asking import read_target
from flaskmail.doctor.examining import examine
from flaskmail.doctor.findings import RECIPES as LINES
from flaskmail.doctor.findings import Finding
from flaskmail.doctor.key import key_in
from flaskmail.testing import LiveServer, live_server

KINDS = ["nginx", "caddy", "haproxy"]


@pytest.fixture(autouse=True)
def believed(certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    # None of these servers is slow, but the machine may be.
    monkeypatch.setattr(asking, "PATIENCE", 60.0)


def diagnosis(server: LiveServer, port: int, url: str = f"https://{NAME}") -> dict[str, Finding]:
    """The findings that are not right by their code."""
    data = server.folder / "data"
    with key_in(data) as key:
        found = list(
            examine(read_target(url, ("127.0.0.1", port)), load(server.folder / "config.toml", {}).server.http, key)
        )
    assert not list(data.glob("doctor-*"))
    assert all(one.why and one.fix for one in found if one.level == "wrong")
    return {one.code: one for one in found if one.level != "right"}


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_recipes_are_right(trusting, certificates, tmp_path, kind, unix):
    with with_recipe(kind, tmp_path, trusting, certificates, unix) as proxy:
        assert diagnosis(trusting, proxy.port) == {}
        if unix and kind == "nginx":
            done = trusting.cli("doctor", f"https://{NAME}", "--connect", f"127.0.0.1:{proxy.port}")
            assert done.returncode == 0, done
            assert "Nothing is wrong." in done.stdout
            assert "-> " not in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_is_not_trusted(distrusting, certificates, tmp_path, kind):
    with with_recipe(kind, tmp_path, distrusting, certificates) as proxy:
        found = diagnosis(distrusting, proxy.port)
        if kind == "nginx":
            command = ("doctor", f"https://{NAME}", "--connect", f"127.0.0.1:{proxy.port}")
            done = distrusting.cli(*command)
            assert done.returncode == 1, done
            assert "\nWRONG  Asked over https" in done.stdout
            assert "\n       -> Set server.http.use-x-forwarded = true" in done.stdout
            done = distrusting.cli(*command, "--json")
            assert done.returncode == 1, done
            said = json.loads(done.stdout)
            assert not said["healthy"]
            assert dataclasses.asdict(found["proxy-not-trusted"]) in said["findings"]
    assert set(found) == {"proxy-not-trusted"}
    assert "Asked over https" in found["proxy-not-trusted"].seen
    assert "server.http.use-x-forwarded = true" in found["proxy-not-trusted"].fix


FORGEABLE = {
    ("nginx", "x-forwarded"): {"forgeable-x-forwarded-for", "forgeable-x-forwarded-proto", "client-lost"},
    ("caddy", "x-forwarded"): set(),
    ("haproxy", "x-forwarded"): {"forgeable-x-forwarded-proto"},
    ("nginx", "forwarded"): {"forgeable-forwarded", "client-lost"},
    ("caddy", "forwarded"): {"forgeable-forwarded", "client-lost"},
    ("haproxy", "forwarded"): {"forgeable-forwarded", "client-lost"},
}
"""What is wrong with proxies as they come, by the header that is believed."""


@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_clients_can_forge_is_said(request, tmp_path, kind, family):
    server = request.getfixturevalue("trusting" if family == "x-forwarded" else "trusting_forwarded")
    with bare(kind, tmp_path, server) as proxy:
        found = diagnosis(server, proxy.port, f"http://{NAME}")
    assert found.pop("plain-http").level == "note"
    # Nothing says a port, but where no header does: then it is the server's own.
    found.pop("wrong-port", None)
    assert set(found) == FORGEABLE[kind, family]


def test_what_it_advises_stands_in_the_recipes():
    texts = {
        "nginx": (RECIPES / "nginx.conf").read_text(),
        "Caddy": (RECIPES / "Caddyfile").read_text(),
        "HAProxy": (RECIPES / "haproxy.cfg").read_text(),
    }
    for lines in LINES.values():
        for proxy, line in lines.items():
            assert line in texts[proxy]


class TestMistakes:
    """One proxy each, with something wrong."""

    @staticmethod
    @contextmanager
    def behind(server, certificates, folder, *changes, setting: str = "") -> Iterator[int]:
        [port] = free_ports(1)
        text = (
            f"server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {certificates.certificate};\n"
            f"    ssl_certificate_key {certificates.key};\n    location / {{\n        proxy_pass http://127.0.0.1:{server.port};\n"
            "        proxy_set_header X-Forwarded-For $remote_addr;\n        proxy_set_header X-Forwarded-Proto https;\n"
            '        proxy_set_header Forwarded "";\n        proxy_set_header Flaskmail-Other "";\n    }\n}\n'
        )
        with nginx(folder, changed(text, changes), (port,)):
            yield port

    @pytest.mark.parametrize(
        ("url", "changes", "codes", "said"),
        [
            (
                f"https://{NAME}",
                [("proxy_set_header X-Forwarded-Proto https;", 'proxy_set_header X-Forwarded-Proto "";')],
                {"protocol-lost"},
                "proxy_set_header X-Forwarded-Proto $scheme;",
            ),
            (
                f"https://{NAME}",
                [("proxy_set_header X-Forwarded-For $remote_addr;", 'proxy_set_header X-Forwarded-For "";')],
                {"client-lost"},
                "proxy_set_header X-Forwarded-For $remote_addr;",
            ),
            (f"https://{NAME}:8443", [], {"wrong-port"}, f'server.http.url = "https://{NAME}:8443"'),
            (f"https://{NAME}/mail", [("location / {", "location / { rewrite ^/mail(/.*) $1 break;")], {"wrong-path"}, f'.url = "https://{NAME}/mail"'),
            (f"http://{NAME}", [], {"refused"}, "ask with https"),
            (f"https://{NAME}", [("Flaskmail-Other", "Flaskmail-Doctor")], {"not-this-server"}, "FLASKMAIL_DATA"),
            (f"https://{NAME}", [("location / {", "location / { return 404;")], {"not-here"}, "every path"),
            (f"https://{NAME}", [("location / {", "location / { return 301 $uri;")], {"redirect-loop"}, "trusted-proxies"),
            (f"https://{NAME}", [("location / {", "location / { return 301 /login;")], {"redirect-astray"}, "every path"),
        ],
    )  # fmt: skip
    def test_it_says_what_is_wrong(self, trusting, certificates, tmp_path, url, changes, codes, said):
        with self.behind(trusting, certificates, tmp_path, *changes) as port:
            found = diagnosis(trusting, port, url)
        found.pop("redirect", None)
        assert set(found) == codes
        assert any(said in one.fix for one in found.values()), found
        # Whoever is believed already need not be named.
        assert not any("trusted-proxies" in one.fix for one in found.values() if one.code == "protocol-lost")

    def test_a_proxy_that_does_not_reach_the_server(self, trusting, certificates, tmp_path):
        [nobody] = free_ports(1)
        with self.behind(trusting, certificates, tmp_path, (str(trusting.port), str(nobody))) as port:
            found = diagnosis(trusting, port)
        assert set(found) == {"server-unreachable"}

    def test_another_name(self, trusting, certificates, tmp_path):
        with self.behind(trusting, certificates, tmp_path) as port:
            found = diagnosis(trusting, port, "https://imap.example.org")
        assert set(found) == {"certificate-name", "wrong-host"}
        assert "lookup.default.hostname" in found["wrong-host"].fix

    @pytest.mark.parametrize(
        ("ends", "code", "level"), [("-P1D", "certificate-expired", "wrong"), ("P3D", "certificate-ends-soon", "note")]
    )
    def test_certificates_that_end(self, trusting, certificates, tmp_path, monkeypatch, ends, code, level):
        authority = trustme.CA()
        end = datetime.now(UTC) + timedelta(days=-1 if ends.startswith("-") else 3)
        made = authority.issue_cert(NAME, not_before=end - timedelta(days=10), not_after=end)
        made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "all.pem"))
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        changes = [
            (str(certificates.certificate), str(tmp_path / "all.pem")),
            (str(certificates.key), str(tmp_path / "all.pem")),
        ]
        with self.behind(trusting, certificates, tmp_path, *changes) as port:
            found = diagnosis(trusting, port)
        assert set(found) == {code}
        assert found[code].level == level

    def test_an_unknown_authority(self, trusting, certificates, tmp_path, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        with self.behind(trusting, certificates, tmp_path) as port:
            found = diagnosis(trusting, port)
        assert set(found) == {"certificate-untrusted"}

    def test_nobody_there(self, trusting):
        [port] = free_ports(1)
        assert set(diagnosis(trusting, port)) == {"unreachable-refused"}

    def test_no_such_name(self, trusting):
        done = trusting.cli("doctor", "https://nothing.invalid", "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["findings"][0]["code"] == "unreachable-name"

    def test_a_port_without_tls_and_one_without_http(self, trusting):
        assert set(diagnosis(trusting, trusting.port)) == {"unreachable-tls"}
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"220 mail.example.org ESMTP\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            assert set(diagnosis(trusting, listener.getsockname()[1], f"http://{NAME}")) == {"unreachable-http"}
            thread.join()


def test_without_a_proxy_and_with_the_default_url(tmp_path):
    [port] = free_ports(1)
    with live_server(f'server.workers = 1\nserver.bind = "127.0.0.1:{port}"\n', folder=tmp_path, bind=()) as server:
        done = server.cli("doctor")
        assert done.returncode == 0, done
        assert f"Asking http://localhost:{port}" in done.stdout
        assert "no proxy stands between" in done.stdout


def test_the_redirect_of_a_server_that_does_not_know_of_https_is_explained(certificates, tmp_path_factory, tmp_path):
    config = f'server.workers = 1\nserver.http.url = "https://{NAME}"\nserver.http.hsts = true\n'
    with (
        live_server(config, folder=tmp_path_factory.mktemp("loop"), arguments=SERVER_ARGUMENTS) as server,
        with_recipe("nginx", tmp_path, server, certificates) as proxy,
    ):
        # What anybody would ask: the URL of the settings. It leads to port 443, where the proxy of this test is not.
        found = diagnosis(server, proxy.port)
        assert "redirect-loop" in found
        assert "server.http.use-x-forwarded = true" in found["redirect-loop"].fix
