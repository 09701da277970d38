"""What the store derives from one DataType: names of tables and columns, segments, and the statements of every day.

Identifiers come from declarations only, never from values, and are always quoted.

::

    r_T            one row a record: num (the key, in record order), id, modseqs, indexed columns, the "" segment
    s_T_segment    num, json: every other segment
    m_T_prop       (member, num): who has which key of a ``members`` property
    n_T_prop       member, n, groups: how many records (and distinct groups) have it
    d_T            tombstones, by the modseq of their end
    f_T            the full-text index, rowid = num
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from flaskmail.errors import StoreDamaged, StoreError
from flaskmail.jmap.conditions import Scalar
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Json, Record
from flaskmail.values.dates import to_milliseconds

Database = Any
"""apsw.Connection, whose type stubs give the values of a row no types."""
COUNTER_BITS = 15
"""Low bits of a record number that tell records of the same millisecond apart."""
MAX_SPILL = 1000
"""Milliseconds by which a record number may run ahead of its date, when one millisecond holds more records than fit."""
SEARCH_PREFIX = "t_"
"""Put before the names of search columns, because FTS5 reserves some names."""

Joiner = Callable[[Sequence[Any]], bytes]

_decode_raw = msgspec.json.Decoder(dict[str, Raw]).decode
encode_json = msgspec.json.encode


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def decode_raw(json: bytes) -> dict[str, Raw]:
    """A stored JSON object with its values left as they are. StoreDamaged when it is none."""
    try:
        return _decode_raw(json)
    except msgspec.DecodeError as error:
        raise StoreDamaged(f"a stored record is no JSON object: {error}") from None


class Plan:
    """One DataType as the store sees it. Attributes are constants after construction."""

    def __init__(self, kind: DataType) -> None:
        self.kind = kind
        self.name = name = kind.name
        self.stored = tuple(n for n, p in kind.props.items() if not p.computed)
        self.known = frozenset(self.stored) | {"id"}
        self.segment_of = {n: kind.props[n].segment for n in self.stored}
        segments: dict[str, list[str]] = {"": []}
        for prop, segment in self.segment_of.items():
            segments.setdefault(segment, []).append(prop)
        self.segments = {segment: tuple(names) for segment, names in segments.items()}
        self.further = tuple(segment for segment in self.segments if segment)
        self.indexed = tuple(n for n in self.stored if kind.props[n].indexed)
        self.members = tuple(n for n in self.stored if kind.props[n].members)
        self.counters = frozenset(n for n in self.stored if kind.props[n].counter)
        self.blob_refs = {n: ref for n in self.stored if (ref := kind.props[n].blob_ref) is not None}
        self.order, self.group, self.search = kind.order, kind.group, tuple(kind.search)

        self.r, self.d, self.f = (quoted(f"{letter}_{name}") for letter in "rdf")
        self.f_sizes = quoted(f"f_{name}_docsize")
        self.s = {segment: quoted(f"s_{name}_{segment}") for segment in self.further}
        self.m = {prop: quoted(f"m_{name}_{prop}") for prop in self.members}
        self.n = {prop: quoted(f"n_{name}_{prop}") for prop in self.members}
        self.column = {prop: quoted(f"c_{prop}") for prop in self.indexed}
        self.group_column = self.column[self.group] if self.group is not None else None
        self._pickers: dict[tuple[str, ...], Picker] = {}
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._statements()

    def _statements(self) -> None:
        r, d, f = self.r, self.d, self.f
        columns = [self.column[prop] for prop in self.indexed]
        names = ["num", "id", "created", "changed", "settled", *columns, "json"]
        self.insert = f"INSERT INTO {r} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        self.insert_segment = {s: f"INSERT INTO {table} (num, json) VALUES (?, ?)" for s, table in self.s.items()}
        self.update_segment = {s: f"UPDATE {table} SET json = ? WHERE num = ?" for s, table in self.s.items()}
        group = self.group_column or "NULL"
        self.find = f"SELECT num, created, {group}, json FROM {r} WHERE id = ?"
        by_id = f"json_each(?) AS j CROSS JOIN {r} AS r ON r.id = j.value"
        self.find_all = f"SELECT r.id, r.num, r.created, {group}, r.json FROM {by_id}"
        self.touch = f"UPDATE {r} SET changed = ?, settled = ? WHERE id = ?"
        self.delete = f"DELETE FROM {r} WHERE num = ?"
        self.bury = f"INSERT INTO {d} (destroyed, id, grp, created) VALUES (?, ?, ?, ?)"
        self.oldest_buried = f"SELECT destroyed FROM {d} WHERE destroyed <= ? ORDER BY destroyed LIMIT ?"
        self.unbury = f"DELETE FROM {d} WHERE destroyed <= ?"
        searched = [quoted(SEARCH_PREFIX + column) for column in self.search]
        self.insert_text = (
            f"INSERT INTO {f} (rowid, {', '.join(searched)}) VALUES ({', '.join('?' * (len(searched) + 1))})"
        )
        self.delete_text = f"DELETE FROM {f} WHERE rowid = ?"
        self.last_num = f"SELECT max(num) FROM {r}"
        self.last_in_range = f"SELECT max(num) FROM {r} WHERE num BETWEEN ? AND ?"
        self.add_member = {p: f"INSERT INTO {m} (member, num) VALUES (?, ?)" for p, m in self.m.items()}
        self.drop_member = {p: f"DELETE FROM {m} WHERE member = ? AND num = ?" for p, m in self.m.items()}
        self.add_count = {
            p: f"INSERT INTO {n} (member, n, groups) VALUES (?1, ?2, ?3) "
            f"ON CONFLICT (member) DO UPDATE SET n = n + ?2, groups = groups + ?3"
            for p, n in self.n.items()
        }
        self.drop_count = {p: f"DELETE FROM {n} WHERE member = ? AND n = 0" for p, n in self.n.items()}
        self.group_has = {
            p: f"SELECT 1 FROM {r} AS g CROSS JOIN {m} AS m ON m.member = ?1 AND m.num = g.num "
            f"WHERE g.{self.group_column} = ?2 AND g.num <> ?3 LIMIT 1"
            for p, m in self.m.items()
            if self.group_column is not None
        }
        self.groups_having = {
            p: f"SELECT count(*) FROM json_each(?2) AS j WHERE EXISTS (SELECT 1 FROM {r} AS g CROSS JOIN {m} AS m "
            f"ON m.member = ?1 AND m.num = g.num WHERE g.{self.group_column} = j.value)"
            for p, m in self.m.items()
            if self.group_column is not None
        }
        self.add_members = {
            p: f"INSERT INTO {m} (member, num) SELECT ?1, value FROM json_each(?2)" for p, m in self.m.items()
        }
        self.drop_members = {
            p: f"DELETE FROM {m} WHERE member = ?1 AND num IN (SELECT value FROM json_each(?2))"
            for p, m in self.m.items()
        }
        self.group_others = f"SELECT 1 FROM {r} WHERE {group} = ? AND num <> ? LIMIT 1"

    def looked_up(self, prop: str) -> bool:
        """Whether the column of an indexed property has an index of its own."""
        return self.order is None or prop == self.group or self.kind.props[prop].lookup

    # ---- values

    def columns_of(self, record: Record) -> list[Scalar]:
        """The indexed columns' values, in the order of ``indexed``."""
        return [self.column_value(prop, record.get(prop)) for prop in self.indexed]

    def column_value(self, prop: str, value: Json) -> Scalar:
        """The scalar under which ``value`` is indexed; null stays null."""
        if value is None:
            return None
        if isinstance(value, Raw):
            value = msgspec.json.decode(value)
        return self.kind.props[prop].column(value)

    def milliseconds(self, record: Record) -> int | None:
        """Where the record stands in time; None when the type has no order of its own or the record no date."""
        value = record.get(self.order) if self.order is not None else None
        return None if value is None else to_milliseconds(value)

    def blobs_of(self, prop: str, value: Json) -> Sequence[str]:
        """Ids of the blobs that the property's value keeps alive."""
        return () if value is None else self.blob_refs[prop](value)

    def split(self, record: Record, segment: str) -> bytes:
        """The JSON of one segment of a record; the "" segment begins with the id."""
        names = self.segments[segment]
        chosen = {name: record[name] for name in names if name in record}
        return encode_json(chosen if segment else {"id": record["id"], **chosen})

    def shape(self, names: tuple[str, ...]) -> Shape:
        """How to update ``names``; kept. ValueError for a name that is none of the stored properties."""
        found = self._shapes.get(names)
        if found is None:
            if len(self._shapes) >= 500:
                self._shapes.clear()
            found = self._shapes[names] = Shape(self, names)
        return found

    # ---- reading

    def picker(self, names: Sequence[str]) -> Picker:
        """How to read ``names``; kept, because clients ask for the same few sets again and again."""
        key = tuple(names)
        found = self._pickers.get(key)
        if found is None:
            if len(self._pickers) >= 500:
                self._pickers.clear()
            found = self._pickers[key] = Picker(self, key)
        return found


class Shape:
    """What an update of a set of properties has to do.

    statement: changes the row of the record; its bindings are the modseq for each of ``marks``, the values of ``columns``, the
    "" segment if that is ``first``, and the number. together: changes many rows, each told in one value: the number and the
    modseq in 20 characters each, and the "" segment; None when there is more to do than that and members.
    further: the other segments, each with its properties among ``names``. columns, members, blob_refs: those of ``names`` that
    are indexed, have members, refer to blobs.
    """

    def __init__(self, plan: Plan, names: tuple[str, ...]) -> None:
        unknown = set(names).difference(plan.stored)
        if unknown:
            raise ValueError(f"{plan.name} cannot change {', '.join(sorted(unknown))}")
        by_segment: dict[str, list[str]] = {}
        for name in names:
            by_segment.setdefault(plan.segment_of[name], []).append(name)
        self.first = "" in by_segment
        self.further = tuple((segment, tuple(held)) for segment, held in by_segment.items() if segment)
        self.columns = tuple(name for name in plan.indexed if name in names)
        self.members = tuple(name for name in plan.members if name in names)
        self.blob_refs = tuple(name for name in plan.blob_refs if name in names)
        self.moves_group = plan.group in names
        settles = not names or not plan.counters.issuperset(names)
        self.marks = 2 if settles else 1
        targets = ["changed", *(["settled"] if settles else ()), *(plan.column[name] for name in self.columns)]
        if self.first:
            targets.append("json")
        self.statement = f"UPDATE {plan.r} SET {', '.join(f'{target} = ?' for target in targets)} WHERE num = ?"
        self.together: str | None = None
        if self.first and not (self.further or self.columns or self.blob_refs):
            marks = ", ".join(f"{target} = CAST(substr(v.value, 21, 20) AS INTEGER)" for target in targets[:-1])
            self.together = (
                f"UPDATE {plan.r} SET {marks}, json = substr(v.value, 41) FROM carray(?) AS v "
                "WHERE num = CAST(substr(v.value, 1, 20) AS INTEGER)"
            )


class Picker:
    """Reads a set of properties: which segments to fetch, and how to make one JSON object of them.

    by_ids: takes a JSON array of ids; by_id: takes one id; all: takes nothing. Rows are (id, json, ...), for ``array``.
    """

    def __init__(self, plan: Plan, names: tuple[str, ...]) -> None:
        wanted = set(names) & set(plan.stored)
        whole: list[str] = []
        partial: list[str] = []
        for segment, held in plan.segments.items():
            if wanted.issuperset(held) and (held or not segment):
                whole.append(segment)
            elif wanted.intersection(held):
                partial.append(segment)
        self.names = tuple(name for name in plan.stored if name in wanted)
        if (not partial and whole == [""]) or not wanted:
            segments = [""] if wanted else []
        else:
            # The id lies in the "" segment, which is read first in any case.
            segments = ["", *[s for s in (*partial, *whole) if s]]
        select = ", ".join(["r.id", *(f"{_alias(plan, s)}.json" for s in segments)])
        joins = "".join(
            f" LEFT JOIN {plan.s[s]} AS {_alias(plan, s)} ON {_alias(plan, s)}.num = r.num" for s in segments if s
        )
        self.by_ids = f"SELECT {select} FROM json_each(?) AS j CROSS JOIN {plan.r} AS r ON r.id = j.value{joins}"
        self.by_id = f"SELECT {select} FROM {plan.r} AS r{joins} WHERE r.id = ?"
        self.all = f"SELECT {select} FROM {plan.r} AS r{joins} ORDER BY r.num"
        self._everything = not partial and ("" in whole or not segments)
        self._id_only = not segments
        fields: list[Any] = [(f"p{i}", Raw | UnsetType, UNSET) for i, name in enumerate(("id", *self.names))]
        rename = {f"p{i}": name for i, name in enumerate(("id", *self.names))}
        picked = msgspec.defstruct("Picked", fields, rename=rename, gc=False)
        self._decode = msgspec.json.Decoder(list[picked]).decode  # type: ignore[valid-type]
        self._segments = len(segments)
        self.first_only = segments == [""]
        """Whether a row is the id and the "" segment and no more."""

    def array(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """A JSON array with an object for each row."""
        if self._id_only:
            return encode_json([{"id": row[0]} for row in rows])
        try:
            joined = self._joined(rows)
            # All at once: one by one, the calls would cost as much as the work.
            return joined if self._everything else encode_json(self._decode(joined))
        except (TypeError, msgspec.DecodeError) as error:
            raise StoreDamaged(f"a stored record is not whole: {error}") from None

    def records(self, rows: Sequence[Sequence[Any]]) -> list[Record]:
        """The rows as dicts with ``id`` and the wanted names."""
        if self._id_only:
            return [{"id": row[0]} for row in rows]
        try:
            records: list[Record] = msgspec.json.decode(self.array(rows))
        except msgspec.DecodeError as error:
            raise StoreDamaged(f"a stored record is not whole: {error}") from None
        return records

    def _joined(self, rows: Sequence[Sequence[Any]]) -> bytes:
        parts: list[bytes] = []
        add = parts.append
        if self._segments == 1:
            parts = [row[1] for row in rows]
        elif self._segments == 2:
            for _, first, second in rows:
                if len(second) > 2:
                    add(first[:-1])
                    add(second[1:])
                else:
                    add(first)
        else:
            parts = [_join(row[1:]) for row in rows]
        return b"[" + b",".join(parts) + b"]"


def _alias(plan: Plan, segment: str) -> str:
    return f"s{plan.further.index(segment)}" if segment else "r"


def _join(segments: Sequence[bytes]) -> bytes:
    """One JSON object of several; the first is never empty."""
    return b",".join([segments[0][:-1], *[segment[1:-1] for segment in segments[1:] if len(segment) > 2]]) + b"}"


class Plans(Mapping[str, Plan]):
    """The plans of all declared types, by wire name. StoreError for a type that was not declared."""

    def __init__(self, types: Iterable[DataType]) -> None:
        self._plans = {kind.name: Plan(kind) for kind in types}

    def __getitem__(self, name: str) -> Plan:
        try:
            return self._plans[name]
        except KeyError:
            raise StoreError(f"the store was opened without the data type {name!r}") from None

    def __iter__(self) -> Any:
        return iter(self._plans)

    def __len__(self) -> int:
        return len(self._plans)
