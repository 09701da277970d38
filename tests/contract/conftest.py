from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import STORES

from flaskmail.jmap.storage import Store

ACCOUNT = "a1"


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = STORES[request.param](tmp_path / "data")
    made.create_account(ACCOUNT)
    yield made
    made.close()
