"""What commands say of servers that are none, or no good."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from .conftest import Command


@pytest.fixture
def answering() -> Iterator[Callable[[int, dict[str, str], bytes], str]]:
    """Begins a server that always answers the same; its URL."""
    servers = []

    def begin(status: int, headers: dict[str, str], body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Not in the tests' output."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield begin
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (200, {}, b"<html>", "is no flaskmail"),
        (200, {}, b"[]", "is no flaskmail"),
        (200, {}, b"{}", "is no flaskmail"),
        (500, {}, b"<html>", "with 500, is no flaskmail"),
        (502, {}, b"<html>", "does the server behind it run?"),
        (
            401,
            {},
            b'{"status": 401, "detail": "It is wrong."}',
            "It is wrong. What was sent is the key or token in FLASKMAIL_KEY.",
        ),
        (308, {"Location": "https://mail.example.org/api/whoami"}, b"", "redirect"),
        (404, {}, b'{"status": 404, "detail": "There is nothing at this address."}', "is the URL right?"),
        (404, {}, b'{"status": 404, "detail": "There is no such thing.", "item": "x"}', "There is no such thing."),
        (403, {}, b'{"status": 403, "detail": "This needs the permission x."}', "the permission x."),
        (500, {}, b'{"status": 500}', "answered 500"),
    ],
)
def test_a_server_that_is_none(
    bare: Command,
    answering: Callable[[int, dict[str, str], bytes], str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    body: bytes,
    words: str,
) -> None:
    monkeypatch.setenv("FLASKMAIL_KEY", "key")
    url = answering(status, headers, body)
    done = bare("--url", url, "whoami")
    assert (done.exit_code, done.stdout, words in done.stderr) == (1, "", True), done.stderr
    done = bare("--url", url, "whoami", "--json")
    assert (words in json.loads(done.stderr)["detail"], json.loads(done.stderr)["status"]) == (True, status)


def test_where_nobody_listens(bare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASKMAIL_KEY", "key")
    done = bare("--url", "http://127.0.0.1:1", "whoami", "--json")
    assert (done.exit_code, "nothing answers" in json.loads(done.stderr)["detail"]) == (1, True)


def test_an_answer_that_is_cut_short(
    bare: Command, answering: Callable[[int, dict[str, str], bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKMAIL_KEY", "key")
    # The second Content-Length is the right one; clients go by the first.
    url = answering(200, {"X-Of": "a proxy\r\nContent-Length: 100"}, b'{"data": {}}')
    done = bare("--url", url, "whoami")
    assert (done.exit_code, "cut short" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("scheme", "greeting", "words"),
    [
        ("https", b"SSH-2.0\r\n", "it speaks no TLS"),
        ("http", b"SSH-2.0\r\n", "it speaks no HTTP"),
        ("http", b"", "it closed the connection without an answer"),
    ],
)
def test_what_is_no_web_server(
    bare: Command, monkeypatch: pytest.MonkeyPatch, scheme: str, greeting: bytes, words: str
) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(greeting)

    monkeypatch.setenv("FLASKMAIL_KEY", "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        done = bare("--url", f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", "whoami")
        thread.join()
    assert (done.exit_code, words in done.stderr) == (1, True), done.stderr


def test_a_url_that_ends_with_api(
    bare: Command, answering: Callable[[int, dict[str, str], bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKMAIL_KEY", "key")
    url = answering(404, {}, b'{"status": 404, "detail": "There is nothing at this address.", "item": "api/whoami"}')
    assert "leave /api out of the URL" in bare("--url", f"{url}/api", "whoami").stderr


def test_a_password_that_nobody_can_be_asked_for(tmp_path: Path) -> None:
    # In a session of its own there is no terminal.
    command = [sys.executable, "-c", "from flaskmail.cli import main; main()"]
    done = subprocess.run(
        [*command, "--url", "http://127.0.0.1:1", "--user", "admin", "whoami"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,
    )
    assert (done.returncode, "put it into FLASKMAIL_PASSWORD" in done.stderr) == (2, True), done
