from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from proxies import SERVER_ARGUMENTS, Certificates

from flaskmail.testing import LiveServer, live_server

HOSTNAME = 'server.workers = 1\nlookup.default.hostname = "mail.example.org"\n'
TRUSTED = 'server.http.use-x-forwarded = true\nserver.http.trusted-proxies = ["127.0.0.1", "unix"]\n'


def serving(folder: Path, config: str) -> Iterator[LiveServer]:
    with live_server(HOSTNAME + config, folder=folder, arguments=SERVER_ARGUMENTS) as server:
        server.account("ann@example.org")
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Believes X-Forwarded-* of a proxy on 127.0.0.1 or the Unix socket."""
    yield from serving(tmp_path_factory.mktemp("on"), TRUSTED)


@pytest.fixture(scope="module")
def trusting_forwarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Believes Forwarded of a proxy on 127.0.0.1 or the Unix socket."""
    yield from serving(tmp_path_factory.mktemp("forwarded"), TRUSTED + 'server.http.forwarded-header = "forwarded"\n')


@pytest.fixture(scope="module")
def distrusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """As it comes: believes nobody."""
    yield from serving(tmp_path_factory.mktemp("off"), "")
