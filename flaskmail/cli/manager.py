"""What the subcommands work with: the operations of the management API, on the store at hand or at a URL. Same names, same
answers, same refusals."""

from __future__ import annotations

import base64
import getpass
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

import click

from flaskmail.cli.common import Failed, opened
from flaskmail.cli.overhttp import AtUrl
from flaskmail.doctor.asking import read_target
from flaskmail.errors import RequestError

if TYPE_CHECKING:
    from flaskmail.server import Server

PAGE = 1000
"""Items that are asked for at once."""


class Refused(Failed):
    """The operation was refused. status: HTTP's; problem: the members of the problem object."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        super().__init__(str(problem.get("detail") or f"the server answered {status}"), {"status": status, **problem})


class Manager(Protocol):
    """Whoever carries out operations."""

    @property
    def where(self) -> str:
        """The end of a sentence that says on what, such as "at https://mail.example.org"."""

    @property
    def credential(self) -> str:
        """What says who asks, such as "the password of admin"; "" where nobody has to."""

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], Iterable[bytes]]:
        """The status, the header fields by names in lower case, and the pieces of the body as they come, which are read or closed
        to the end. path: decoded parts, quoted."""


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
        status, self.headers, pieces = self._send(method, path, parts, query, body, match)
        octets = b"".join(pieces)
        if not 200 <= status < 300:
            raise self._refused(status, octets)
        try:
            found = json.loads(octets) if octets else {"data": None}
            return found["data"]
        except (ValueError, TypeError, KeyError):
            raise self._stranger(status) from None

    def _refused(self, status: int, octets: bytes) -> Refused:
        where = self._manager.where
        if 300 <= status < 400:
            return Refused(status, {"detail": f"there is a redirect {where}, to {self.headers.get('location', '')}"})
        try:
            problem = json.loads(octets)
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            if status in (502, 503, 504):
                return Refused(
                    status, {"detail": f"a proxy answers {where}, with {status}: does the server behind it run?"}
                )
            return self._stranger(status)
        if status == 404 and where.endswith("/api"):
            return Refused(
                status, problem | {"detail": f"there is no management API {where}: leave /api out of the URL"}
            )
        if status == 404 and "item" not in problem:
            # What operations do not find has a name.
            return Refused(status, problem | {"detail": f"there is no management API {where}: is the URL right?"})
        if status == 401:
            told = f"{problem.get('detail', '')} What was sent is {self._manager.credential}."
            return Refused(status, problem | {"detail": told.lstrip()})
        return Refused(status, problem)

    def _stranger(self, status: int) -> Refused:
        return Refused(status, {"detail": f"what answered {self._manager.where}, with {status}, is no flaskmail"})

    @contextmanager
    def stream(self, path: str, *parts: str, **query: Any) -> Iterator[Iterable[bytes]]:
        """The pieces of an answer that is no JSON, as they come. The arguments are those of ``call``."""
        status, self.headers, pieces = self._send("GET", path, parts, query)
        try:
            if not 200 <= status < 300:
                raise self._refused(status, b"".join(pieces))
            yield pieces
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _send(
        self,
        method: str,
        path: str,
        parts: tuple[str, ...],
        query: Mapping[str, Any],
        body: Any = None,
        match: str | None = None,
    ) -> tuple[int, Mapping[str, str], Iterable[bytes]]:
        asked = {
            name.replace("_", "-"): _written(value)
            for name, value in query.items()
            if value not in (None, "", False, (), [])
        }
        for text in (*parts, *asked.values()):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{text!a} is not text in UTF-8") from None
        for part in parts:
            if not part:
                # The path would be that of all of them.
                raise click.UsageError("a name or an id must not be empty")
            head, _, tail = path.partition("{")
            path = head + quote(part, safe="@") + tail.partition("}")[2]
        return self._manager.send(method, path, asked, body, {} if match is None else {"if-match": match})

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
    credential: str = ""

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], Iterable[bytes]]:
        """As Manager says."""
        # Not needed at a URL.
        from flaskmail.accounts.authorization import LOCAL, access
        from flaskmail.accounts.permissions import PERMISSIONS
        from flaskmail.management import api
        from flaskmail.management.dispatch import Request

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
        pieces = (answer.body,) if isinstance(answer.body, bytes) else answer.body
        return answer.status, {name.lower(): value for name, value in answer.headers}, pieces


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
    yield Operations(AtUrl(target, *_authorization(chosen.get("user"))), None)


def _authorization(user: str | None) -> tuple[str, str]:
    """(the value of the header, what it is)."""
    if user:
        password = os.environ.get("FLASKMAIL_PASSWORD") or _asked(user)
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(), f"the password of {user}"
    key, source = _key()
    if not key:
        raise click.UsageError(
            "name who asks: FLASKMAIL_KEY with an API key or a token, FLASKMAIL_KEY_FILE with a file that holds it, or"
            " --user NAME for a password"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise click.UsageError(f"{source} holds no API key and no token")
    return f"Bearer {key}", f"the key or token in {source}"


def _asked(user: str) -> str:
    with warnings.catch_warnings():
        # Without a terminal Python would show what is typed, and say so.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed: str = click.prompt(f"Password of {user}", hide_input=True, err=True)
        except getpass.GetPassWarning:
            raise click.UsageError(
                f"there is no terminal at which the password of {user} could be asked for: put it into FLASKMAIL_PASSWORD"
            ) from None
        return typed


def _key() -> tuple[str, str]:
    """(the key, from where). On the command line everybody on the machine could read it."""
    key = os.environ.get("FLASKMAIL_KEY", "").strip()
    file = os.environ.get("FLASKMAIL_KEY_FILE", "")
    if key or not file:
        return key, "FLASKMAIL_KEY"
    try:
        return Path(file).read_text(encoding="utf-8").strip(), file
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise click.UsageError(f"FLASKMAIL_KEY_FILE: {file} cannot be read: {reason}") from None
