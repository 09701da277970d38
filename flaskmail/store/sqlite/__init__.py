"""Accounts on disk: one SQLite file each, through apsw."""

from flaskmail.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
