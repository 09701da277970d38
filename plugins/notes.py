"""Notes: an example of a plugin with a JMAP data type of its own. docs/datatypes.md walks through it.

To try it: ``paths = ["plugins"]`` under ``[plugins]`` in config.toml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from flaskmail.errors import SetError
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.conditions import Compare, Contains, HasMember, SortBy
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Filter, Prop, SortTerm
from flaskmail.jmap.storage import Json, Reader, Record, Txn
from flaskmail.values import checks
from flaskmail.values.dates import format_utc_date, to_milliseconds

PINNED_AT_MOST = 3


def now() -> str:
    """The present second as a UTCDate."""
    return format_utc_date(datetime.now(UTC).replace(microsecond=0))


class Note(DataType):
    """A short text that somebody keeps."""

    name = "Note"
    capability = "https://example.com/jmap/notes"
    id_prefix = "n"
    order = "created"
    props: ClassVar[Mapping[str, Prop]] = {
        "title": Prop(checks.text, indexed=True),
        "text": Prop(checks.text, default="", segment="text"),
        "tags": Prop(checks.map_of(checks.text, checks.true), default={}, members=True),
        "pinned": Prop(checks.boolean, default=False, indexed=True),
        "created": Prop(checks.utc_date, default=now, immutable=True, indexed=to_milliseconds),
        "words": Prop(checks.unsigned, computed=True),
    }
    filters: ClassVar[Mapping[str, Filter]] = {
        "title": Filter(checks.text, lambda value: Contains("title", value)),
        "tag": Filter(checks.text, lambda value: HasMember("tags", value)),
        "pinned": Filter(checks.boolean, lambda value: Compare("pinned", "=", value)),
        "after": Filter(checks.utc_date, lambda value: Compare("created", ">=", to_milliseconds(value))),
    }
    sorts: ClassVar[Mapping[str, SortTerm]] = {
        "title": SortTerm(lambda term, ascending, collation: SortBy("title", ascending, collation), text=True),
        "created": SortTerm(lambda term, ascending, collation: SortBy("created", ascending)),
    }

    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        """The words are counted in the text."""
        return ("text",) if "words" in names else ()

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """Counts the words."""
        if "words" in names:
            for record in records:
                record["words"] = len(record["text"].split())

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        """Only so many notes can be pinned."""
        if new["pinned"] and not (old and old["pinned"]):
            others = txn.get("Note", None, ("pinned",))
            if sum(note["pinned"] for note in others) >= PINNED_AT_MOST:
                raise SetError("overLimit", f"At most {PINNED_AT_MOST} notes can be pinned.")


@hookimpl
def jmap_datatypes() -> list[type[DataType]]:
    """Adds notes to the server."""
    return [Note]
