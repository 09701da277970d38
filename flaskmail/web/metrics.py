"""Figures for Prometheus, for those who may read them; and what counts requests."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request

from flaskmail.accounts.authentication import parse_basic
from flaskmail.config.observing import Prometheus
from flaskmail.decisions.addresses import Networks, read_networks, read_peer
from flaskmail.errors import RequestError, StoreError
from flaskmail.formats.exposition import CONTENT_TYPE, Family, Sample, exposition
from flaskmail.metrics import Recorder, counts
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import POLICY
from flaskmail.server import Server
from flaskmail.web.accesslog import RECORDER
from flaskmail.web.admission import Environ, who

PATHS = ("/metrics", "/metrics/prometheus")
PERMISSION = "metrics-view"

StartResponse = Callable[..., Any]


def folder(data: Path) -> Path:
    """Where the counts are. data: the folder of the data."""
    return data / "metrics"


def counting(application: Callable[[Environ, StartResponse], Iterable[bytes]], server: Server) -> Any:
    """Wraps an application: its requests are counted while the setting says so."""
    recorder: Recorder | None = None

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal recorder
        settings = server.settings
        if settings.metrics.prometheus.enable:
            if recorder is None:
                recorder = Recorder(folder(settings.storage.path))
            environ[RECORDER] = recorder
        return application(environ, start_response)

    return serve


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the routes."""

    def figures() -> Response:
        settings = server.settings
        if not settings.metrics.prometheus.enable:
            raise RequestError(404, "There is nothing at this address.")
        admit(server, settings.metrics.prometheus, request.environ)
        families = [*counts(folder(settings.storage.path)).families(), *_gauges(server)]
        return Response(exposition(families), content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    for path in PATHS:
        blueprint.add_url_rule(
            path, path.strip("/").replace("/", "-"), figures, strict_slashes=False, merge_slashes=False
        )


def admit(server: Server, settings: Prometheus, environ: Environ) -> None:
    """Raises RequestError 401, 403, 429 or 503 for those who may not read."""
    policy: HttpPolicy | None = environ.get(POLICY)
    address = environ.get("REMOTE_ADDR") or "" if policy is None else policy.proven_address(environ)
    ip = read_peer(address) if address else None
    if ip is not None and ip in _networks(settings.networks):
        return
    if _is_known(settings, environ.get("HTTP_AUTHORIZATION", "")):
        return
    access = server.access_of(who(server, environ))
    if not access.may(PERMISSION):
        raise access.lacking(PERMISSION)


def _is_known(settings: Prometheus, authorization: str) -> bool:
    wanted, secret = settings.auth.username, settings.auth.secret
    if wanted is None or secret is None or authorization[:6].lower() != "basic ":
        return False
    try:
        name, password = parse_basic(authorization[6:].strip(" "))
    except RequestError:
        return False
    # The secret is too long to be guessed, so that attempts need not be counted here.
    return hmac.compare_digest(password, secret.encode()) and name == wanted.lower()


@lru_cache(maxsize=8)
def _networks(members: tuple[str, ...]) -> Networks:
    return read_networks(members)[0]


def _gauges(server: Server) -> Iterator[Family]:
    yield Family("flaskmail_info", "gauge", "The version that runs.", [Sample(1, {"version": version("flaskmail")})])
    try:
        server.check()
        ready = 1
    except StoreError:
        ready = 0
    yield Family("flaskmail_ready", "gauge", "Whether the data can be used.", [Sample(ready)])
    try:
        found = os.statvfs(server.settings.storage.path)
    except OSError:
        return
    yield Family(
        "flaskmail_storage_free_bytes",
        "gauge",
        "Octets that are free on the file system of the data.",
        [Sample(found.f_bavail * found.f_frsize)],
    )
    yield Family(
        "flaskmail_storage_size_bytes",
        "gauge",
        "Octets that the file system of the data has.",
        [Sample(found.f_blocks * found.f_frsize)],
    )
