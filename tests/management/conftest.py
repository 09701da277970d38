from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from flaskmail.testing import PASSWORD, MadeServer, basic, make_server


@dataclass
class Said:
    """An answer of the API: status, its JSON (None when it has no body), headers."""

    status: int
    json: Any
    headers: Any

    @property
    def data(self) -> Any:
        assert 200 <= self.status < 300, (self.status, self.json)
        return self.json["data"]


class Manager:
    """Somebody who speaks to /api in this process."""

    def __init__(self, made: MadeServer, authorization: str | None) -> None:
        self.made, self.authorization = made, authorization

    def __call__(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Said:
        sent = dict(headers or {})
        if self.authorization is not None:
            sent.setdefault("Authorization", self.authorization)
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        named = {name.replace("_", "-"): value for name, value in query.items()}
        url = f"/api{quote(path, safe='/%@')}" + (f"?{urlencode(named)}" if named else "")
        reply = self.made.client.open(url, method=method, data=data, headers=sent)
        found = json.loads(reply.data) if reply.data and "json" in reply.content_type else None
        return Said(reply.status_code, found, reply.headers)


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server(config="[server.http.rate-limit]\nanonymous = false\naccount = false\n") as made:
        made.server.ensure_admin()
        made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
        yield made


@pytest.fixture
def admin(made: MadeServer) -> Manager:
    """The administrator."""
    return Manager(made, basic("admin"))


@pytest.fixture
def anybody(made: MadeServer) -> Manager:
    """Somebody without credentials."""
    return Manager(made, None)
