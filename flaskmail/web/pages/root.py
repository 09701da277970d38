"""``/``: whoever opens the bare address of the server in a browser comes to the own account."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from flaskmail import sockets
from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.admission import base_url, spend_unproven
from flaskmail.web.offered import has_route
from flaskmail.web.pages.visits import leave_for

ACCOUNT = "/account"


def root_blueprint(server: Server) -> Blueprint:
    """``/``, for an application that has :func:`flaskmail.web.admission.install`: 303 to the account where the pages are, and the
    listener serves them, else 404. Register it after all others: of two rules for one path the first counts."""
    blueprint = Blueprint("flaskmail-root", __name__)

    @blueprint.get("/")
    def root() -> Response:
        spend_unproven(request.environ)
        if not has_route(ACCOUNT) or not sockets.serves(request.environ, ACCOUNT):
            raise RequestError(404, "There is nothing at this address.")
        return leave_for(urlsplit(base_url(server, request.environ, "")).path.rstrip("/") + ACCOUNT)

    return blueprint
