"""Documents for everybody: any page may read them, any cache may keep them for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from flaskmail.policy.environ import OUTGOING, PLAN
from flaskmail.policy.plan import Policy
from flaskmail.web.admission import spend_unproven
from flaskmail.web.ranges import matches

HOUR = 3600

CORS = {"Access-Control-Allow-Origin": "*"}
"""They hold nothing that is for one reader alone."""

_PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization, *",
    "Access-Control-Max-Age": "7200",
    "Allow": "GET, HEAD, OPTIONS",
}


def published(body: bytes, content_type: str, *, seconds: int = HOUR) -> Response:
    """The response with a document, or 304 when that is what the client has. seconds: for which caches need not ask again."""
    headers = {
        "Cache-Control": f"public, max-age={seconds}",
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "X-Content-Type-Options": "nosniff",
        **CORS,
    }
    if matches(request.environ.get("HTTP_IF_NONE_MATCH"), headers["ETag"]):
        return Response(b"", 304, headers)
    return Response(body, content_type=content_type, headers=headers)


def _open(environ: dict[str, Any]) -> None:
    """Lets HttpPolicy leave the document to every origin: those that ``cors-origins`` lists are to read what belongs to
    somebody."""
    policy: Policy | None = environ.get(PLAN)
    lists = None if policy is None else policy.public(environ.get("PATH_INFO", ""))
    if lists is not None:
        environ[OUTGOING] = lists[environ["wsgi.url_scheme"] == "https"]


def publish(blueprint: Blueprint, path: str, view: Callable[..., Response]) -> None:
    """Serves a view at this path for GET, HEAD and the preflights of browsers."""

    def answer(**arguments: Any) -> Response:
        if request.method == "OPTIONS":
            return Response(b"", 204, _PREFLIGHT)
        spend_unproven(request.environ)
        _open(request.environ)
        return view(**arguments)

    blueprint.add_url_rule(
        path,
        # A name of its own for each path: Flask takes one view for each name.
        path.strip("/").replace("/", "-").replace(".", "-"),
        answer,
        methods=("GET", "HEAD", "OPTIONS"),
        provide_automatic_options=False,
        # Never a redirect: it would name the server by the client's Host header.
        strict_slashes=False,
        merge_slashes=False,
    )
