"""The blueprint ``jmap``: API, session, upload, download (RFC 8620 sections 2, 3 and 6)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState

from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.admission import Slots, base_url, install, read_body, refuse_encoding, who
from flaskmail.web.blobs import NameConverter, download, upload

NOT_JSON = "urn:ietf:params:jmap:error:notJSON"


def session_response(server: Server, prefix: str) -> Response:
    """The session of whoever asks. prefix: the ``url_prefix`` of the blueprint ``jmap``. Raises RequestError."""
    principal = who(server)
    session = server.session(principal, base_url(server, prefix))
    response = Response(session.body, content_type="application/json")
    # RFC 8620 section 2: the session must not be taken from a cache unasked.
    response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Vary"] = "Authorization"
    response.set_etag(session.state)
    response.make_conditional(request.environ)
    return response


def jmap_blueprint(server: Server, *, self_reliant: bool = True) -> Blueprint:
    """``/jmap/…``, ready for ``app.register_blueprint``.

    self_reliant: brings its own error responses, Host check and access log; False when the application has them
    (:func:`flaskmail.web.admission.install`)."""
    blueprint = Blueprint("jmap", __name__)
    prefix = ""
    requests, uploads = Slots("maxConcurrentRequests"), Slots("maxConcurrentUpload")
    if self_reliant:
        install(blueprint, server)

    def set_up(state: BlueprintSetupState) -> None:
        nonlocal prefix
        prefix = (state.url_prefix or "").rstrip("/")
        state.app.url_map.converters["flaskmail_name"] = NameConverter

    blueprint.record(set_up)
    # Never a redirect: it would name the server by the client's Host header.
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.post("/jmap/", **plain)
    def api() -> Response:
        principal = who(server)
        check_json()
        limits = server.limits
        with requests.slot(principal.id, limits.maxConcurrentRequests):
            body = read_body(limits.maxSizeRequest)
            answer = server.handle(principal, body, base_url(server, prefix))
        response = Response(answer, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @blueprint.get("/jmap/session", **plain)
    def session() -> Response:
        return session_response(server, prefix)

    @blueprint.post("/jmap/upload/<account_id>/", **plain)
    def put(account_id: str) -> Response:
        principal = who(server)
        refuse_encoding()
        with uploads.slot(principal.id, server.limits.maxConcurrentUpload):
            return upload(server, principal, account_id)

    @blueprint.get("/jmap/download/<account_id>/<blob_id>/<flaskmail_name:name>", **plain)
    def fetch(account_id: str, blob_id: str, name: str) -> Response:
        return download(server, who(server), account_id, blob_id, name)

    @blueprint.get("/jmap/eventsource/", **plain)
    def eventsource() -> Response:
        who(server)
        raise RequestError(503, "This server has no push yet; ask for changes with the /changes methods.")

    return blueprint


def check_json() -> None:
    """Raises RequestError 415 unless the request is ``application/json`` without a Content-Encoding."""
    environ = request.environ
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type != "application/json" and content_type.partition(";")[0].strip().lower() != "application/json":
        # RFC 8620 section 3.6.1: a wrong content type is notJSON.
        raise RequestError(415, "The Content-Type of an API request is application/json.", NOT_JSON)
    if "HTTP_CONTENT_ENCODING" in environ:
        refuse_encoding()
