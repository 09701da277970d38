"""What ``flaskmail doctor`` asks: what the server made of a request. Answered to the doctor alone, who proves itself by a key in
the data folder; to everybody else there is nothing at this address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response, request

from flaskmail.decisions.client import Client
from flaskmail.doctor.key import HEADER, PATH, Key, read_question
from flaskmail.errors import RequestError
from flaskmail.policy.adapter import CLIENT, FORWARDING, PEER, POLICY, HttpPolicy
from flaskmail.server import Server
from flaskmail.sockets import place

_ASKED = "flaskmail.doctor"
_KEY = f"HTTP_{HEADER.upper().replace('-', '_')}"

Environ = dict[str, Any]
Application = Callable[..., Iterable[bytes]]


class Admitting:
    """Wraps the application outside of its HttpPolicy, to see what came in before that is removed."""

    def __init__(self, application: Application, server: Server) -> None:
        self._next, self._server = application, server

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        if _KEY in environ and environ.get("PATH_INFO") == PATH:
            question = read_question(self._server.settings.storage.path, environ[_KEY])
            if question is not None:
                arrived = {_wire_name(name): environ[name] for name in sorted(FORWARDING.intersection(environ))}
                environ[_ASKED] = (*question, arrived)
        return self._next(environ, start_response)


def _wire_name(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def doctor_blueprint() -> Blueprint:
    """The one address of the doctor; belongs at the root, in an application that is wrapped in Admitting."""
    blueprint = Blueprint("flaskmail-doctor", __name__)

    @blueprint.get(PATH)
    def explain() -> Response:
        environ = request.environ
        asked: tuple[Key, str, dict[str, str]] | None = environ.get(_ASKED)
        policy: HttpPolicy | None = environ.get(POLICY)
        if asked is None or policy is None:
            raise RequestError(404, "There is nothing at this address.")
        key, nonce, arrived = asked
        client: Client = environ[CLIENT]
        body = json.dumps(
            {
                "client": client.address,
                "peer": environ[PEER],
                "peerPort": environ.get("REMOTE_PORT"),
                "scheme": client.scheme,
                "trusted": client.trusted,
                "forwarded": client.forwarded,
                "told": client.told,
                "inside": client.trusted and client.exempt,
                "why": client.why,
                "host": environ.get("HTTP_HOST", ""),
                "baseUrl": policy.base_url(environ),
                "listener": place(environ).listener,
                "arrived": arrived,
            }
        ).encode()
        response = Response(body, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        response.headers[HEADER] = key.answer(nonce, body)
        return response

    return blueprint
