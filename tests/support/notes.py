"""A data type that uses everything a declaration can say; what a third party would write, and the subject of many tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from flaskmail.jmap.conditions import (
    And,
    Compare,
    Contains,
    HasMember,
    HasOtherMember,
    InGroup,
    Matches,
    Not,
    Scalar,
    Scan,
    SortBy,
    SortByMember,
)
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Filter, Prepared, Prop, SortTerm
from flaskmail.jmap.storage import Json, Reader, Record, Txn
from flaskmail.values import checks
from flaskmail.values.dates import to_milliseconds

CAPABILITY = "https://example.com/jmap/notes"


def _blobs(value: Json) -> Sequence[str]:
    return () if value is None else (value,)


class Note(DataType):
    """A note: what people jot down. Notes of one topic are a group."""

    name = "Note"
    capability = CAPABILITY
    id_prefix = "n"
    order = "createdAt"
    group = "topic"
    search = ("title", "body")
    props: ClassVar[Mapping[str, Prop]] = {
        "title": Prop(checks.text, indexed=True),
        "body": Prop(checks.text, default="", segment="body"),
        "categories": Prop(checks.id_set, default={}, members=True),
        "topic": Prop(checks.text, default="general", immutable=True, indexed=True),
        "code": Prop(checks.text, default="", immutable=True, indexed=True),
        "priority": Prop(checks.optional(checks.integer), default=None, indexed=True),
        "done": Prop(checks.boolean, default=False, indexed=True),
        "createdAt": Prop(checks.utc_date, default="2024-01-01T00:00:00Z", immutable=True, indexed=to_milliseconds),
        "views": Prop(checks.unsigned, default=0, server_set=True, counter=True, indexed=True),
        "attachment": Prop(checks.optional(checks.identifier), default=None, blob_ref=_blobs),
        "words": Prop(checks.unsigned, computed=True),
        "secret": Prop(checks.text, default="hidden", internal=True),
    }
    filters: ClassVar[Mapping[str, Filter]] = {
        "title": Filter(checks.text, lambda v: Contains("title", v)),
        "code": Filter(checks.text, lambda v: Compare("code", "=", v)),
        "priority": Filter(checks.optional(checks.integer), lambda v: Compare("priority", "=", v)),
        "notPriority": Filter(checks.optional(checks.integer), lambda v: Compare("priority", "!=", v)),
        "minPriority": Filter(checks.integer, lambda v: Compare("priority", ">=", v)),
        "done": Filter(checks.boolean, lambda v: Compare("done", "=", v)),
        "before": Filter(checks.utc_date, lambda v: Compare("createdAt", "<", to_milliseconds(v))),
        "after": Filter(checks.utc_date, lambda v: Compare("createdAt", ">=", to_milliseconds(v))),
        "inCategory": Filter(checks.identifier, lambda v: HasMember("categories", v)),
        "notOnlyIn": Filter(checks.list_of(checks.identifier), lambda v: HasOtherMember("categories", frozenset(v))),
        "someOfTopicIn": Filter(checks.identifier, lambda v: InGroup("some", HasMember("categories", v))),
        "allOfTopicIn": Filter(checks.identifier, lambda v: InGroup("all", HasMember("categories", v))),
        "noneOfTopicIn": Filter(checks.identifier, lambda v: Not(InGroup("some", HasMember("categories", v)))),
        "text": Filter(checks.text, lambda v: Matches((), v)),
        "inBody": Filter(checks.text, lambda v: Matches(("body",), v)),
        "longTitle": Filter(checks.unsigned, lambda v: Scan("longTitle", (v,))),
        "popular": Filter(checks.true, lambda v: And((Compare("views", ">", 0),)), local=False),
    }
    sorts: ClassVar[Mapping[str, SortTerm]] = {
        "title": SortTerm(lambda c, up, collation: SortBy("title", up, collation), text=True),
        "code": SortTerm(lambda c, up, collation: SortBy("code", up, collation), text=True),
        "priority": SortTerm(lambda c, up, _: SortBy("priority", up)),
        "done": SortTerm(lambda c, up, _: SortBy("done", up)),
        "createdAt": SortTerm(lambda c, up, _: SortBy("createdAt", up)),
        "inCategory": SortTerm(
            lambda c, up, _: SortByMember("categories", c["category"], None, up),
            arguments={"category": checks.identifier},
        ),
        "someOfTopicIn": SortTerm(
            lambda c, up, _: SortByMember("categories", c["category"], "some", up),
            arguments={"category": checks.identifier},
        ),
        "allOfTopicIn": SortTerm(
            lambda c, up, _: SortByMember("categories", c["category"], "all", up),
            arguments={"category": checks.identifier},
        ),
        "views": SortTerm(lambda c, up, _: SortBy("views", up), local=False),
    }
    query_arguments: ClassVar[Mapping[str, checks.Check]] = {
        "collapseTopics": checks.boolean,
        "backwards": checks.boolean,
    }

    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        """The number of words is that of the body."""
        return ("body",) if "words" in names else ()

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """Counts words."""
        if "words" in names:
            for record in records:
                record["words"] = len(record["body"].split())

    def prepare_create(self, ctx: Context, reader: Reader, sent: Record) -> Prepared:
        """Adds what to index."""
        prepared = super().prepare_create(ctx, reader, sent)
        record = prepared.record
        prepared.text = {"title": record["title"], "body": record["body"]}
        return prepared

    def scan(self, reader: Reader, id: str, name: str, args: Sequence[Scalar]) -> bool:
        """Whether the title has more characters than args[0]."""
        (record,) = reader.get("Note", [id], ["title"])
        return len(record["title"]) > int(args[0] or 0)

    def collapses(self, arguments: Mapping[str, Json]) -> bool:
        """One note a topic."""
        return bool(arguments.get("collapseTopics"))

    def arranges(self, arguments: Mapping[str, Json]) -> bool:
        """Something that only the type can do."""
        return bool(arguments.get("backwards"))

    def arrange(self, ctx: Context, reader: Reader, ids: list[str], arguments: Mapping[str, Json]) -> list[str]:
        """The last first."""
        return ids[::-1]

    def changes_extra(self, only_counters: bool) -> Record:
        """Like Mailbox of RFC 8621 section 2.2."""
        return {"updatedProperties": ["views"] if only_counters else None}


class Label(DataType):
    """The smallest type there is: no order, no group, no search, no index."""

    name = "Label"
    capability = CAPABILITY
    id_prefix = "l"
    props: ClassVar[Mapping[str, Prop]] = {"name": Prop(checks.text)}


def note(txn: Txn, **props: Json) -> str:
    """Stores a note with these properties and defaults, and answers its id."""
    record: Record = {
        "title": "",
        "body": "",
        "categories": {},
        "topic": "general",
        "code": "",
        "priority": None,
        "done": False,
        "createdAt": "2024-01-01T00:00:00Z",
        "views": 0,
        "attachment": None,
        "secret": "hidden",
    }
    record |= props
    record["id"] = txn.new_id("Note")
    txn.create("Note", record, {"title": record["title"], "body": record["body"]})
    return str(record["id"])
