from __future__ import annotations

import json
import re
import shutil
import signal
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import trustme

from flaskmail.app import greeting
from flaskmail.testing import Jmap, basic, live_server

from .conftest import ROOT, START


def curl_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 1, log
    return lines[0]


def run(line: str) -> dict[str, object]:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_first_start_prints_a_line_that_works_and_no_other_start_does(tmp_path: Path) -> None:
    with live_server("[server]\nworkers = 4\n", folder=tmp_path, arguments=START, python_path=ROOT) as server:
        log = server.log()
        session = run(curl_line(log))
        assert session["username"] == "admin"
        assert session["apiUrl"] == f"http://localhost:{server.port}/jmap/"
        assert f"http://localhost:{server.port}/.well-known/jmap" in log
        match = re.search(r"password: +(\S+)", log)
        assert match is not None
        password = match[1]
        assert len(password) >= 20
        assert server.stop() == 0
        # What was printed once stands nowhere else.
        assert server.log().count(password) == 2
        for file in (tmp_path / "data").rglob("*"):
            assert not file.is_file() or password.encode() not in file.read_bytes()
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        assert "first start" not in server.log()
        assert Jmap(server.send, basic("admin", password)).session["accounts"] == {}
        changed = json.loads(server.cli("account", "set-password", "admin", "--json").stdout)["password"]
        assert server.send("GET", "/jmap/session", {"Authorization": basic("admin", password)}, b"").status == 401
        assert Jmap(server.send, basic("admin", changed))


def test_a_unix_socket_has_a_line_that_works_too(tmp_path: Path) -> None:
    socket = tmp_path / "jmap socket"
    arguments = ("-b", f"unix:{socket}", *START)
    with live_server(folder=tmp_path, arguments=arguments, python_path=ROOT) as server:
        match = re.search(r"password: +(\S+)", server.log())
        assert match is not None
        line = curl_line(greeting(str(socket), "http", None, match[1]))
        session = run(line)
        assert session["username"] == "admin"
        # Over a Unix socket gunicorn takes its port from the Host header; the session does not.
        assert run(f"{line} -H 'Host: evil.example:99'")["apiUrl"] == "http://localhost/jmap/"


def test_with_tls_the_line_works_too(tmp_path: Path) -> None:
    trustme.CA().issue_cert("mail.example.org").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pem"))
    config = "[server.tls]\ncertificate = 'pem'\nprivate-key = 'pem'\n"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with live_server(config, folder=tmp_path, arguments=START, python_path=ROOT, tls=context) as server:
        session = run(curl_line(server.log()))
        assert session["apiUrl"] == f"https://localhost:{server.port}/jmap/"


def test_a_foreign_gunicorn_configuration_starts_too(tmp_path: Path) -> None:
    arguments = ("--no-control-socket", "--workers", "2", "--threads", "4", "flaskmail.app:create_app()")
    with live_server(folder=tmp_path, arguments=arguments) as server:
        assert run(curl_line(server.log()))["username"] == "admin"


@pytest.mark.parametrize("config", ["[server]\nwokers = 2\n", "[plugins]\npaths = ['nowhere']\n", "[[["])
def test_wrong_settings_stop_the_start_with_a_sentence(tmp_path: Path, config: str) -> None:
    with pytest.raises(RuntimeError) as caught, live_server(config, folder=tmp_path, arguments=START, python_path=ROOT):
        pass
    assert "config.toml" in str(caught.value) or "nowhere" in str(caught.value)


def test_sigterm_lets_a_request_end(tmp_path: Path) -> None:
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        connection = server.connect()
        connection.putrequest("POST", f"/jmap/upload/{alice.id}/")
        connection.putheader("Authorization", basic("alice@example.org"))
        connection.putheader("Content-Length", "600000")
        connection.endheaders(b"x" * 300_000)
        # The worker has the request: the rest of its body is all that is missing.
        while not _taken(server.port):
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        connection.send(b"x" * 300_000)
        response = connection.getresponse()
        assert response.status == 201
        assert json.loads(response.read())["size"] == 600_000
        connection.close()
        assert server.stop() == 0
        assert "Traceback" not in server.log()


def _taken(port: int) -> bool:
    """Whether what was sent to the server has been taken from its socket (Linux)."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if local.endswith(wanted) and state == "01" and int(queues.split(":")[1], 16) > 0:
            return False
    return True
