"""Files of earlier versions and earlier declarations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import apsw
import pytest
from notes import Label, Note, note

from flaskmail.errors import StoreError
from flaskmail.jmap.conditions import Compare, HasMember, Matches, Query, SortBy
from flaskmail.jmap.datatype import DataType, Prop
from flaskmail.store.sqlite import SqliteStore, migrations
from flaskmail.store.sqlite.plan import Plans
from flaskmail.values import checks


class Plain(DataType):
    """A type before it learnt anything."""

    name = "Thing"
    capability = "urn:example:thing"
    id_prefix = "t"
    props: ClassVar[Mapping[str, Prop]] = {
        "colour": Prop(checks.text),
        "tags": Prop(checks.id_set, default={}),
        "family": Prop(checks.text, immutable=True),
        "essay": Prop(checks.text, default=""),
    }


class Rich(Plain):
    """The same type in a later version: indexed, with members, groups, and another segment."""

    group = "family"
    props: ClassVar[Mapping[str, Prop]] = {
        "colour": Prop(checks.text, indexed=str.upper),
        "tags": Prop(checks.id_set, default={}, members=True, segment="side"),
        "family": Prop(checks.text, immutable=True, indexed=True),
        "essay": Prop(checks.text, default="", segment="long"),
    }


THINGS: list[dict[str, Any]] = [
    {"id": "t1", "colour": "red", "tags": {"a": True}, "family": "f1", "essay": "one"},
    {"id": "t2", "colour": "Blue", "tags": {"a": True, "b": True}, "family": "f1", "essay": "two"},
    {"id": "t3", "colour": "green", "tags": {}, "family": "f2"},
]


def filled(root: Path, kind: DataType) -> None:
    store = SqliteStore(root, [kind])
    store.create_account("a1")
    with store.write("a1") as txn:
        for thing in THINGS:
            txn.create("Thing", dict(thing))
    assert store.verify("a1") == []
    store.close()


@pytest.mark.parametrize(("old", "new"), [(Plain(), Rich()), (Rich(), Plain()), (Rich(), Rich())])
def test_records_follow_a_new_declaration(root: Path, old: DataType, new: DataType) -> None:
    filled(root, old)
    store = SqliteStore(root, [new])
    with store.read("a1") as reader:
        assert reader.get("Thing", None, list(new.props)) == THINGS
        if isinstance(new, Rich):
            assert reader.query("Thing", Query(Compare("colour", "=", "BLUE"))).ids == ["t2"]
            assert reader.query("Thing", Query(sort=(SortBy("colour"),))).ids == ["t2", "t3", "t1"]
            assert reader.members("Thing", "tags", "a") == ["t1", "t2"]
            assert reader.query("Thing", Query(HasMember("tags", "a"), collapse=True, total=True)).total == 1
            assert reader.grouped("Thing", "family", ["f1"]) == {"f1": ["t1", "t2"]}
    assert store.verify("a1") == []
    with store.write("a1") as txn:
        txn.update("Thing", "t1", {"tags": {"b": True}, "essay": "longer"})
        txn.destroy("Thing", "t3")
    assert store.verify("a1") == []
    store.close()


def test_there_and_back_again(root: Path) -> None:
    filled(root, Rich())
    for kind in (Plain(), Rich()):
        store = SqliteStore(root, [kind])
        with store.write("a1") as txn:
            txn.update("Thing", "t1", {"colour": "black", "tags": {"z": True}})
        store.close()
    store = SqliteStore(root, [Rich()])
    with store.read("a1") as reader:
        assert reader.query("Thing", Query(Compare("colour", "=", "BLACK"))).ids == ["t1"]
        assert reader.count_members("Thing", "tags", "z") == 1
        assert reader.count_members("Thing", "tags", "a") == 1
    assert store.verify("a1") == []
    store.close()


def test_a_new_type_beside_old_ones(root: Path) -> None:
    store = SqliteStore(root, [Label()])
    store.create_account("a1")
    with store.write("a1") as txn:
        txn.create("Label", {"id": "l1", "name": "x"})
    store.close()
    store = SqliteStore(root, [Note()])
    with store.write("a1") as txn:
        note(txn, title="new")
    with pytest.raises(StoreError, match="Label"), store.read("a1") as reader:
        reader.get("Label", None, ["name"])
    assert store.verify("a1") == []
    store.close()
    store = SqliteStore(root, [Label(), Note()])
    with store.read("a1") as reader:
        assert reader.get("Label", None, ["name"]) == [{"id": "l1", "name": "x"}]
        assert len(reader.ids("Note")) == 1
    store.close()


class Searched(Plain):
    search = ("essay",)


class Sought(Plain):
    search = ("colour", "essay")


@pytest.mark.parametrize(("old", "new"), [(Plain(), Searched()), (Searched(), Sought()), (Searched(), Plain())])
def test_another_search_index_is_empty_until_it_is_filled(root: Path, old: DataType, new: DataType) -> None:
    store = SqliteStore(root, [old])
    store.create_account("a1")
    with store.write("a1") as txn:
        for thing in THINGS:
            txn.create("Thing", dict(thing), {"essay": thing.get("essay", "")})
    store.close()
    store = SqliteStore(root, [new])
    with store.read("a1") as reader:
        lost = reader.unindexed("Thing")
    assert lost == (["t1", "t2", "t3"] if new.search else [])
    assert len(store.verify("a1")) == len(lost)
    with store.write("a1") as txn:
        for id, text in new.search_text(txn, lost).items():
            txn.set_text("Thing", id, text)
    with store.read("a1") as reader:
        assert reader.unindexed("Thing") == []
        for column in new.search:
            word = {"essay": "two", "colour": "blue"}[column]
            assert reader.query("Thing", Query(Matches((column,), word))).ids == ["t2"]
    assert store.verify("a1") == []
    store.close()


def test_another_order_is_refused(root: Path) -> None:
    filled(root, Plain())

    class Ordered(Plain):
        order = "family"

    store = SqliteStore(root, [Ordered()])
    with pytest.raises(StoreError, match="order"), store.read("a1"):
        pass
    store.close()
    store = SqliteStore(root, [Plain()])
    assert store.verify("a1") == []
    store.close()


def test_a_file_of_a_newer_version_is_left_alone(root: Path) -> None:
    filled(root, Plain())
    db = apsw.Connection(str(root / "accounts/a1/mail.db"))
    db.pragma("user_version", 99)
    db.close()
    store = SqliteStore(root, [Plain()])
    with pytest.raises(StoreError, match="newer"), store.read("a1"):
        pass
    store.close()


KILLED = """
import os, signal, sys
import apsw
from flaskmail.store.sqlite import migrations
from flaskmail.store.sqlite.plan import Plans

def first(db): db.execute("CREATE TABLE one (n)"); db.execute("INSERT INTO one VALUES (1)")
def second(db):
    db.execute("CREATE TABLE two (n)")
    if sys.argv[2] == "inside":
        os.kill(os.getpid(), signal.SIGKILL)
def third(db):
    if sys.argv[2] == "between":
        os.kill(os.getpid(), signal.SIGKILL)
    db.execute("INSERT INTO two SELECT n + 1 FROM one")

db = apsw.Connection(sys.argv[1])
migrations.migrate(db, Plans([]), (first, second, third))
"""


@pytest.mark.parametrize(("where", "version"), [("inside", 1), ("between", 2)])
def test_killed_on_the_ladder(tmp_path: Path, where: str, version: int) -> None:
    path = str(tmp_path / "mail.db")
    db = apsw.Connection(path)
    db.pragma("journal_mode", "wal")
    db.close()
    assert subprocess.run([sys.executable, "-c", KILLED, path, where], check=False).returncode == -9
    db = apsw.Connection(path)
    assert migrations.version(db) == version
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}
    assert ("two" in tables) is (version == 2)
    db.close()
    assert subprocess.run([sys.executable, "-c", KILLED, path, "nowhere"], check=False).returncode == 0
    db = apsw.Connection(path)
    assert migrations.version(db) == 3
    assert db.execute("SELECT n FROM two").fetchall() == [(2,)]
    db.close()


def test_a_step_that_fails_leaves_its_file_as_it_was(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / "mail.db"))

    def broken(db: Any) -> None:
        db.execute("CREATE TABLE half (n)")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        migrations.migrate(db, Plans([]), (*migrations.LADDER, broken))
    assert migrations.version(db) == len(migrations.LADDER)
    assert "half" not in {row[0] for row in db.execute("SELECT name FROM sqlite_schema")}
    db.close()
