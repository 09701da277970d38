"""How queries are run: no further than they must, and never for ever. What they mean is in tests/contract."""

from __future__ import annotations

import pytest
from notes import note

from flaskmail.errors import StoreError
from flaskmail.jmap.conditions import And, Compare, Contains, HasMember, Matches, Not, Query, Scan, SortBy
from flaskmail.store.sqlite import SqliteStore, querying
from flaskmail.store.sqlite.compiling import match_expression
from flaskmail.values.dates import to_milliseconds

A = "a1"


@pytest.fixture
def crowd(store: SqliteStore) -> SqliteStore:
    with store.write(A) as txn:
        for n in range(3000):
            note(
                txn,
                title=f"title {n}",
                body="common" if n % 2 else f"common rare{n}",
                categories={"inbox": True, **({"seen": True} if n % 2 else {})},
                topic=f"t{n // 3}",
                createdAt=f"2024-01-{1 + n % 28:02d}T00:00:{n % 60:02d}Z",
            )
    return store


def steps(store: SqliteStore, query: Query) -> int:
    """How many steps of SQLite's machine a query takes."""
    taken = 0

    def count() -> bool:
        nonlocal taken
        taken += 1
        return False

    with store.read(A) as reader:
        reader.query("Note", query)
        reader.connection.db.set_progress_handler(count, 10)
        reader.query("Note", query)
        reader.connection.db.set_progress_handler(None)
        reader.connection.broken = True
    return taken * 10


INBOX = HasMember("categories", "inbox")


@pytest.mark.parametrize(
    "query",
    [
        Query(limit=20),
        Query(limit=20, total=True),
        Query(INBOX, limit=20),
        Query(INBOX, limit=20, total=True),
        Query(INBOX, (SortBy("createdAt", False),), limit=20, total=True),
        Query(INBOX, (SortBy("createdAt"),), limit=20, total=True),
        Query(INBOX, limit=20, collapse=True, total=True),
        Query(And((INBOX, Not(HasMember("categories", "seen")))), limit=20),
        Query(Matches((), "common"), limit=20),
        Query(And((INBOX, Matches((), "common"))), limit=20),
        Query(And((INBOX, Compare("createdAt", "<", to_milliseconds("2024-01-15T00:00:00Z")))), limit=20),
        Query(And((INBOX, HasMember("categories", "nothing"))), limit=20, total=True),
    ],
    ids=str,
)
def test_a_window_costs_what_it_shows(crowd: SqliteStore, query: Query) -> None:
    assert steps(crowd, query) < 3000


def test_the_measure_measures(crowd: SqliteStore) -> None:
    assert steps(crowd, Query(INBOX, (SortBy("title"),), limit=20)) > 10_000


def test_deep_positions_read_no_records(crowd: SqliteStore) -> None:
    assert steps(crowd, Query(INBOX, limit=20, position=2900)) < 25_000


def test_a_query_that_takes_too_long(crowd: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "SECONDS", -1.0)
    for query in (
        Query(Not(Contains("title", "x")), total=True, sort=(SortBy("title"),)),
        Query(Scan("longTitle", (0,)), total=True),
    ):
        with crowd.read(A) as reader, pytest.raises(StoreError, match="too long"):
            reader.query("Note", query)
    monkeypatch.undo()
    with crowd.read(A) as reader:
        assert len(reader.query("Note", Query(INBOX)).ids) == 3000


def test_nothing_typed_is_syntax() -> None:
    assert match_expression((), 'a "b c" d*') == '("a" AND "b c" AND "d"*)'
    assert match_expression(("title",), "x") == '{t_title} : ("x")'
    assert match_expression((), "") == ""
    assert match_expression((), "!?") is None
    for text in (
        '"',
        'a"b',
        "NEAR(a b)",
        "a OR b",
        "t_title:x",
        "{a}:b",
        "a^",
        "(",
        "a) OR (b",
        "-a",
        "a + b",
        "\\",
        "''",
    ):
        found = match_expression((), text)
        assert found is None or set(found) <= set('abcdefghijklmnopqrstuvwxyz _AND()"*'), text


@pytest.mark.parametrize(
    "text", ['"', "(((", "NEAR(", "a:b", "*", "**", "^a", "a\0b", "ﬁ", "İ", "\ud7ff", "x" * 5000, "߿ً"]
)
def test_no_text_breaks_the_search(crowd: SqliteStore, text: str) -> None:
    with crowd.read(A) as reader:
        assert reader.query("Note", Query(Matches((), text), total=True)).total in (0, 3000)


def test_wrong_names_are_told(store: SqliteStore) -> None:
    with store.read(A) as reader:
        for condition in (Compare("body", "=", "x"), HasMember("title", "x"), Compare("nothing", "=", 1)):
            with pytest.raises(StoreError, match="Note has no"):
                reader.query("Note", Query(condition))
        with pytest.raises(StoreError, match="collation"):
            reader.query("Note", Query(sort=(SortBy("title", True, "i;nothing"),)))
        with pytest.raises(StoreError, match="Strange"):
            reader.query("Strange", Query())


def test_more_of_one_moment_than_fit(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # Numbers that are taken up to the last of a millisecond: the next record takes one of the next.
    with store.write(A) as txn:
        first = note(txn)
        txn.connection.db.execute('UPDATE "r_Note" SET num = num + 32767')
        for table in ("s_Note_body",):
            txn.connection.db.execute(f'UPDATE "{table}" SET num = num + 32767')
        ids = [note(txn) for _ in range(3)]
        assert txn.ids("Note") == [first, *ids]
        assert txn.query("Note", Query(Compare("createdAt", "=", to_milliseconds("2024-01-01T00:00:00Z")))).ids == [
            *ids[::-1],
            first,
        ]
        monkeypatch.setattr("flaskmail.store.sqlite.writing.MAX_SPILL", 1)
        with pytest.raises(StoreError, match="same createdAt"):
            note(txn)
