from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flaskmail.backup import make_backup
from flaskmail.config import Settings
from flaskmail.config.settings import Argon2, Authentication, Storage
from flaskmail.server import Server
from flaskmail.upkeep import Verified, verify_all

LARGE = 200_000
Open = Callable[[Path], Server]


def make_server(data: Path) -> Server:
    quick = Authentication(argon2=Argon2(memory=8192, time_cost=1))
    return Server(Settings(storage=Storage(path=data), authentication=quick), installed=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three accounts, each with a small blob and a large one; and a backup of it beside it."""
    folder = tmp_path_factory.mktemp("template")
    server = make_server(folder / "data")
    server.ensure_admin()
    for name in ("ann", "ben", "cat"):
        principal = server.create_account(f"{name}@example.org", "correct horse battery").principal
        server.store.put_blob(principal.id, name.encode() * LARGE, 3 * LARGE)
        server.store.put_blob(principal.id, b"small", 5)
    make_backup(server.store, server.directory, folder / "data", folder / "b")
    server.close()
    return folder


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens servers on data folders; they are closed at the end."""
    made: list[Server] = []

    def make(data: Path) -> Server:
        made.append(make_server(data))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(tmp_path: Path, template: Path, opened: Open) -> Server:
    """A server on a copy of the template's data."""
    shutil.copytree(template / "data", tmp_path / "data")
    return opened(tmp_path / "data")


@pytest.fixture
def backup(tmp_path: Path, template: Path) -> Path:
    """A copy of the template's backup."""
    return Path(shutil.copytree(template / "b", tmp_path / "b"))


@pytest.fixture
def check(opened: Open) -> Callable[[Path], Verified]:
    """Verifies a data folder."""

    def verify(data: Path) -> Verified:
        server = opened(data)
        done = verify_all(server.store, server.types.values(), server.directory)
        server.close()
        return done

    return verify
