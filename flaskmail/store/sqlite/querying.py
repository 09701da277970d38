"""Runs a Query: picks the table to begin from, and reads no further than the window that is wanted.

Record numbers follow record order, so a window in record order is a scan of a key that stops: over the member rows when a
HasMember must hold, over the full-text index when text must match, else over the records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import apsw

from flaskmail.errors import StoreError
from flaskmail.jmap.conditions import HasMember, Matches, Query, QueryResult, Scan, SortBy
from flaskmail.store.sqlite.compiling import FALSE, TRUE, Compiler, conjuncts, joined, match_expression
from flaskmail.store.sqlite.connections import Connection
from flaskmail.store.sqlite.plan import Plan

if TYPE_CHECKING:
    from flaskmail.store.sqlite.reading import SqliteReader

SECONDS = 10.0
"""A query that takes longer is given up."""
FEW = 200
"""So many holders of a key, or fewer, are looked at one by one when text must match as well."""


def run(reader: SqliteReader, connection: Connection, plan: Plan, query: Query) -> QueryResult:
    """See Reader.query. StoreError when it takes longer than SECONDS."""
    search = _Search(reader, connection, plan, query)
    former = connection.deadline, connection.scans
    connection.deadline, connection.scans = min(former[0], time.monotonic() + SECONDS), search.inner_tests
    try:
        return search.result()
    except apsw.InterruptError:
        raise StoreError("the query took too long and was given up; narrow the filter or ask for no total") from None
    except apsw.TooBigError:
        raise StoreError("the filter is more than can be looked for at once") from None
    finally:
        connection.deadline, connection.scans = former


class _Search:
    """One query on its way."""

    def __init__(self, reader: SqliteReader, connection: Connection, plan: Plan, query: Query) -> None:
        self.reader, self.connection, self.plan, self.query = reader, connection, plan, query
        self.db = connection.db
        wanted = conjuncts(query.condition)
        self.scans = [each for each in wanted if isinstance(each, Scan)]
        self.plain = [each for each in wanted if not isinstance(each, Scan)]
        # With nothing but the order property to sort by, the result is in record order.
        self.in_record_order = not query.sort or (
            query.sort == (SortBy(plan.order or "", query.sort[0].ascending),) and plan.order is not None
        )
        self.descending = not query.sort[0].ascending if query.sort else plan.order is not None
        self.collapse = query.collapse and plan.group_column is not None
        self._begin()

    # ---- the statement's parts

    def _begin(self) -> None:
        """Picks the table to begin from, and compiles."""
        plan, rest = self.plan, list(self.plain)
        texts = [each for each in rest if isinstance(each, Matches)]
        holders = [each for each in rest if isinstance(each, HasMember) and each.prop in plan.m]
        self.nothing = False
        phrases: list[str] = []
        for text in texts:
            phrase = match_expression(text.columns, text.query)
            self.nothing |= phrase is None
            if phrase:
                phrases.append(phrase)
        rest = [each for each in rest if not isinstance(each, Matches)]
        driver: HasMember | None = None
        self.few = False
        if holders and (len(holders) > 1 or phrases):
            sizes = [self.reader.counts(plan, each.prop, each.member)[0] for each in holders]
            self.few = min(sizes) <= FEW
            driver = holders[sizes.index(min(sizes))]
        elif holders:
            driver = holders[0]
        by_text = bool(phrases) and not (driver and self.few)
        self.begins_with = "text" if by_text else "member" if driver is not None else "record"
        self.num = {"text": "f.rowid", "member": "m.num", "record": "r.num"}[self.begins_with]
        compiler = self.compiler = Compiler(plan, self.num)
        where: list[str] = []
        if by_text:
            self.table = f"{plan.f} AS f"
            where.append(f"f.{plan.f} MATCH {compiler.bind(' AND '.join(f'({p})' for p in phrases))}")
        else:
            if driver is not None:
                self.table = f"{plan.m[driver.prop]} AS m"
                where.append(f"m.member = {compiler.bind(driver.member)}")
                rest.remove(driver)
            else:
                self.table = f"{plan.r} AS r"
            if phrases:
                match = compiler.bind(" AND ".join(f"({p})" for p in phrases))
                where.append(
                    f"EXISTS (SELECT 1 FROM {plan.f} AS t WHERE t.{plan.f} MATCH {match} AND t.rowid = {self.num})"
                )
        self.lone_member = driver if not rest and not phrases and not self.nothing else None
        self.everything = not self.plain
        for each in rest:
            where.extend(compiler.range_hints(each))
            expression = compiler.expression(each)
            if expression != TRUE:
                where.append(expression)
        self.nothing |= FALSE in where
        # What is bound after this belongs to the order alone.
        self.filter_bindings = tuple(compiler.bindings)
        self.sort_keys = [] if self.in_record_order else [compiler.sort_key(sort) for sort in self.query.sort]
        # Few enough stay side by side, where SQLite can use each of them; many are weighed as one balanced tree.
        self.where = where if len(where) < 50 else [where[0], joined(where[1:], "AND", TRUE)]

    @property
    def inner_tests(self) -> list[Callable[[str], bool]]:
        """What ``fm_scan`` calls, by index."""
        return [self._test(scan) for scan in self.compiler.scans]

    def _test(self, scan: Scan) -> Callable[[str], bool]:
        kind, reader = self.plan.kind, self.reader
        return lambda id: kind.scan(reader, id, scan.name, scan.args)

    def _from(self, with_row: bool) -> str:
        if self.begins_with == "record" or not with_row:
            return self.table
        return f"{self.table} CROSS JOIN {self.plan.r} AS r ON r.num = {self.num}"

    def _where(self, *further: str) -> str:
        every = [*self.where, *further]
        return f" WHERE {' AND '.join(every)}" if every else ""

    def _order(self) -> str:
        direction = "DESC" if self.descending else "ASC"
        return f" ORDER BY {', '.join([*self.sort_keys, f'{self.num} {direction}'])}"

    def _rows(self, sql: str, *further: Any) -> list[Any]:
        rows: list[Any] = self.db.execute(sql, (*self.compiler.bindings, *further)).fetchall()
        return rows

    # ---- the answer

    def result(self) -> QueryResult:
        """The window, its position and the total."""
        query = self.query
        if self.nothing:
            if query.anchor is not None:
                raise KeyError(query.anchor)
            return QueryResult([], max(0, query.position), 0 if query.total else None)
        if self.scans or (query.anchor is not None and (self.collapse or not self.in_record_order)):
            return self._streamed()
        total: int | None = None
        if query.anchor is not None:
            start = max(0, self._index_of(query.anchor) + query.anchor_offset)
        elif query.position < 0:
            total = self._total()
            start = max(0, total + query.position)
        else:
            start = query.position
        if query.total and total is None:
            total = self._total()
        if query.limit == 0 or (total is not None and start >= total):
            ids: list[str] = []
        elif self.collapse:
            ids = self._collapsed(start)
        else:
            ids = self._window(start)
        return QueryResult(ids, start, total if query.total else None)

    def _window(self, start: int) -> list[str]:
        limit = -1 if self.query.limit is None else self.query.limit
        n = len(self.compiler.bindings)
        cut = f" LIMIT ?{n + 1} OFFSET ?{n + 2}"
        if self.begins_with == "record" or not self.in_record_order:
            sql = f"SELECT r.id FROM {self._from(True)}{self._where()}{self._order()}{cut}"
        else:
            # Only the rows inside of the window are looked at.
            inner = (
                f"SELECT {self.num} AS num FROM {self._from(self.compiler.uses_row)}{self._where()}{self._order()}{cut}"
            )
            direction = "DESC" if self.descending else "ASC"
            sql = (
                f"SELECT r.id FROM ({inner}) AS w CROSS JOIN {self.plan.r} AS r ON r.num = w.num "
                f"ORDER BY w.num {direction}"
            )
        return [id for (id,) in self._rows(sql, limit, start)]

    def _collapsed(self, start: int) -> list[str]:
        """The first record of each group, read until the window is full."""
        group = f"r.{self.plan.group_column}"
        sql = f"SELECT r.id, {group} FROM {self._from(True)}{self._where()}{self._order()}"
        seen: set[Any] = set()
        ids: list[str] = []
        end = None if self.query.limit is None else start + self.query.limit
        for id, value in self.db.execute(sql, self.compiler.bindings):
            if value is None:
                value = (id,)
            if value not in seen:
                seen.add(value)
                if len(seen) > start:
                    ids.append(id)
                if len(seen) == end:
                    break
        return ids

    def _total(self) -> int:
        if self.lone_member is not None:
            n, groups = self.reader.counts(self.plan, self.lone_member.prop, self.lone_member.member)
            return groups if self.collapse else n
        if self.collapse:
            group = f"r.{self.plan.group_column}"
            counted = f"count(DISTINCT {group}) + ifnull(sum({group} IS NULL), 0)"
            return self._count(f"SELECT {counted} FROM {self._from(True)}{self._where()}")
        if self.everything:
            return self.reader.live(self.plan)
        return self._count(f"SELECT count(*) FROM {self._from(self.compiler.uses_row)}{self._where()}")

    def _count(self, sql: str) -> int:
        return int(self.db.execute(sql, self.filter_bindings).fetchall()[0][0])

    def _index_of(self, anchor: str) -> int:
        """How many results come before the anchor, in record order."""
        row = self.db.execute(f"SELECT num FROM {self.plan.r} WHERE id = ?", (anchor,)).fetchone()
        if row is None:
            raise KeyError(anchor)
        counted = f"SELECT count(*) FROM {self._from(self.compiler.uses_row)}"
        place = f"?{len(self.compiler.bindings) + 1}"
        if not self._rows(counted + self._where(f"{self.num} = {place}"), row[0])[0][0]:
            raise KeyError(anchor)
        before = ">" if self.descending else "<"
        return int(self._rows(counted + self._where(f"{self.num} {before} {place}"), row[0])[0][0])

    # ---- one by one

    def _each(self) -> Generator[str, None, None]:
        """Every id of the whole result, in order."""
        group = f"r.{self.plan.group_column}" if self.collapse else "NULL"
        tests = [self._test(scan) for scan in self.scans]
        sql = f"SELECT r.id, {group} FROM {self._from(True)}{self._where()}{self._order()}"
        rows = self.db.execute(sql, self.compiler.bindings)
        # Closed whatever happens: a statement that is still open would carry its snapshot into the connection's next use.
        with closing(rows):
            yield from self._passing(rows, tests)

    def _passing(self, rows: Iterable[tuple[str, Any]], tests: Sequence[Callable[[str], bool]]) -> Iterator[str]:
        seen: set[Any] = set()
        for id, value in rows:
            if time.monotonic() > self.connection.deadline:
                raise apsw.InterruptError
            if value in seen:
                continue
            if all(test(id) for test in tests):
                if value is not None:
                    seen.add(value)
                yield id

    def _streamed(self) -> QueryResult:
        query = self.query
        whole = query.total or query.anchor is not None or query.position < 0 or query.limit is None
        end = None if whole or query.limit is None else query.position + query.limit
        found: list[str] = []
        with closing(self._each()) as each:
            for id in each:
                if end is not None and len(found) >= end:
                    break
                found.append(id)
        start = query.position
        if query.anchor is not None:
            try:
                start = max(0, found.index(query.anchor) + query.anchor_offset)
            except ValueError:
                raise KeyError(query.anchor) from None
        elif start < 0:
            start = max(0, len(found) + start)
        ids = found[start:] if query.limit is None else found[start : start + query.limit]
        return QueryResult(ids, start, len(found) if query.total else None)
