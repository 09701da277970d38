"""The Flask application: ``create_app()`` for any WSGI server, and what the first start says."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask, request

from flaskmail.config import Settings
from flaskmail.decisions.client import Client
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import leave
from flaskmail.policy.plan import check, check_for, of_settings
from flaskmail.server import Server
from flaskmail.web import accesslog, discovery_blueprint, jmap_blueprint
from flaskmail.web.admission import install
from flaskmail.web.doctor import Admitting, doctor_blueprint
from flaskmail.web.front import Front
from flaskmail.web.further import register_blueprints
from flaskmail.web.jmap import Api
from flaskmail.web.management import management_blueprint
from flaskmail.web.metrics import counting
from flaskmail.web.oauth import oauth_blueprint
from flaskmail.web.pages import pages_blueprint, root_blueprint

Address = str | tuple[Any, ...]
"""A listening socket's ``getsockname()``: the path of a Unix socket, or (host, port, …)."""


def create_app(settings: Settings | None = None, *, server: Server | None = None, first_start: bool = True) -> Flask:
    """The whole server as a WSGI application; ``app.extensions["flaskmail"]`` is its Server.

    settings: None for those in force in the process. server: one that is joined already; then ``settings`` is not used.
    first_start: whether to make the administrator when there is none. Nothing is opened yet, except for that outside of
    gunicorn; under gunicorn it is done when the sockets are open.
    ConfigError when the settings are wrong."""
    server = server or Server(settings)
    app = Flask("flaskmail", static_folder=None, template_folder=None)
    app.extensions["flaskmail"] = server
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    hooks = {*install(app, server)}
    api = Api(server)
    app.register_blueprint(jmap_blueprint(server, api=api, self_reliant=False))
    app.register_blueprint(discovery_blueprint(server, self_reliant=False))
    app.register_blueprint(pages_blueprint(server))
    app.register_blueprint(oauth_blueprint(server, self_reliant=False))
    app.register_blueprint(management_blueprint(server, self_reliant=False))
    register_blueprints(app, server)
    app.register_blueprint(doctor_blueprint())
    # After the plugins: one that has a page of its own for visitors comes first.
    app.register_blueprint(root_blueprint(server))

    policy = HttpPolicy(
        settings=lambda: of_settings(server.settings, server),
        counters=lambda: server.settings.storage.path / "limits",
        answered=accesslog.write,
    )
    server.follow_settings(policy.renew, lambda new: check_for(server, new), instead=check)
    if policy.policy.url.constant is not None:
        app.extensions["flaskmail.url"] = policy.policy.url.constant
    in_gunicorn = "gunicorn.arbiter" in sys.modules
    if first_start and in_gunicorn:
        hooks.add(_announce_at_first_request(app))
    app.extensions["flaskmail.front"] = front = Front(app, api, {*hooks, leave})
    app.wsgi_app = front  # type: ignore[method-assign]
    policy.init_app(app)
    counted = counting(Admitting(app.wsgi_app, server), server)
    app.wsgi_app = _refreshing(counted, server)  # type: ignore[method-assign]
    if first_start and not in_gunicorn:
        announce(app, [])
        server.close()
    return app


def _refreshing(application: Callable[..., Iterable[bytes]], server: Server) -> Any:
    # Before the policy, so that a request has the settings of the moment when it came in.
    refresh = server.refresh

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        refresh()
        return application(environ, start_response)

    return serve


def _announce_at_first_request(app: Flask) -> Callable[..., Any]:
    announced = False

    def begin() -> None:
        # For a gunicorn with somebody's own configuration, which does not call announce().
        nonlocal announced
        if not announced:
            announced = True
            port = str(request.environ.get("SERVER_PORT", ""))
            announce(app, [("127.0.0.1", int(port))] if port.isdigit() else [], request.environ["wsgi.url_scheme"])

    app.before_request(begin)
    return begin


def announce(app: Flask, addresses: Sequence[Address], scheme: str | None = None) -> None:
    """Makes the administrator if there is none, and says so once on stderr, with its password.

    addresses: the listening sockets, as far as known; else the first that the settings name. scheme: "http" or "https"; None
    to go by the settings. Called by the first process of the server before it forks, so nothing is left open."""
    server: Server = app.extensions["flaskmail"]
    server.directory.check_key()
    password = server.ensure_admin()
    if password is None:
        return
    settings = server.settings
    listener = next(iter(settings.server.listeners().values()))
    scheme = scheme or ("https" if listener.tls.certificate else "http")
    address = addresses[0] if addresses else bound(listener.bind[0])
    plan = app.extensions["flaskmail.policy"].policy
    there = plan.url.secure({}, Client(None, "https")) if scheme == "http" and plan.redirects else None
    sys.stderr.write(greeting(address, scheme, app.extensions.get("flaskmail.url"), password, there))
    sys.stderr.flush()


def bound(listener: str) -> Address:
    """The address of a ``server.bind`` entry: "host:port", "[ipv6]:port" or "unix:/path"."""
    if listener.startswith("unix:"):
        return listener.removeprefix("unix:")
    host, _, port = listener.rpartition(":")
    return host.strip("[]"), int(port)


def greeting(address: Address, scheme: str, url: str | None, password: str, there: str | None = None) -> str:
    """What the first start prints. address: of a listening socket; url: the configured base URL, or None; there: the base URL
    that takes passwords when the socket refuses them, as it does where plain HTTP is redirected."""
    arguments = ["curl", "-u", f"admin:{password}"]
    if there is not None:
        local = there
    elif isinstance(address, str):
        local = f"{scheme}://localhost"
        arguments += ["--unix-socket", address]
    else:
        host, port = str(address[0]), address[1]
        # Not ::1, which localhost is not everywhere.
        if host in ("", "0.0.0.0", "::", "127.0.0.1"):
            host = "localhost"
        local = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    if scheme == "https" and there is None:
        # The certificate names the public host, not this machine's address for itself.
        arguments.append("--insecure")
    line = shlex.join([*arguments, f"{local}/.well-known/jmap"])
    return (
        "\n"
        "This is the first start: the administrator was made.\n"
        "    user name: admin\n"
        f"    password:  {password}\n"
        f"    session:   {(url or local).rstrip('/')}/.well-known/jmap\n"
        "Try it:\n"
        f"    {line}\n"
        "The password is not shown again; `flaskmail account set-password admin` makes a new one.\n"
        "\n"
    )
