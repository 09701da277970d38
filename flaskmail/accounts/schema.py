"""The ladders of ``control.db`` and ``throttle.db``: a step once released never changes; new ones are appended."""

from __future__ import annotations

CONTROL = (
    """
    CREATE TABLE domain(
        name TEXT PRIMARY KEY,
        description TEXT NOT NULL,
        created TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE principal(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        domain TEXT REFERENCES domain(name),
        description TEXT NOT NULL,
        admin INTEGER NOT NULL,
        disabled INTEGER NOT NULL,
        quota INTEGER,
        created TEXT NOT NULL,
        password TEXT NOT NULL,
        stamp INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX principal_domain ON principal(domain);
    CREATE TABLE token(
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        hash BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        created TEXT NOT NULL,
        expires INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX token_principal ON token(principal);
    """,
)

THROTTLE = (
    """
    CREATE TABLE failures(
        key BLOB PRIMARY KEY,
        level REAL NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX failures_at ON failures(at);
    CREATE TABLE known(
        key BLOB PRIMARY KEY,
        at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX known_at ON known(at);
    """,
)
