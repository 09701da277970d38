"""The store that keeps everything in memory: for tests, for trying things out, and as the oracle of the other stores.

Nothing here is clever. An account is one value that is never changed once it is committed; a transaction works on a copy of its
dictionaries and puts the copy in its place at the end. So a reader has its snapshot and a rollback is doing nothing.
Conditions are walked record by record (:mod:`flaskmail.store.evaluate`).
"""

from flaskmail.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
