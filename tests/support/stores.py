"""Every store there is, by name, for suites that each of them must pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from notes import Label, Note

from flaskmail.jmap.storage import Store
from flaskmail.store.memory import MemoryStore
from flaskmail.store.sqlite import SqliteStore

STORES: Mapping[str, Callable[[Path], Store]] = {
    "memory": lambda path: MemoryStore([Note(), Label()]),
    "sqlite": lambda path: SqliteStore(path, [Note(), Label()]),
}
