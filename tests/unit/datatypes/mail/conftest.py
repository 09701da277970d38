from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from smallmail import World


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A new account in each store."""
    world = World(path=None if request.param == "memory" else tmp_path)
    yield world
    world.store.close()
