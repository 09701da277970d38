"""For tests, ours and those of plugin authors: a whole server in this process, or a real one under gunicorn.

::

    from flaskmail.testing import make_server

    def test_notes():
        with make_server(plugins=[my_plugin]) as made:
            alice = made.account("alice@example.org")
            answer = alice.call("Note/set", create={"a": {"text": "milk"}})
            assert answer["created"]["a"]["id"]
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from flask import Flask
from flask.testing import FlaskClient

from flaskmail.app import create_app
from flaskmail.config import Settings, load
from flaskmail.config.settings import Argon2, ServerHttpRateLimit
from flaskmail.server import Server, StoreMaker, sqlite_store
from flaskmail.testing.commands import run

PASSWORD = "correct horse battery"
"""The password of every account that a test makes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response. headers: (name, value) in their order."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Every header of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Send = Callable[[str, str, Mapping[str, str], bytes], Reply]
"""(method, path with query, headers, body) -> Reply."""


def basic(name: str, password: str = PASSWORD) -> str:
    """The Authorization header of RFC 7617."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Jmap:
    """A client of one account. id: its accountId, None for ``admin``; session: the session object."""

    def __init__(self, send: Send, authorization: str) -> None:
        self._send, self._authorization = send, authorization
        reply = self.http("GET", "/.well-known/jmap")
        assert reply.status == 200, reply
        self.session: dict[str, Any] = reply.json()
        self.using: list[str] = list(self.session["capabilities"])
        self.id: str | None = next(iter(self.session["accounts"]), None)

    def http(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Any request, with this account's credentials."""
        return self._send(method, path, {"Authorization": self._authorization} | dict(headers or {}), body)

    def request(self, *calls: tuple[str, dict[str, Any], str], using: Sequence[str] | None = None) -> list[list[Any]]:
        """The ``methodResponses`` of one API request. using: default every capability of the session."""
        body = {"using": self.using if using is None else list(using), "methodCalls": [list(call) for call in calls]}
        reply = self.http("POST", "/jmap/", json.dumps(body).encode(), {"Content-Type": "application/json"})
        assert reply.status == 200, reply
        responses: list[list[Any]] = reply.json()["methodResponses"]
        return responses

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The arguments of the response of one method call; ``accountId`` is added. AssertionError for an error."""
        answered, found = self.attempt(name, **arguments)
        assert answered == name, found
        return found

    def attempt(self, name: str, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
        """(name of the response, its arguments): ("error", …) when the method refuses."""
        [[answered, found, _]] = self.request((name, {"accountId": self.id} | arguments, "0"))
        return answered, found

    def upload(self, data: bytes, type: str = "application/octet-stream") -> str:
        """Stores a blob and answers its id."""
        reply = self.http("POST", f"/jmap/upload/{self.id}/", data, {"Content-Type": type})
        assert reply.status == 201, reply
        blob_id: str = reply.json()["blobId"]
        return blob_id

    def download(self, blob_id: str) -> bytes:
        """The octets of a blob."""
        reply = self.http("GET", f"/jmap/download/{self.id}/{blob_id}/")
        assert reply.status == 200, reply
        return reply.body


class MadeServer:
    """A server in this process. server, app: the parts; client: Flask's test client. Closed at the end of ``with``."""

    def __init__(self, server: Server, app: Flask, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.server, self.app, self._folder = server, app, folder
        self.client: FlaskClient = app.test_client()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One request through Flask."""
        with self.client.open(path, method=method, headers=dict(headers), data=body) as response:
            return Reply(response.status_code, list(response.headers.items()), response.get_data())

    def account(self, name: str, *, quota: int | None = None) -> Jmap:
        """Makes an account with PASSWORD, and a client for it."""
        self.server.create_account(name, PASSWORD, quota=quota)
        return self.jmap(name)

    def jmap(self, name: str) -> Jmap:
        """A client for an account that is there."""
        return Jmap(self.send, basic(name))

    def close(self) -> None:
        """Closes the server and removes its data."""
        self.server.close()
        self._folder.cleanup()

    def __enter__(self) -> MadeServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def make_server(
    plugins: Iterable[object] = (),
    config: str = "",
    store: Literal["memory", "sqlite"] | StoreMaker = "memory",
    *,
    installed: bool = False,
) -> MadeServer:
    """A server with its data in a temporary folder. plugins: objects with hooks; config: TOML text, as in ``config.toml``;
    installed: whether plugins of installed packages are found too.

    Passwords cost next to nothing to check, and requests are not limited, unless ``config`` says something else.
    ConfigError when something is wrong."""
    folder = tempfile.TemporaryDirectory(prefix="flaskmail-")
    try:
        server = Server(_settings(Path(folder.name), config), store=_store(store), plugins=plugins, installed=installed)
        return MadeServer(server, create_app(server=server, first_start=False), folder)
    except BaseException:
        folder.cleanup()
        raise


def _settings(folder: Path, config: str) -> Settings:
    source = folder / "config.toml"
    source.write_text(config, encoding="utf-8")
    settings = load(source, {}, checked=False)
    authentication = settings.authentication
    if authentication.argon2 == Argon2():
        authentication = dataclasses.replace(authentication, argon2=Argon2(memory=8192, time_cost=1))
    server = settings.server
    if not any(key.startswith("server.http.rate-limit.") for key in settings.origins):
        http = dataclasses.replace(server.http, rate_limit=ServerHttpRateLimit(anonymous=None, account=None))
        server = dataclasses.replace(server, http=http)
    return dataclasses.replace(
        settings,
        storage=dataclasses.replace(settings.storage, path=folder / "data"),
        authentication=authentication,
        server=server,
    )


def _store(store: str | StoreMaker) -> StoreMaker:
    if callable(store):
        return store
    if store == "sqlite":
        return sqlite_store
    from flaskmail.store.memory import MemoryStore

    return lambda root, types: MemoryStore(types)


class LiveServer:
    """gunicorn, serving. folder: where it works, with ``config.toml``, ``data`` and ``log``; port: of its loopback listener."""

    def __init__(
        self,
        folder: Path,
        process: subprocess.Popen[bytes],
        port: int,
        tls: ssl.SSLContext | None,
        source: str = "127.0.0.1",
    ) -> None:
        self.folder, self.process, self.port, self._tls, self._source = folder, process, port, tls, (source, 0)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Everything that the server has written so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def connect(self) -> http.client.HTTPConnection:
        """A new connection; to be closed."""
        if self._tls is not None:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=60, source_address=self._source, context=self._tls
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=self._source)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            return Reply(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def cli(self, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
        """Runs ``flaskmail …`` on this server's data, in a process of its own."""
        return run(arguments, folder=self.folder, environment=_environment(), input=input)

    def account(self, name: str) -> Jmap:
        """Makes an account with PASSWORD by the command line, and a client for it."""
        done = self.cli("account", "create", name, "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        return self.jmap(name)

    def jmap(self, name: str, password: str = PASSWORD) -> Jmap:
        """A client for an account that is there."""
        return Jmap(self.send, basic(name, password))

    def stop(self, signal_number: int = signal.SIGTERM, wait: float = 60.0) -> int:
        """Ends it and answers its exit code; SIGKILL when ``wait`` seconds do not suffice."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("FLASKMAIL_", "GUNICORN_"))}


@contextmanager
def live_server(
    config: str = "",
    *,
    folder: Path | None = None,
    arguments: Sequence[str] = ("-c", "python:flaskmail.gunicornconf", "flaskmail.app:create_app()"),
    python_path: Path | None = None,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
    bind: Sequence[str] = ("127.0.0.1:0",),
    wait: float = 120.0,
) -> Iterator[LiveServer]:
    """gunicorn on an ephemeral port of the loopback interface, stopped at the end.

    config: TOML text of ``config.toml``, without ``server.bind``; requests are limited only if it has a ``rate-limit``.
    folder: where it runs, kept afterwards; default a temporary one. arguments: gunicorn's, after ``-b``.
    python_path: put first on the import path. tls: trusts the certificate that ``config`` names.
    source: the address that the requests of the LiveServer come from. bind: where gunicorn listens; empty for what ``config``
    says, which must begin with 127.0.0.1. RuntimeError with the log when it does not serve within ``wait`` seconds."""
    with tempfile.TemporaryDirectory(prefix="flaskmail-") as temporary:
        where = folder or Path(temporary)
        limits = "" if "rate-limit" in config else "\n[server.http.rate-limit]\nanonymous = false\naccount = false\n"
        (where / "config.toml").write_text(config + limits, encoding="utf-8")
        environment = _environment() | ({"PYTHONPATH": str(python_path)} if python_path else {})
        with (where / "log").open("wb") as log:
            binds = [word for address in bind for word in ("-b", address)]
            command = [sys.executable, "-m", "gunicorn", *binds, *arguments]
            process = subprocess.Popen(command, cwd=where, env=environment, stdout=log, stderr=log)
        server = LiveServer(where, process, 0, tls, source)
        try:
            server.port = _serving(server, time.monotonic() + wait)
            yield server
        finally:
            server.stop()


def _serving(server: LiveServer, deadline: float) -> int:
    while time.monotonic() < deadline and server.process.poll() is None:
        found = re.search(r"Listening at: https?://127\.0\.0\.1:([0-9]+)", server.log())
        if found:
            server.port = int(found[1])
            with suppress(OSError, http.client.HTTPException):
                if server.send("GET", "/healthz/ready", {}, b"").status == 200:
                    return server.port
        time.sleep(0.05)
    raise RuntimeError("gunicorn does not serve:\n" + server.log())
