"""The responses that the policy makes itself, before there is a Flask request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from flaskmail.decisions.headers import Header


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    @property
    def line(self) -> str:
        """The status as WSGI wants it."""
        return f"{self.status} {phrase(self.status)}"


def phrase(status: int) -> str:
    """The reason phrase; "Error" for a status that nobody has registered."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem(
    status: int, detail: str, headers: Iterable[Header] = (), more: Mapping[str, object] | None = None
) -> Answer:
    """Problem details (RFC 9457) that no cache keeps. more: further members."""
    body = {"type": "about:blank", "status": status, "title": phrase(status), "detail": detail, **(more or {})}
    content = json.dumps(body, separators=(",", ":")).encode()
    fields = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"), *headers)
    return Answer(status, fields, content)


def redirect(location: str) -> Answer:
    """308: the same request again, there. No cache keeps it: the settings may change."""
    return Answer(308, (("Location", location), ("Cache-Control", "no-store")), b"")


NO_CONTENT = Answer(204, (), b"")
"""The answer to a preflight."""
