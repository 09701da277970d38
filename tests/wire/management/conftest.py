from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from flaskmail.testing import LiveServer


@dataclass
class Said:
    """An answer: status, JSON (None when it is none), header fields by names in lower case, octets."""

    status: int
    json: Any
    headers: dict[str, str]
    body: bytes


class Client:
    """A client of the old API: JSON in and out, one connection a request."""

    def __init__(self, live: LiveServer, authorization: str | None) -> None:
        self.live, self.authorization = live, authorization

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Said:
        headers = {} if self.authorization is None else {"Authorization": self.authorization}
        octets = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            octets = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in query.items()}
        url = quote(path, safe="/%@{}") + (f"?{urlencode(named)}" if named else "")
        reply = self.live.send(method, url, headers, octets)
        kind = reply.header("Content-Type") or ""
        return Said(
            reply.status,
            json.loads(reply.body) if "json" in kind and reply.body else None,
            {name.lower(): value for name, value in reply.headers},
            reply.body,
        )

    def data(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """What old clients take out of an answer."""
        said = self(method, path, body, **query)
        assert 200 <= said.status < 300, (method, path, said)
        assert list(said.json) == ["data"]
        return said.json["data"]
