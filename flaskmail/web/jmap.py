"""The blueprint ``jmap``: API, session, upload, download (RFC 8620 sections 2, 3 and 6)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState

from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.admission import Environ, Slots, base_url, install, read_body, refuse_encoding, who, who_still
from flaskmail.web.blobs import NameConverter, download, upload
from flaskmail.web.mounting import prefix_of
from flaskmail.web.ranges import matches

NOT_JSON = "urn:ietf:params:jmap:error:notJSON"

Answer = tuple[bytes, list[tuple[str, str]]]
"""The body of what went well and its header fields, without Content-Length."""

PATIENCE = 1.0
"""Seconds that an upload waits until one of the same user's is through: many clients send a whole folder at once."""


class Api:
    """What ``POST /jmap/``, uploads and the session answer, from the WSGI environ alone. One for each blueprint: it counts the
    requests at work."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._requests = Slots("maxConcurrentRequests")
        self._uploads = Slots("maxConcurrentUpload", PATIENCE)

    def call(self, environ: Environ, prefix: str) -> Answer:
        """Answers an API request (RFC 8620 section 3.3). prefix: the ``url_prefix`` of the blueprint. Raises RequestError."""
        server = self._server
        principal = who(server, environ)
        check_json(environ)
        limits = server.limits
        with self._requests.slot(principal.id, limits.maxConcurrentRequests):
            body = read_body(environ, limits.maxSizeRequest)
            principal = who_still(server, environ, principal)
            answer = server.handle(principal, body, base_url(server, environ, prefix))
        return answer, [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]

    def upload(self, environ: Environ, account_id: str) -> Answer:
        """Takes in a blob (RFC 8620 section 6.1); the answer is a 201. Raises RequestError, StoreError."""
        server = self._server
        principal = who(server, environ)
        refuse_encoding(environ)
        with self._uploads.slot(principal.id, server.limits.maxConcurrentUpload):
            body = upload(server, principal, account_id, environ)
        return body, [
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]

    def session(self, environ: Environ, prefix: str) -> Answer:
        """The session (RFC 8620 section 2) of whoever asks. prefix: as for ``call``. Raises RequestError."""
        server = self._server
        principal = who(server, environ)
        session = server.session(principal, base_url(server, environ, prefix))
        return session.body, [
            ("Content-Type", "application/json"),
            # RFC 8620 section 2: the session must not be taken from a cache unasked.
            ("Cache-Control", "no-cache, no-store, must-revalidate"),
            ("X-Content-Type-Options", "nosniff"),
            ("Vary", "Authorization"),
            ("ETag", f'"{session.state}"'),
        ]


def session_response(api: Api, prefix: str) -> Response:
    """The session of whoever asks, or 304 when that is what the client has. Raises RequestError."""
    body, headers = api.session(request.environ, prefix)
    if matches(request.environ.get("HTTP_IF_NONE_MATCH"), dict(headers)["ETag"]):
        return Response(b"", 304, headers[1:])
    return Response(body, headers=headers)


def jmap_blueprint(server: Server, *, api: Api | None = None, self_reliant: bool = True) -> Blueprint:
    """``/jmap/…``, ready for ``app.register_blueprint``.

    api: None to make one for this blueprint. self_reliant: brings its own error responses, Host check and access log; False
    when the application has them (:func:`flaskmail.web.admission.install`)."""
    blueprint = Blueprint("jmap", __name__)
    prefix = prefix_of(blueprint)
    answers = api or Api(server)
    if self_reliant:
        install(blueprint, server)

    def set_up(state: BlueprintSetupState) -> None:
        state.app.url_map.converters["flaskmail_name"] = NameConverter

    blueprint.record(set_up)
    # Never a redirect: it would name the server by the client's Host header.
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.post("/jmap/", **plain)
    def call() -> Response:
        body, headers = answers.call(request.environ, prefix())
        return Response(body, headers=headers)

    @blueprint.get("/jmap/session", **plain)
    def session() -> Response:
        return session_response(answers, prefix())

    @blueprint.post("/jmap/upload/<account_id>/", **plain)
    def put(account_id: str) -> Response:
        body, headers = answers.upload(request.environ, account_id)
        return Response(body, 201, headers)

    @blueprint.get("/jmap/download/<account_id>/<blob_id>/<flaskmail_name:name>", **plain)
    def fetch(account_id: str, blob_id: str, name: str) -> Response:
        return download(server, who(server, request.environ), account_id, blob_id, name)

    @blueprint.get("/jmap/eventsource/", **plain)
    def eventsource() -> Response:
        server.accounts_of(who(server, request.environ))
        raise RequestError(503, "This server has no push yet; ask for changes with the /changes methods.")

    return blueprint


def check_json(environ: Environ) -> None:
    """Raises RequestError 415 unless the request is ``application/json`` without a Content-Encoding."""
    content_type = environ.get("CONTENT_TYPE", "")
    if content_type != "application/json" and content_type.partition(";")[0].strip().lower() != "application/json":
        # RFC 8620 section 3.6.1: a wrong content type is notJSON.
        raise RequestError(415, "The Content-Type of an API request is application/json.", NOT_JSON)
    if "HTTP_CONTENT_ENCODING" in environ:
        refuse_encoding(environ)
