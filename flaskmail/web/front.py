"""The short way in: API requests, uploads and the session without Flask's routing, request and response objects.

It takes a request only when Flask would do nothing but call our view for it, and only answers it when nothing goes wrong:
everything else, every error included, is Flask's. So the blueprints stay what counts, and this may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from flask import Flask, request_finished, request_started, request_tearing_down
from werkzeug.exceptions import HTTPException

from flaskmail.web import accesslog
from flaskmail.web.admission import FAILED, Environ, arrive
from flaskmail.web.jmap import Answer, Api

StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_HOOKS = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "url_value_preprocessors",
)
_OWNERS = (None, "jmap", "discovery")
_CONFIG = ("SERVER_NAME", "TRUSTED_HOSTS")
_UPLOAD = "/jmap/upload/"
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,255}/")
_SIGNALS = (request_started, request_finished, request_tearing_down)


class Front:
    """Wraps an application's ``wsgi_app``. api: what its routes at the root answer; hooks: those of the application's hooks that
    may be left out, because what they do is done here too or need not be done for every request.

    Whatever else hooks into the application or takes one of the routes, and receivers of Flask's signals, are honoured: then
    every request takes the long way. Flask lets nobody add hooks after the first request, so that is when it is looked at.
    """

    def __init__(self, app: Flask, api: Api, hooks: Collection[Callable[..., Any]]) -> None:
        self._app, self._next, self._known = app, app.wsgi_app, frozenset(hooks)
        self._answers: Mapping[tuple[str, str], Callable[[Environ], Answer]] = {
            ("POST", "/jmap/"): partial(api.call, prefix=""),
            ("GET", "/jmap/session"): partial(api.session, prefix=""),
            ("GET", "/.well-known/jmap"): partial(api.session, prefix=""),
        }
        self._upload = api.upload
        self._routes = self._routes_now()
        self._is_plain: bool | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "")
        answer, status = self._answers.get((method, path)), 200
        if answer is None and method == "POST" and path.startswith(_UPLOAD) and _ACCOUNT.fullmatch(path, len(_UPLOAD)):
            answer, status = partial(self._upload, account_id=path[len(_UPLOAD) : -1]), 201
        if answer is None or "HTTP_IF_NONE_MATCH" in environ or not self._short():
            return self._next(environ, start_response)
        try:
            arrive(environ)
            body, headers = answer(environ)
        except Exception as error:
            environ[FAILED] = error
            return self._next(environ, start_response)
        headers.append(("Content-Length", str(len(body))))
        accesslog.write(environ, status, len(body))
        start_response("200 OK" if status == 200 else "201 Created", headers)
        return [body]

    def _short(self) -> bool:
        plain = self._is_plain
        if plain is None:
            # The first request is Flask's, which closes its set-up.
            if not getattr(self._app, "_got_first_request", False):
                return False
            plain = self._hooks_now() <= self._known and self._routes == self._routes_now()
            plain = plain and len(self._routes[-1]) == 1
            # Set once, when all is known: another thread may be looking.
            plain = self._is_plain = plain and not any(self._app.config.get(name) for name in _CONFIG)
        return plain and not any(signal.receivers for signal in _SIGNALS)

    def _hooks_now(self) -> set[Callable[..., Any]]:
        # Flask runs those of the application and of the blueprint that a route belongs to.
        groups = [getattr(self._app, hook).get(owner, ()) for hook in _HOOKS for owner in _OWNERS]
        return {hook for group in (*groups, self._app.teardown_appcontext_funcs) for hook in group}

    def _routes_now(self) -> list[Any]:
        adapter = self._app.url_map.bind("localhost")
        found: list[Any] = []
        for method, path in (*self._answers, ("POST", f"{_UPLOAD}x/")):
            try:
                endpoint, _ = adapter.match(path, method)
            except HTTPException:
                found.append(None)
            else:
                found.append(self._app.view_functions.get(endpoint))
        # A rule for one path among ours would be Flask's choice before our own.
        found.append([rule.rule for rule in self._app.url_map.iter_rules() if rule.rule.startswith(_UPLOAD)])
        return found
