"""Every store there is, by name, for suites that each of them must pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from notes import Label, Note

import flaskmail.store.sqlite as sqlite
from flaskmail.jmap.storage import Store
from flaskmail.store.memory import MemoryStore

STORES: Mapping[str, Callable[[Path], Store]] = {"memory": lambda path: MemoryStore([Note(), Label()])}
if hasattr(sqlite, "SqliteStore"):
    STORES = {**STORES, "sqlite": lambda path: sqlite.SqliteStore(path, [Note(), Label()])}
