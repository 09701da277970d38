"""The blueprint ``discovery``: where clients start, what everybody may know, and what a supervisor asks."""

from __future__ import annotations

from flask import Blueprint, Response

from flaskmail.errors import RequestError, StoreError
from flaskmail.server import Server
from flaskmail.web import metrics, wellknown, wellknownoauth
from flaskmail.web.admission import install
from flaskmail.web.jmap import Api, session_response


def discovery_blueprint(server: Server, *, jmap_prefix: str = "", self_reliant: bool = True) -> Blueprint:
    """What lies under ``/.well-known/`` and ``/healthz/``, and the settings of mail programs; belongs at the root of the host.

    jmap_prefix: the ``url_prefix`` under which the blueprint ``jmap`` was registered. self_reliant: see ``jmap_blueprint``; when
    it is not, it also answers ``/robots.txt`` and ``/metrics`` for the whole host."""
    blueprint = Blueprint("discovery", __name__)
    if self_reliant:
        install(blueprint, server)
    answers = Api(server)
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.get("/.well-known/jmap", **plain)
    def well_known() -> Response:
        # RFC 8620 section 2.2 allows a redirect; answering at once spares clients that lose the Authorization on the way.
        return session_response(answers, jmap_prefix.rstrip("/"))

    wellknownoauth.add(blueprint, server)
    wellknown.add(blueprint, server, jmap_prefix.rstrip("/"))
    if not self_reliant:
        # What concerns the whole host is the business of whose application it is.
        wellknown.add_robots(blueprint)
        metrics.add(blueprint, server)

    @blueprint.get("/healthz/live", **plain)
    def live() -> Response:
        return _healthy()

    @blueprint.get("/healthz/ready", **plain)
    def ready() -> Response:
        try:
            server.check()
        except StoreError as error:
            raise RequestError(503, "The store cannot be read.", headers={"Retry-After": "5"}) from error
        return _healthy()

    return blueprint


def _healthy() -> Response:
    response = Response(b'{"status":"ok"}', content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
