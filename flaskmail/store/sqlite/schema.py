"""The tables of an account's file: the fixed ones, and those that a declared data type asks for."""

from __future__ import annotations

from flaskmail.store.sqlite.plan import SEARCH_PREFIX, Plan, quoted

FIXED = (
    # One row: the account's own secret for blob ids, its modification sequence, and the octets of its blobs.
    """CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1), salt BLOB NOT NULL, modseq INTEGER NOT NULL, used INTEGER NOT NULL)""",
    """CREATE TABLE state (
        kind TEXT PRIMARY KEY, modseq INTEGER NOT NULL, live INTEGER NOT NULL) WITHOUT ROWID""",
    # What each type's tables were made for; compared with the declaration when a file is opened.
    """CREATE TABLE layout (kind TEXT PRIMARY KEY, spec TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE tally (
        name TEXT NOT NULL, key TEXT NOT NULL, member TEXT NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (name, key, member)) WITHOUT ROWID""",
    """CREATE TABLE link (name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID""",
    """CREATE INDEX link_value ON link (name, value)""",
    """CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID""",
    # Octets lie apart, so that a change of refs never rewrites them.
    """CREATE TABLE blob (
        num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sha BLOB NOT NULL, size INTEGER NOT NULL,
        refs INTEGER NOT NULL, uploaded INTEGER NOT NULL, filed INTEGER NOT NULL)""",
    """CREATE INDEX blob_filed ON blob (sha) WHERE filed""",
    """CREATE TABLE octets (num INTEGER PRIMARY KEY REFERENCES blob (num) ON DELETE CASCADE, data BLOB NOT NULL)""",
)
"""Statements of the first step of the ladder."""

HISTORY = "ALTER TABLE state ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0"
"""The second step: the modseq up to which destroyed records of the type may have been forgotten."""


def record_table(plan: Plan) -> str:
    """The table of a type's records. Columns come before the JSON, so that a scan of them reads no overflow page."""
    columns = "".join(f", {column}" for column in plan.column.values())
    return (
        f"CREATE TABLE {plan.r} (num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, "
        f"changed INTEGER NOT NULL, settled INTEGER NOT NULL{columns}, json BLOB NOT NULL)"
    )


def segment_table(plan: Plan, segment: str) -> str:
    """The table of one further segment."""
    return f"CREATE TABLE {plan.s[segment]} (num INTEGER PRIMARY KEY, json BLOB NOT NULL)"


def member_tables(plan: Plan, prop: str) -> tuple[str, str]:
    """Who has which key of ``prop``, and how many have it."""
    return (
        f"CREATE TABLE {plan.m[prop]} (member TEXT NOT NULL, num INTEGER NOT NULL, PRIMARY KEY (member, num)) "
        "WITHOUT ROWID",
        f"CREATE TABLE {plan.n[prop]} (member TEXT PRIMARY KEY, n INTEGER NOT NULL, groups INTEGER NOT NULL) "
        "WITHOUT ROWID",
    )


def search_tables(plan: Plan) -> tuple[str, ...]:
    """The full-text index. It keeps no text: records and blobs have it. Rowids follow record order, so that the newest
    matches come first without sorting."""
    columns = ", ".join(quoted(SEARCH_PREFIX + column) for column in plan.search)
    return (
        f"CREATE VIRTUAL TABLE {plan.f} USING fts5({columns}, content='', contentless_delete=1, detail=full, "
        "tokenize='unicode61 remove_diacritics 2')",
    )


def indexes(plan: Plan) -> tuple[str, ...]:
    """Indexes of the record table: what /changes reads, the group, and columns that are looked up.

    An ordered type is a big one, with cheap inserts: of its columns only those with ``Prop.lookup`` are indexed."""
    made = [
        f"CREATE INDEX IF NOT EXISTS {quoted('i_' + plan.name + '_.created')} ON {plan.r} (created)",
        f"CREATE INDEX IF NOT EXISTS {quoted('i_' + plan.name + '_.changed')} ON {plan.r} (changed)",
    ]
    for prop, column in plan.column.items():
        if plan.looked_up(prop):
            name = quoted(f"i_{plan.name}_{prop}")
            made.append(f"CREATE INDEX IF NOT EXISTS {name} ON {plan.r} ({column})")
    return tuple(made)


def tombstone_table(plan: Plan) -> str:
    """Records that were: a destroy has a modseq of its own, which is the key."""
    return f"CREATE TABLE {plan.d} (destroyed INTEGER PRIMARY KEY, id TEXT NOT NULL, grp, created INTEGER NOT NULL)"
