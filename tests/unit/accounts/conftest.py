from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.principals import Principal, new_account_id
from flaskmail.config.kinds import Rate
from flaskmail.config.settings import Argon2, Authentication

CHEAP = Authentication(argon2=Argon2(memory=8192, time_cost=1), fail_rate=Rate(10, 60))


@pytest.fixture
def open_directory(tmp_path: Path) -> Iterator[Callable[[], Directory]]:
    """Directories on one data folder, as several processes have them."""
    made: list[Directory] = []
    now = time.time()

    def open_one() -> Directory:
        made.append(Directory(tmp_path / "data", CHEAP))
        # No try becomes free while a test runs, however long that takes.
        made[-1]._throttle._clock = lambda: now
        return made[-1]

    yield open_one
    for directory in made:
        directory.close()


@pytest.fixture
def directory(open_directory: Callable[[], Directory]) -> Directory:
    return open_directory()


def add(directory: Directory, name: str, password: str = "secret") -> Principal:
    principal, _ = directory.principals.add(new_account_id(), name, directory.passwords.hash(password))
    return principal


def basic(name: str, password: str = "secret") -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
