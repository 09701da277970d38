"""Brings an account's file up to this version and to the types that are declared now.

The ladder: numbered steps, recorded in ``user_version``, each one transaction, so that a process killed at any point leaves a
file from which the next one goes on. Then the types: new ones get their tables, new indexed columns, members and segments are
filled from the stored JSON; another search index is empty until it is filled. Tables of types that are not declared now are
left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from flaskmail.errors import StoreError, StoreNewer
from flaskmail.store.sqlite import schema
from flaskmail.store.sqlite.plan import Database, Plan, Plans, decode_raw, encode_json, quoted

Spec = dict[str, Any]


Step = Callable[[Database], None]


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """BEGIN IMMEDIATE ... COMMIT; whatever goes wrong rolls back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if not db.get_autocommit():
            db.execute("ROLLBACK")
        raise


def _fixed_tables(db: Database) -> None:
    for statement in schema.FIXED:
        db.execute(statement)
    db.execute("INSERT INTO meta (one, salt, modseq, used) VALUES (1, ?, 0, 0)", (os.urandom(32),))


def _histories(db: Database) -> None:
    db.execute(schema.HISTORY)


LADDER: Sequence[Step] = (_fixed_tables, _histories)
"""Step n takes a file of version n - 1 to version n. Steps are never changed once released, only added."""


def version(db: Database) -> int:
    """The step of the ladder that the file stands on."""
    found: int = db.pragma("user_version")
    return found


def is_current(db: Database, plans: Plans, ladder: Sequence[Step] = LADDER) -> bool:
    """Whether ``migrate`` has nothing to do."""
    if version(db) != len(ladder):
        return False
    known = dict(db.execute("SELECT kind, spec FROM layout").fetchall())
    return all(known.get(plan.name) == _told(spec_of(plan)) for plan in plans.values())


def migrate(db: Database, plans: Plans, ladder: Sequence[Step] = LADDER) -> None:
    """Climbs the ladder and fits the tables to the declarations. The caller holds the account's writer lock.

    StoreError when the file was written by a newer version, or a type changed in a way that stored records cannot follow."""
    found = version(db)
    if found > len(ladder):
        raise StoreNewer(db.filename, found)
    for number in range(found + 1, len(ladder) + 1):
        with transaction(db):
            ladder[number - 1](db)
            db.pragma("user_version", number)
    for plan in plans.values():
        with transaction(db):
            _fit(db, plan)


def spec_of(plan: Plan) -> Spec:
    """What a type's tables are made for."""
    return {
        "segments": {segment: list(names) for segment, names in plan.segments.items()},
        "indexed": list(plan.indexed),
        "lookup": [prop for prop in plan.indexed if plan.looked_up(prop)],
        "members": list(plan.members),
        "search": list(plan.search),
        "order": plan.order,
        "group": plan.group,
    }


def _told(spec: Spec) -> str:
    return encode_json(spec).decode()


def _fit(db: Database, plan: Plan) -> None:
    wanted = spec_of(plan)
    row = db.execute("SELECT spec FROM layout WHERE kind = ?", (plan.name,)).fetchone()
    if row is None:
        _make(db, plan)
    elif row[0] != _told(wanted):
        _refit(db, plan, msgspec.json.decode(row[0]), wanted)
    else:
        return
    db.execute("INSERT OR REPLACE INTO layout (kind, spec) VALUES (?, ?)", (plan.name, _told(wanted)))


def _make(db: Database, plan: Plan) -> None:
    db.execute(schema.record_table(plan))
    db.execute(schema.tombstone_table(plan))
    for segment in plan.further:
        db.execute(schema.segment_table(plan, segment))
    for prop in plan.members:
        for statement in schema.member_tables(plan, prop):
            db.execute(statement)
    if plan.search:
        for statement in schema.search_tables(plan):
            db.execute(statement)
    for statement in schema.indexes(plan):
        db.execute(statement)
    db.execute("INSERT OR IGNORE INTO state (kind, modseq, live) VALUES (?, 0, 0)", (plan.name,))


def _refit(db: Database, plan: Plan, old: Spec, new: Spec) -> None:
    if old["order"] != new["order"]:
        raise StoreError(
            f"{plan.name}: order was {old['order']!r} when the account was made and is {new['order']!r} now; stored records "
            "cannot follow that: export and import them"
        )
    if old["search"] != new["search"]:
        # Its entries are missing until `flaskmail reindex` makes them from the records, which the store cannot.
        db.execute(f"DROP TABLE IF EXISTS {plan.f}")
        for statement in schema.search_tables(plan) if plan.search else ():
            db.execute(statement)
    if old["segments"] != new["segments"]:
        _resegment(db, plan, list(old["segments"]))
    columns = {row[1] for row in db.execute(f"PRAGMA table_info({plan.r})").fetchall()}
    for prop in plan.indexed:
        if f"c_{prop}" not in columns:
            db.execute(f"ALTER TABLE {plan.r} ADD COLUMN {plan.column[prop]}")
    _refill_columns(db, plan, [prop for prop in plan.indexed if prop not in old["indexed"]])
    for prop in old["members"]:
        if prop not in plan.members:
            db.execute(f"DROP TABLE {quoted(f'm_{plan.name}_{prop}')}")
            db.execute(f"DROP TABLE {quoted(f'n_{plan.name}_{prop}')}")
    for prop in plan.members:
        if prop not in old["members"]:
            for statement in schema.member_tables(plan, prop):
                db.execute(statement)
            refill_members(db, plan, prop)
        if prop not in old["members"] or old["group"] != new["group"]:
            recount_members(db, plan, prop)
    for prop in old["lookup"]:
        if prop not in new["lookup"]:
            db.execute(f"DROP INDEX IF EXISTS {quoted(f'i_{plan.name}_{prop}')}")
    for statement in schema.indexes(plan):
        db.execute(statement)


def _resegment(db: Database, plan: Plan, old: Sequence[str]) -> None:
    old_tables = {segment: quoted(f"s_{plan.name}_{segment}") for segment in old if segment}
    for segment in plan.further:
        if segment not in old_tables:
            db.execute(schema.segment_table(plan, segment))
    for num, json in walk(db, plan):
        whole = decode_raw(json)
        for table in old_tables.values():
            for (further,) in db.execute(f"SELECT json FROM {table} WHERE num = ?", (num,)).fetchall():
                whole.update(decode_raw(further))
        db.execute(f"UPDATE {plan.r} SET json = ? WHERE num = ?", (plan.split(whole, ""), num))
        for segment in plan.further:
            db.execute(
                f"INSERT OR REPLACE INTO {plan.s[segment]} (num, json) VALUES (?, ?)",
                (num, plan.split(whole, segment)),
            )
    for segment, table in old_tables.items():
        if segment not in plan.further:
            db.execute(f"DROP TABLE {table}")


def walk(db: Database, plan: Plan, segment: str = "") -> Iterator[tuple[int, bytes]]:
    """(num, JSON) of every record's segment, in steps, so that the table may be written meanwhile."""
    table = plan.s[segment] if segment else plan.r
    last = -(2**63)
    while rows := db.execute(f"SELECT num, json FROM {table} WHERE num > ? ORDER BY num LIMIT 500", (last,)).fetchall():
        yield from rows
        last = rows[-1][0]


def _refill_columns(db: Database, plan: Plan, props: Sequence[str]) -> None:
    for prop in props:
        statement = f"UPDATE {plan.r} SET {plan.column[prop]} = ? WHERE num = ?"
        for num, json in walk(db, plan, plan.segment_of[prop]):
            db.execute(statement, (plan.column_value(prop, decode_raw(json).get(prop)), num))


def refill_members(db: Database, plan: Plan, prop: str) -> None:
    """Makes the member rows of a property anew from the records."""
    db.execute(f"DELETE FROM {plan.m[prop]}")
    for num, json in walk(db, plan, plan.segment_of[prop]):
        value = decode_raw(json).get(prop)
        for member in (msgspec.json.decode(value) if value is not None else None) or ():
            db.execute(plan.add_member[prop], (member, num))


def recount_members(db: Database, plan: Plan, prop: str) -> None:
    """Makes the kept counts of a property anew from its member rows."""
    db.execute(f"DELETE FROM {plan.n[prop]}")
    db.execute(f"INSERT INTO {plan.n[prop]} (member, n, groups) {count_members(plan, prop)}")


def count_members(plan: Plan, prop: str) -> str:
    """The SELECT of (member, n, groups) as the member rows have it."""
    if plan.group_column is None:
        return f"SELECT member, count(*), 0 FROM {plan.m[prop]} GROUP BY member"
    group = f"r.{plan.group_column}"
    return (
        f"SELECT m.member, count(*), count(DISTINCT {group}) + sum({group} IS NULL) FROM {plan.m[prop]} AS m "
        f"JOIN {plan.r} AS r ON r.num = m.num GROUP BY m.member"
    )
