from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from notes import Label, Note

from flaskmail.store.sqlite import SqliteStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(root: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(root, [Note(), Label()])
    made.create_account("a1")
    yield made
    made.close()
