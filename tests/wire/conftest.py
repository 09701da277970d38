from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flaskmail.testing import LiveServer, live_server

ROOT = Path(__file__).resolve().parents[2]
START = ("-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")
"""What ``gunicorn wsgi:app`` does in the repository's own folder."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for the tests of a module: two workers, as it comes."""
    folder = tmp_path_factory.mktemp("live")
    with live_server(folder=folder, arguments=START, python_path=ROOT) as server:
        yield server
