"""A served management API with two domains full of things, people of every role, and what the document says of answers."""

from __future__ import annotations

import http.client
import json
import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema_rs
from managed import FOREIGN, KINDS, OWN, Cell, body_of, called

from flaskmail.jobs import Jobs
from flaskmail.testing import PASSWORD, LiveServer, basic

from .conftest import Said

EMPTY = "empty.example"


@dataclass(frozen=True)
class Described:
    """An operation as the document has it. path: with ``/api``; responses: by status."""

    name: str
    method: str
    path: str
    permissions: tuple[str, ...]
    parameters: tuple[Any, ...]
    takes_body: bool
    responses: Mapping[int, Any]

    @property
    def success(self) -> int:
        return min(self.responses)


@dataclass(frozen=True)
class Actor:
    """Somebody who asks. domain: within which alone he acts, None for everywhere."""

    name: str
    authorization: str | None
    permissions: frozenset[str]
    domain: str | None

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def reaches(self, domain: str | None) -> bool:
        return self.domain is None or domain == self.domain


class Wire:
    """One connection that is kept alive, with the words of the administrator unless others are given."""

    def __init__(self, live: LiveServer) -> None:
        self.live = live
        self.admin = basic("admin")
        self._connection: http.client.HTTPConnection | None = None
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def send(self, method: str, url: str, headers: Mapping[str, str], octets: bytes | None = None) -> Said:
        connection = self._connection = self._connection or self.live.connect()
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            # The server has ended it, as nobody asked for too long.
            connection.close()
        try:
            connection.request(method, url, octets, dict(headers))
            response = connection.getresponse()
            body = response.read()
        except (ConnectionError, http.client.RemoteDisconnected):
            # Idle for too long, or closed after a request that was refused unread.
            connection.close()
            self._connection = None
            if method != "GET" and octets:
                raise
            return self.send(method, url, headers, octets)
        kind = response.getheader("Content-Type") or ""
        return Said(
            response.status,
            json.loads(body) if "json" in kind and body else None,
            {name.lower(): value for name, value in response.getheaders()},
            body,
        )

    def ask(self, method: str, path: str, body: Any = None, authorization: str | None = None, **query: str) -> Said:
        headers = {"Authorization": authorization or self.admin}
        octets = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            octets = json.dumps(body).encode()
        return self.send(method, path + (f"?{urlencode(query)}" if query else ""), headers, octets)

    def data(self, method: str, path: str, body: Any = None, authorization: str | None = None, **query: str) -> Any:
        said = self.ask(method, f"/api{path}", body, authorization, **query)
        assert 200 <= said.status < 300, (method, path, said)
        return said.json["data"]

    # ---- the document
    @cached_property
    def document(self) -> Any:
        return self.send("GET", "/api/openapi.json", {}).json

    @cached_property
    def operations(self) -> dict[str, Described]:
        return {
            one["operationId"]: Described(
                one["operationId"],
                method.upper(),
                path,
                tuple(one["x-permissions"]),
                tuple(one.get("parameters", ())),
                "requestBody" in one,
                {int(status): said for status, said in one["responses"].items()},
            )
            for path, methods in self.document["paths"].items()
            for method, one in methods.items()
        }

    def fault(self, operation: Described, said: Said) -> str:
        """Why an answer is none of those that the document describes; "" when it is one."""
        described = operation.responses.get(said.status)
        if described is None:
            return f"{operation.name}: {said.status} is not documented: {said.body[:300]!r}"
        content = described.get("content")
        kind = said.headers.get("content-type", "").partition(";")[0]
        if content is None:
            # The HTTP server's own words.
            return ""
        if kind not in content:
            return f"{operation.name}: {said.status} is {kind}, and documented as {', '.join(content)}"
        key = json.dumps(content[kind]["schema"], sort_keys=True)
        if key not in self._validators:
            schema = content[kind]["schema"] | {"components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema)
        wrong = next(self._validators[key].iter_errors(said.json), None)
        return "" if wrong is None else f"{operation.name}: {said.status} {wrong}"

    # ---- calls
    def url(self, operation: Described, cell: Cell, **more: str) -> str:
        path = operation.path
        for name, value in cell.values.items():
            path = path.replace(f"{{{name}}}", quote(value, safe="@"))
        query = cell.query | more
        return path + (f"?{urlencode(query)}" if query else "")

    def call(
        self,
        operation: Described,
        cell: Cell,
        authorization: str | None,
        headers: Mapping[str, str] | None = None,
        octets: bytes | None = None,
        **more: str,
    ) -> Said:
        sent = {} if authorization is None else {"Authorization": authorization}
        if operation.takes_body:
            sent["Content-Type"] = "application/json"
            octets = json.dumps(cell.body).encode() if octets is None else octets
        return self.send(operation.method, self.url(operation, cell, **more), sent | dict(headers or {}), octets)

    # ---- what is there
    def furnish(self) -> None:
        for domain in (OWN, FOREIGN):
            self.data("POST", "/domain", {"name": domain})
            for kind in KINDS:
                self.data("POST", "/principal", self.body(kind, domain))
            self.data("POST", "/dkim", self.key(domain))
        self.data("POST", "/oauth/client", {"name": "Television", "id": "tv"})
        self.data("POST", "/domain", {"name": EMPTY})

    def body(self, kind: str, domain: str) -> dict[str, Any]:
        return body_of(kind, domain) | {"name": called(kind, domain)}

    def key(self, domain: str) -> dict[str, str]:
        return {"domain": domain, "algorithm": "Ed25519", "id": f"ed25519-{domain}", "selector": "old"}

    def mend(self, operation: Described, cell: Cell) -> None:
        """Removes what a call made, and makes again what it removed."""
        gone = next(iter(cell.values.values()), "")
        match operation.name:
            case "principal.create":
                self.data("DELETE", f"/principal/{cell.body['name']}")
            case "domain.create" | "domain.create.named":
                self.data("DELETE", f"/domain/{gone or cell.body['name']}")
            case "dkim.create":
                self.data("DELETE", f"/dkim/{cell.body['id']}")
            case "oauth.client.create":
                self.data("DELETE", "/oauth/client/new")
            case "domain.delete":
                self.data("POST", f"/domain/{gone}")
            case "dkim.delete":
                self.data("POST", "/dkim", self.key(gone.removeprefix("ed25519-")))
            case "oauth.client.delete":
                self.data("POST", "/oauth/client", {"name": "Television", "id": gone})
            case "principal.delete" if gone == EMPTY:
                self.data("POST", f"/domain/{gone}")
            case "principal.delete":
                [again] = [(k, d) for k in KINDS for d in (OWN, FOREIGN) if called(k, d) == gone]
                self.data("POST", "/principal", self.body(*again))
            case "setting.change":
                self.data("DELETE", "/settings/account.quota")

    def person(self, name: str, *roles: str) -> str:
        """The Authorization of somebody new."""
        body = {"type": "individual", "name": f"{name}@{OWN}", "secrets": [PASSWORD], "roles": list(roles)}
        self.data("POST", "/principal", body)
        return basic(f"{name}@{OWN}")

    @contextmanager
    def busy(self, *kinds: str) -> Iterator[None]:
        """Another process of the server works at jobs of these kinds."""
        self.idle()
        over = threading.Event()
        jobs = Jobs(self.live.folder / "data")
        try:
            for kind in kinds:
                jobs.start(kind, lambda tell: over.wait(600))
            yield
        finally:
            over.set()
            jobs.close()

    def idle(self) -> None:
        """Waits for the end of all jobs."""
        while self.data("GET", "/jobs", state="running")["total"]:
            time.sleep(0.02)
