"""gunicorn's configuration, made from the settings: ``gunicorn -c python:flaskmail.gunicornconf wsgi:app``.

Importing this module configures the process: gunicorn executes it as its configuration file, and nothing else imports it.
What is given to gunicorn on its command line wins over everything here.
"""

from __future__ import annotations

import os
import resource
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flaskmail import sockets
from flaskmail.accounts.storedsettings import read_texts
from flaskmail.config import Settings, adopt, diff, load, merge
from flaskmail.config.loading import STORED
from flaskmail.errors import ConfigError, FlaskmailError, StoreError
from flaskmail.gunicornworker import PatientSocket
from flaskmail.policy import plan

_WORKERS = {"gthread": "flaskmail.gunicornworker.Worker"}


def options(settings: Settings) -> dict[str, Any]:
    """gunicorn's options (its names) for these settings."""
    server, listeners = settings.server, settings.server.listeners().values()
    # The loader has seen to it that it is the same for all.
    tls = next(iter(listeners)).tls
    found: dict[str, Any] = {
        "bind": [address for listener in listeners for address in listener.bind],
        "workers": server.workers,
        # gunicorn takes sync with more than one thread for gthread.
        "threads": server.threads if server.worker_class == "gthread" else 1,
        "worker_class": _WORKERS.get(server.worker_class, server.worker_class),
        "keepalive": server.keep_alive,
        "timeout": server.timeout,
        "graceful_timeout": server.graceful_timeout,
        "backlog": server.backlog,
        "worker_connections": server.max_connections,
        "limit_request_line": server.limit_request_line,
        "limit_request_fields": server.limit_request_fields,
        "limit_request_field_size": server.limit_request_field_size,
        "loglevel": server.log_level,
        "certfile": None if tls.certificate is None else str(tls.certificate),
        "keyfile": None if tls.private_key is None else str(tls.private_key),
    }
    return found | _FIXED


_FIXED: dict[str, Any] = {
    # The address and scheme of the client are a decision of flaskmail's; gunicorn would believe X-Forwarded-Proto and
    # SCRIPT_NAME from loopback peers and from any peer of a Unix socket, where everything may be the client's own words.
    "secure_scheme_headers": {},
    "forwarder_headers": "",
    "forwarded_allow_ips": "",
    # Our own reading of the PROXY protocol is set up when a worker begins.
    "proxy_protocol": False,
    "proxy_allow_ips": "",
    "header_map": "drop",
    "http_protocols": "h1",
    "control_socket_disable": True,
    # Code is loaded once and shared; whatever holds a file or a lock is made in the worker.
    "preload_app": True,
    # One line a request is written by flaskmail itself: it knows the account, and which words are secret.
    "accesslog": None,
    "logger_class": "flaskmail.gunicornlog.Logger",
    # The sign of life of a worker must not wait for a disk.
    "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
    # A Unix socket is for its owner and group (the proxy); everybody else stays out.
    "umask": 0o117,
}


def _start() -> Settings:
    try:
        found = load(stored=read_texts)
    except ConfigError as error:
        raise SystemExit(_refusal(error)) from None
    except StoreError as error:
        raise SystemExit(f"flaskmail cannot start: {error}") from None
    # Mail is for nobody else on this machine, whatever the shell's umask is.
    os.umask(0o077)
    # A connection and an open mailbox each cost descriptors; the usual soft limit of 1024 is below max-connections.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    adopt(found, serving=found)
    return found


def _refusal(error: ConfigError) -> str:
    told = f"flaskmail cannot start, its configuration is wrong:\n{error}"
    if any(problem.where == STORED for problem in error.problems):
        told += "\nflaskmail config unset KEY removes a stored setting."
    return told


settings = _start()
"""The settings in force; the master replaces them at SIGHUP."""

globals().update(options(settings))


def on_starting(server: Any) -> None:
    """A hook of gunicorn's, in the master before it forks: responses do not say which server software this is."""
    import gunicorn
    from gunicorn.http import wsgi

    # Unless the settings say so; the application is loaded by now.
    if wsgi.SERVER == gunicorn.SERVER:
        wsgi.SERVER = "flaskmail"


def post_worker_init(worker: Any) -> None:
    """A hook of gunicorn's, in each worker before its first request: the policy is made of the settings in force now, also for
    what never becomes a request."""
    from flaskmail.gunicornfaults import install

    policy = getattr(worker.wsgi, "extensions", {}).get("flaskmail.policy")
    if policy is not None:
        policy.usual_server_name = "flaskmail"
        policy.prepare()
    install(policy)


def when_ready(server: Any) -> None:
    """A hook of gunicorn's, in the master when its sockets are open and before it forks: the first start makes the
    administrator and says so. Nothing happens for an application that is not flaskmail's.

    SystemExit with a sentence when the data folder cannot be used."""
    from flaskmail.app import announce

    addresses = [listener.getsockname() for listener in server.LISTENERS]
    listeners = settings.server.listeners()
    try:
        owners = sockets.assign(listeners, server.cfg.bind, addresses)
    except ValueError as error:
        raise SystemExit(f"flaskmail cannot start: {error}") from None
    sockets.opened(owners.items(), listeners)
    try:
        _hold_certificate(server.cfg)
    except OSError as error:
        raise SystemExit(f"flaskmail cannot start: its certificate cannot be used: {error}") from None
    app = server.app.wsgi()
    own = getattr(app, "extensions", {}).get("flaskmail")
    if own is None:
        return
    scheme = "https" if server.cfg.is_ssl else "http"
    # What it has to say about the open sockets is said once, not by each worker.
    app.extensions["flaskmail.policy"].prepare()
    try:
        announce(app, addresses, scheme)
    except ConfigError as error:
        raise SystemExit(_refusal(error)) from None
    except (FlaskmailError, OSError) as error:
        raise SystemExit(f"flaskmail cannot start: {error}") from None
    finally:
        # Workers open their own files: a database connection must not cross a fork.
        own.close()


def post_fork(server: Any, worker: Any) -> None:
    """A hook of gunicorn's, in a new worker: connections of load balancers begin with a PROXY header."""
    listeners = settings.server.listeners()
    networks = None
    if any(listener.proxy.trusted_networks for listener in listeners.values()):
        own = getattr(server.app.wsgi(), "extensions", {}).get("flaskmail")
        networks = sockets.balancers(listeners, plan.networks_at_hand(settings, own))
    if networks is not None:
        from flaskmail.gunicornproxy import install

        install(networks)


def on_reload(server: Any) -> None:
    """A hook of gunicorn's, in the master at SIGHUP before it forks the new workers: read the settings again.

    Wrong ones are reported and the old ones stay in force. What cannot change while the server runs is named and keeps its
    value until a restart.
    """
    global settings
    try:
        wanted = load(settings.source, stored=read_texts)
    except StoreError as error:
        server.log.error("The settings cannot be read; the old ones stay in force: %s", error)
        return
    except ConfigError as error:
        for problem in error.problems:
            server.log.error("Settings: %s", problem)
        server.log.error("The settings are wrong; the old ones stay in force.")
        return
    changed, fixed = diff(settings, wanted)
    new = merge(settings, wanted)
    before, after = options(settings), options(new)
    settings = new
    adopt(wanted, serving=new)
    sockets.serve(new.server.listeners())
    # gunicorn takes its options from this module's names at the next reload, and from server.cfg until then.
    globals().update(after)
    for name, value in after.items():
        # An option that was given on the command line is not ours to change.
        if value != before[name] and server.cfg.settings[name].get() == before[name]:
            server.cfg.set(name, value)
    server.num_workers, server.timeout = server.cfg.workers, server.cfg.timeout
    _hold_certificate(server.cfg)
    server.log.setup(server.cfg)
    if changed:
        server.log.info("Settings: changed: %s", ", ".join(changed))
    if fixed:
        server.log.warning("Settings: needs a restart: %s", ", ".join(fixed))
    if not changed and not fixed:
        server.log.info("Settings: nothing changed")


_contexts: dict[tuple[object, ...], ssl.SSLContext] = {}


def _hold_certificate(config: Any) -> None:
    """Reads the certificate in the master: a worker that begins while the files are being renewed goes on with this one."""
    from gunicorn import sock

    if config.is_ssl:
        sock.ssl_context(config)


def ssl_context(config: Any, default_ssl_context_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """A hook of gunicorn's, for each TLS connection: the context, made anew only when the files have changed.

    A renewed certificate is used from the next connection on. While the new pair is incomplete the old one is used.
    """
    files = [Path(name) for name in (config.certfile, config.keyfile) if name]
    stamp: tuple[object, ...] | None = None
    try:
        stamp = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
        if stamp not in _contexts:
            fresh = default_ssl_context_factory()
            # RFC 9325 section 3.1.1: TLS 1.2 is the oldest version to be offered.
            fresh.minimum_version = ssl.TLSVersion.TLSv1_2
            fresh.sslsocket_class = PatientSocket
            _contexts.clear()
            _contexts[stamp] = fresh
        return _contexts[stamp]
    except (OSError, KeyError):
        for context in list(_contexts.values()):
            return context
        raise
