"""The short way in: API requests and the session without Flask's routing, request and response objects.

It takes a request only when Flask would do nothing but call our view for it, and only answers it when nothing goes wrong:
everything else, every error included, is Flask's. So the blueprints stay what counts, and this may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
_CONFIG = ("SERVER_NAME", "TRUSTED_HOSTS")
_SIGNALS = (request_started, request_finished, request_tearing_down)


class Front:
    """Wraps an application's ``wsgi_app``, at a time when its hooks and routes are all ours; ``app`` must have ``api`` at the
    root.

    What is added to the application after that (hooks, a route before ours, receivers of Flask's signals) is honoured: then
    every request takes the long way. Flask lets nobody add hooks after the first request, so that is when it is looked at.
    """

    def __init__(self, app: Flask, api: Api) -> None:
        self._app, self._next = app, app.wsgi_app
        self._answers: Mapping[tuple[str, str], Callable[[Environ, str], Answer]] = {
            ("POST", "/jmap/"): api.call,
            ("GET", "/jmap/session"): api.session,
            ("GET", "/.well-known/jmap"): api.session,
        }
        self._hooks, self._routes = self._hooks_now(), self._routes_now()
        self._short: bool | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        answer = self._answers.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if answer is None or not self._is_short() or "HTTP_IF_NONE_MATCH" in environ:
            return self._next(environ, start_response)
        try:
            arrive(environ)
            body, headers = answer(environ, "")
        except Exception as error:
            environ[FAILED] = error
            return self._next(environ, start_response)
        headers.append(("Content-Length", str(len(body))))
        accesslog.write(environ, 200, len(body))
        start_response("200 OK", headers)
        return [body]

    def _is_short(self) -> bool:
        if self._short is None:
            # The first request is Flask's, which closes its set-up.
            if not getattr(self._app, "_got_first_request", False):
                return False
            self._short = self._hooks == self._hooks_now() and self._routes == self._routes_now()
        return self._short and not any(signal.receivers for signal in _SIGNALS)

    def _hooks_now(self) -> list[Any]:
        app = self._app
        hooks = [{name: list(each) for name, each in getattr(app, hook).items() if each} for hook in _HOOKS]
        return [hooks, list(app.teardown_appcontext_funcs), [app.config.get(name) for name in _CONFIG]]

    def _routes_now(self) -> list[Any]:
        adapter = self._app.url_map.bind("localhost")
        found: list[Any] = []
        for method, path in self._answers:
            try:
                endpoint, _ = adapter.match(path, method)
            except HTTPException:
                found.append(None)
            else:
                found.append(self._app.view_functions.get(endpoint))
        return found
