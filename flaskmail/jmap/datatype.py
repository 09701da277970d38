"""A JMAP data type is declared once; the six standard methods, every store and the tests are derived from it.

A declaration is a subclass of :class:`DataType` with a string-keyed ``props`` mapping under wire names (``"from"``,
``"@type"``), filters, sorts, and the few rules that declarations cannot say. A wrong declaration fails when its class is
made, with every problem named. See docs/datatypes.md for a worked example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from flaskmail.errors import SetError
from flaskmail.jmap.conditions import Condition, Scalar, Sort
from flaskmail.jmap.storage import Finding, Json, Reader, Record, Txn

if TYPE_CHECKING:
    from flaskmail.jmap.context import Context

Check = Callable[[Json], str | None]
"""Answers None when the value is right, else what is wrong with it as a short sentence."""

REQUIRED: Json = ...
"""Prop.default of a property that the client must send on create."""


@dataclass(frozen=True, slots=True)
class Prop:
    """One property of a data type.

    check: what values are right. default: value when a create leaves it out (copied); REQUIRED to insist; a callable is
    called with no arguments. immutable: set on create only. server_set: the client may only send back the value it has
    (RFC 8620 section 5.3). computed: on the wire, never stored; ``DataType.compute`` makes it. internal: stored, never on the
    wire. indexed: True, or a function from the value to the scalar that stores sort and compare by. members: the value is
    an object whose keys are indexed (``mailboxIds``, ``keywords``). counter: changes to it alone are no change of the record
    proper (``updatedProperties``, RFC 8621 section 2.2). segment: properties with the same segment are stored side by side and
    read together; "" is the small, hot one. blob_ref: a function from the value to the blob ids that it keeps alive.
    xref: names the type whose creation ids ("#k1") may stand in the value: as the value itself, or as keys of a map or items of
    a list (RFC 8620 section 5.3). lookup: ``Reader.grouped`` is asked for this indexed property, so that stores should find its
    values without a scan even in a type with an ``order``, whose inserts they keep cheap; elsewhere they do anyway.
    """

    check: Check
    default: Json = REQUIRED
    immutable: bool = False
    server_set: bool = False
    computed: bool = False
    internal: bool = False
    indexed: bool | Callable[[Json], Scalar] = False
    members: bool = False
    counter: bool = False
    segment: str = ""
    blob_ref: Callable[[Json], Sequence[str]] | None = None
    xref: str | None = None
    lookup: bool = False

    def column(self, value: Json) -> Scalar:
        """The scalar under which stores index ``value``."""
        scalar: Scalar = self.indexed(value) if callable(self.indexed) else value
        return scalar


@dataclass(frozen=True, slots=True)
class Filter:
    """One property of the type's FilterCondition. check: right values; build: value -> Condition.

    local: the condition reads nothing but the record itself and records of its group, so /queryChanges can be calculated.
    """

    check: Check
    build: Callable[[Json], Condition]
    local: bool = True


@dataclass(frozen=True, slots=True)
class SortTerm:
    """One property that a Comparator may name. build: (comparator object, ascending, collation or None) -> Sort.

    text: the term takes a ``collation``; arguments: further members of the Comparator with their checks (``keyword``).
    """

    build: Callable[[Mapping[str, Json], bool, str | None], Sort]
    text: bool = False
    arguments: Mapping[str, Check] = field(default_factory=dict)
    local: bool = True


@dataclass(slots=True)
class Prepared:
    """A create that is ready to commit. record: every stored property but ``id``; text: for the search index, by column of
    ``DataType.search``, None when nothing is indexed; extra: for the type's own ``commit_create``."""

    record: Record
    text: Mapping[str, str] | None = None
    extra: Any = None


METHODS = ("get", "changes", "set", "copy", "query", "queryChanges")


class DataType:
    """Base of every declared type. One instance per type per server."""

    name: ClassVar[str]
    """The wire name: "Mailbox"."""
    capability: ClassVar[str]
    """The URN whose presence in ``using`` makes its methods known."""
    methods: ClassVar[Sequence[str]] = METHODS
    props: ClassVar[Mapping[str, Prop]]
    """Without ``id``, which every type has."""
    id_prefix: ClassVar[str] = "x"
    """One lower-case letter that ids begin with."""
    order: ClassVar[str | None] = None
    """An immutable UTCDate property that record order follows; None: order of creation."""
    group: ClassVar[str | None] = None
    """An immutable indexed property whose equal values make a group (``threadId``)."""
    search: ClassVar[Sequence[str]] = ()
    """Columns of the full-text index. ``Prepared.text`` fills them when a record is created, and no update changes them: they
    are for what is immutable."""
    independent: ClassVar[bool] = False
    """Whether ``validate`` of an update never depends on other records of the type: then /set validates the updates of a call
    one after the other and writes them together."""
    filters: ClassVar[Mapping[str, Filter]] = {}
    sorts: ClassVar[Mapping[str, SortTerm]] = {}
    get_arguments: ClassVar[Mapping[str, Check]] = {}
    set_arguments: ClassVar[Mapping[str, Check]] = {}
    query_arguments: ClassVar[Mapping[str, Check]] = {}
    """Further arguments of the standard methods (``bodyProperties``, ``onDestroyRemoveEmails``, ``collapseThreads``)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "props" in cls.__dict__:
            from flaskmail.jmap.declarations import check_declaration

            check_declaration(cls)

    # ---- /get
    def default_properties(self) -> Sequence[str]:
        """What /get answers when ``properties`` is null. RFC 8620 section 5.1: all."""
        return tuple(n for n, p in self.props.items() if not p.internal)

    def accepts(self, name: str) -> bool:
        """Whether /get may be asked for ``name``, which is not in ``props``: a grammar (``header:*:as*``)."""
        return False

    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        """Stored properties that ``compute`` reads to make those of ``names`` that are not stored."""
        return ()

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """Adds to each record those of ``names`` that are not stored. Called when there are any, or when get_arguments
        other than the defaults were sent. What ``needs`` asked for and the client did not is removed afterwards."""

    # ---- /set, /copy
    def prepare_create(self, ctx: Context, reader: Reader, sent: Record) -> Prepared:
        """Turns what a client sent into a record, outside of any write transaction. Raises SetError.

        The default checks the declaration: unknown, server-set, missing and ill-typed properties are
        ``invalidProperties``, all named at once; defaults are filled in."""
        from flaskmail.jmap.records import record_to_create

        return Prepared(record_to_create(self, sent))

    def prepare_copy(self, ctx: Context, source: Reader, reader: Reader, id: str, sent: Record) -> Prepared:
        """The same for /copy (RFC 8620 section 5.4): the record ``id`` of the account that ``source`` reads, with the
        properties ``sent`` (without ``id``) instead of its own. Raises SetError, ``notFound`` when there is no such record.

        The default hands what a client could have sent of the original to ``prepare_create``. Properties with an xref are
        not taken over, because their ids mean nothing in another account. A type with blobs brings them over itself."""
        names = [
            name
            for name, prop in self.props.items()
            if not (prop.computed or prop.internal or prop.server_set or prop.xref or name in sent)
        ]
        for original in source.get(self.name, [id], names):
            return self.prepare_create(ctx, reader, {name: original[name] for name in names} | sent)
        raise SetError("notFound", f"There is no {self.name} {id} to copy.")

    def commit_create(self, ctx: Context, txn: Txn, prepared: Prepared) -> Record:
        """Stores a prepared record and answers it whole, with ``id``. Raises SetError before anything is written.

        The default calls ``validate``, looks whether there are the blobs that the record refers to, creates, and calls
        ``created``."""
        from flaskmail.jmap.records import check_blobs

        record = prepared.record
        record["id"] = txn.new_id(self.name)
        self.validate(ctx, txn, None, record)
        check_blobs(self, txn, record)
        txn.create(self.name, record, prepared.text)
        self.created(ctx, txn, record)
        return record

    def told_on_create(self) -> Sequence[str]:
        """Properties, besides ``id``, that a created record's answer holds unless the client sent that value (RFC 8620
        section 5.3); those that are not stored are computed. Default: what /get answers. RFC 8621 section 4.6 names fewer."""
        return self.default_properties()

    def normal_patch(self, patch: Record) -> Record:
        """A PatchObject (RFC 8620 section 5.3) as it is meant, before it is applied: its pointers in the form in which names are
        stored. Raises PatchError when two of them turn out the same. Default: as it was sent."""
        return patch

    def update_needs(self) -> Sequence[str]:
        """Stored properties that an update has to read besides those that it patches: those that ``validate`` and
        ``updated`` look at. Default: every stored property."""
        return tuple(n for n, p in self.props.items() if not p.computed)

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        """Rules that props alone cannot say; old is None on create. Raises SetError. May complete ``new``."""

    def before_destroy(self, ctx: Context, txn: Txn, old: Record, arguments: Mapping[str, Json]) -> None:
        """Raises SetError when the record may not go; may destroy records of other types that go with it. ``old`` holds
        ``update_needs``."""

    def created(self, ctx: Context, txn: Txn, record: Record) -> None:
        """Keeps counters and other records right after a create, in its transaction."""

    def updated(self, ctx: Context, txn: Txn, old: Record, new: Record) -> None:
        """The same after an update; both hold ``update_needs`` and what was patched. Other records of this type are changed
        only by what ``Txn.gather`` settles: a /set reads all that it updates or destroys beforehand."""

    def destroyed(self, ctx: Context, txn: Txn, old: Record) -> None:
        """The same after a destroy."""

    def check_set(self, ctx: Context, txn: Txn, arguments: Mapping[str, Json]) -> None:
        """A look at the whole /set before its first write; raises MethodError."""

    # ---- /query
    def scan(self, reader: Reader, id: str, name: str, args: Sequence[Scalar]) -> bool:
        """Answers a ``Scan`` condition for one record."""
        raise NotImplementedError(f"{self.name} has no scan {name!r}")

    def arrange(self, ctx: Context, reader: Reader, ids: list[str], arguments: Mapping[str, Json]) -> list[str]:
        """Rearranges a whole result when ``arranges`` says so (``sortAsTree``, ``filterAsTree``)."""
        return ids

    def arranges(self, arguments: Mapping[str, Json]) -> bool:
        """Whether ``arrange`` has anything to do; then the whole result is read and windowed afterwards."""
        return False

    def collapses(self, arguments: Mapping[str, Json]) -> bool:
        """Whether the query keeps one record a group (``collapseThreads``)."""
        return False

    def changes_extra(self, only_counters: bool) -> Record:
        """Further members of the /changes response (``updatedProperties``)."""
        return {}

    # ---- upkeep
    def search_text(self, reader: Reader, ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """By id what the search index has to hold of these records, as ``prepare_create`` made it, for an index that is made
        anew. Ids whose text cannot be told any more (their blob is lost) are left out; may raise StoreDamaged likewise.

        The default knows columns that are stored properties; a type with others says itself."""
        strange = [column for column in self.search if column not in self.props or self.props[column].computed]
        if strange:
            raise NotImplementedError(f"{self.name} does not say what its search column {strange[0]!r} holds")
        records = reader.get(self.name, ids, self.search)
        return {r["id"]: {name: r[name] for name in self.search if isinstance(r.get(name), str)} for r in records}

    def account_made(self, ctx: Context, txn: Txn) -> None:
        """Records that a new account starts with."""

    def verify(self, reader: Reader) -> list[Finding]:
        """Checks rules that span records: counters against a recount. Repair is ``mend``."""
        return []

    def mend(self, txn: Txn) -> list[Finding]:
        """Repairs what ``verify`` finds."""
        return []


__all__ = ["METHODS", "REQUIRED", "Check", "DataType", "Filter", "Prepared", "Prop", "SetError", "SortTerm"]
