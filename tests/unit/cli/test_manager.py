"""What commands say of servers that are none, or no good."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

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
        (502, {}, b"<html>", "with 502, is no flaskmail"),
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
