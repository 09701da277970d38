from __future__ import annotations

import threading
from pathlib import Path

from flaskmail.accounts.database import Database, Row


def test_several_may_make_a_file_at_once(tmp_path: Path) -> None:
    found: list[list[Row]] = []
    # Where nobody waits, one round in nine fails.
    for number in range(60):
        databases = [Database(tmp_path / f"{number}.db", ["CREATE TABLE a(x)"]) for _ in range(6)]
        start = threading.Barrier(len(databases), timeout=60)

        def read(database: Database, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(database.rows("SELECT x FROM a"))

        threads = [threading.Thread(target=read, args=(one,)) for one in databases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for database in databases:
            database.close()
    assert found == [[]] * 360
