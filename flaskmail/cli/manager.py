"""What the subcommands work with: the operations of the management API, on the store at hand or at a URL. Same names, same
answers, same refusals."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

import click

from flaskmail.accounts.authorization import LOCAL, access
from flaskmail.accounts.permissions import PERMISSIONS
from flaskmail.cli.common import REFUSED, opened
from flaskmail.doctor.asking import Target, read_target
from flaskmail.errors import RequestError
from flaskmail.management import api
from flaskmail.management.dispatch import Request
from flaskmail.server import Server

PATIENCE = 60.0
"""Seconds that a server at a URL may take to answer."""
PAGE = 1000
"""Items that are asked for at once."""


class Refused(click.ClickException):
    """The operation was refused. status: HTTP's; problem: the members of the problem object."""

    exit_code = REFUSED

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        super().__init__(str(problem.get("detail") or f"the server answered {status}"))


class Manager(Protocol):
    """Whoever carries out operations."""

    @property
    def where(self) -> str:
        """The end of a sentence that says on what, such as "at https://mail.example.org"."""

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """The status, the header fields by names in lower case, and the body of the answer. path: decoded parts, quoted."""


class Operations:
    """Calls operations. ``Refused`` ends the command with the problem's sentence."""

    def __init__(self, manager: Manager, server: Server | None) -> None:
        self._manager, self.server = manager, server
        self.headers: Mapping[str, str] = {}

    def call(
        self, method: str, path: str, *parts: str, body: Any = None, match: str | None = None, **query: Any
    ) -> Any:
        """The ``data`` of an operation's answer; ``headers`` has its header fields afterwards.

        path: as declared, with ``{name}`` for each of the parts. body: JSON, None for none. match: the value of If-Match. query:
        with ``_`` for ``-``; None, "" and False are left out, lists are joined with commas."""
        for part in parts:
            head, _, tail = path.partition("{")
            path = head + quote(part, safe="@") + tail.partition("}")[2]
        asked = {
            name.replace("_", "-"): _written(value)
            for name, value in query.items()
            if value not in (None, "", False, (), [])
        }
        headers = {} if match is None else {"if-match": match}
        status, self.headers, octets = self._manager.send(method, path, asked, body, headers)
        try:
            found = json.loads(octets) if octets else {}
        except ValueError:
            raise Refused(status, {"detail": f"what answered {self._manager.where} is no flaskmail"}) from None
        if not 200 <= status < 300 or not isinstance(found, dict):
            raise Refused(status, found if isinstance(found, dict) else {})
        return found.get("data")

    def every(self, path: str, *parts: str, **query: Any) -> list[Any]:
        """The items of all pages of a list."""
        found: list[Any] = []
        page = 0
        while True:
            page += 1
            said = self.call("GET", path, *parts, page=page, limit=PAGE, **query)
            found += said["items"]
            if len(said["items"]) < PAGE or len(found) >= said["total"]:
                return found


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, (list, tuple)) else str(value)


@dataclass(frozen=True, slots=True)
class OnStore:
    """The store of the present settings; whoever may write it may do everything."""

    server: Server
    where: str = "on the local store"

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """As Manager says."""
        octets = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        request = Request(
            method,
            tuple(unquote(part) for part in path.strip("/").split("/")),
            tuple(query.items()),
            dict(headers) | ({} if body is None else {"content-type": "application/json"}),
            read=lambda limit: octets,
        )
        try:
            answer = api().answer(self.server, request, lambda: (LOCAL, access(LOCAL, frozenset(PERMISSIONS))))
        except RequestError as error:
            raise Refused(error.status, {"detail": error.detail, **error.extra}) from None
        content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        return answer.status, {name.lower(): value for name, value in answer.headers}, content


@dataclass(frozen=True, slots=True)
class AtUrl:
    """A server at a URL. authorization: the value of the header."""

    target: Target
    authorization: str

    @property
    def where(self) -> str:
        """As Manager says."""
        return f"at {self.target.url}"

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """As Manager says."""
        octets = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": self.authorization, "Accept": "application/json", **headers}
        if octets is not None:
            sent["Content-Type"] = "application/json"
        url = f"{self.target.prefix}/api{path}" + (f"?{urlencode(query)}" if query else "")
        connection = self._connection()
        try:
            connection.request(method, url, octets, sent)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except ssl.SSLCertVerificationError as error:
            raise click.ClickException(f"the certificate {self.where} is not right: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = (
                error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
            )
            if isinstance(error, socket.gaierror):
                reason = f"there is no host {self.target.host}"
            raise click.ClickException(f"nothing answers {self.where}: {reason}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.target.scheme == "https":
            return http.client.HTTPSConnection(self.target.host, self.target.port, timeout=PATIENCE)
        return http.client.HTTPConnection(self.target.host, self.target.port, timeout=PATIENCE)


@contextmanager
def operations() -> Iterator[Operations]:
    """The operations that the command line names: at ``--url``, else on the store of the present settings."""
    chosen = click.get_current_context().find_root().params
    url = chosen.get("url")
    if not url:
        with opened() as server:
            yield Operations(OnStore(server), server)
        return
    try:
        target = read_target(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if target.scheme == "http" and target.host not in ("localhost", "127.0.0.1", "::1"):
        raise click.UsageError("a key must not travel over plain http: write the URL with https://")
    yield Operations(AtUrl(target, _authorization(chosen.get("user"))), None)


def _authorization(user: str | None) -> str:
    if user:
        password = os.environ.get("FLASKMAIL_PASSWORD") or click.prompt(
            f"Password of {user}", hide_input=True, err=True
        )
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    key = os.environ.get("FLASKMAIL_KEY", "").strip()
    if not key:
        raise click.UsageError("name who asks: FLASKMAIL_KEY with an API key or a token, or --user NAME for a password")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise click.UsageError("FLASKMAIL_KEY is no API key and no token")
    return f"Bearer {key}"
