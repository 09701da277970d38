"""The style sheet and the icon, under names that change with what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, Response

from flaskmail.errors import RequestError
from flaskmail.server import Server

_TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
FOLDER = Path(__file__).parent
BELOW = "/login/"
"""Where they are served: below a path that pages of other origins never read."""


def _named(name: str, data: bytes) -> str:
    stem, _, suffix = name.partition(".")
    return f"{stem}-{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"


DATA: Mapping[str, bytes] = {name: (FOLDER / name).read_bytes() for name in _TYPES}
NAMES: Mapping[str, str] = {name: BELOW + _named(name, data) for name, data in DATA.items()}
"""The file's own name -> its path on the server."""


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the files."""

    def serve(file: str) -> Response:
        for name, path in NAMES.items():
            if path == BELOW + file:
                response = Response(DATA[name], content_type=_TYPES[name])
                # RFC 8246: another version has another name.
                response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
                response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
                response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
                return response
        raise RequestError(404, "There is nothing at this address.")

    blueprint.add_url_rule(f"{BELOW}<file>", "asset", serve, methods=["GET"], strict_slashes=False, merge_slashes=False)
