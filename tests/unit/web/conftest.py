from __future__ import annotations

from collections.abc import Iterator

import pytest

from flaskmail.testing import Jmap, MadeServer, make_server

SMALL = """
[jmap.protocol.request]
max-size = 2000
max-concurrent = 2
[jmap.protocol.upload]
max-size = 400_000
max-concurrent = 1
"""


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server(config=SMALL) as made:
        yield made


@pytest.fixture
def alice(made: MadeServer) -> Jmap:
    return made.account("alice@example.org")


@pytest.fixture
def bob(made: MadeServer) -> Jmap:
    return made.account("bob@example.org")
