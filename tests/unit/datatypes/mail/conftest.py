from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from realmail import Mail
from smallmail import World

from flaskmail.server import Server
from flaskmail.testing import make_server


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A new account in each store."""
    world = World(path=None if request.param == "memory" else tmp_path)
    yield world
    world.store.close()


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def mail_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A whole server over each store."""
    with make_server(store=request.param) as made:
        yield made.server


@pytest.fixture
def mail(mail_server: Server) -> Mail:
    """Somebody with two new mail accounts."""
    return Mail(mail_server)


@pytest.fixture
def new_mail(mail_server: Server) -> Callable[..., Mail]:
    """Makes the same with limits or a quota."""
    return lambda **more: Mail(mail_server, **more)
