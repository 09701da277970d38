"""Says by path how long responses may be kept. The longest path that fits counts.

    [plugins.cache_control]
    "/assets" = "public, max-age=86400"
    "/assets/app.js" = "no-cache"

Only successful responses get it, and one that forbids storing keeps its no-store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskmail.hookspecs import Leaving, PolicyFacts, hookimpl


@hookimpl
def startup(server: Any) -> None:
    """Finds what could not be sent before a response lacks it."""
    for path, value in server.settings.plugins.options.get("cache_control", {}).items():
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise ValueError(f"plugins.cache_control: {path!r} has no text on one line")


@hookimpl
def response_headers(policy: PolicyFacts, request: Any, response: Leaving) -> list[tuple[str, str]]:
    """Cache-Control, where a path fits."""
    value = _longest(request.path, policy.options.get("cache_control", {}))
    return [("Cache-Control", value)] if value and response.status in (200, 206, 304) else []


def _longest(path: str, table: Mapping[str, str]) -> str | None:
    while path:
        if path in table:
            return table[path]
        path = path.rpartition("/")[0]
    return table.get("/")
