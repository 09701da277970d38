"""Foo/get (RFC 8620 section 5.1) for every type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Raw

from flaskmail.errors import MethodError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, state_text, text_list_or_null, unknown_names
from flaskmail.jmap.storage import Json, Reader, Record

MAX_PROPERTIES = 250
"""How many properties one call may name; a grammar of properties (``header:…``) has no end."""


def get_method(kind: DataType) -> Method:
    """Foo/get. ``list`` is a ``msgspec.Raw`` array when every wanted property is stored, else holds dicts."""
    selections = _Selections(kind)
    known = {"ids": text_list_or_null, "properties": text_list_or_null, **kind.get_arguments}

    def call(ctx: Context, arguments: Record) -> Record:
        check_arguments(arguments, known)
        names = selections.names(arguments.get("properties"))
        further = {name: arguments[name] for name in kind.get_arguments if name in arguments}
        ids: list[str] | None = arguments.get("ids")
        limit = ctx.limits.maxObjectsInGet
        # RFC 8620 section 5.1: an id that is sent twice is answered once.
        unique = None if ids is None else list(dict.fromkeys(ids))
        if unique is not None and len(unique) > limit:
            raise MethodError("requestTooLarge", f"{len(unique)} ids are more than maxObjectsInGet, {limit}.")
        with ctx.store.read(account_id(arguments)) as reader:
            if unique is None and len(reader.ids(kind.name, limit + 1)) > limit:
                raise MethodError(
                    "requestTooLarge", f"There are more than maxObjectsInGet, {limit}, and no ids are named."
                )
            found, records = read_records(ctx, reader, kind, unique, names, further)
            state = state_text(reader, kind.name)
        missing = [] if unique is None or len(found) == len(unique) else _missing(unique, found)
        return {"accountId": arguments["accountId"], "state": state, "list": records, "notFound": missing}

    return Method(f"{kind.name}/get", kind.capability, call)


def wanted_properties(kind: DataType, properties: Sequence[str] | None) -> list[str]:
    """The names to answer besides ``id``, each once: the type's default for None. MethodError names unknown ones."""
    if properties is None:
        return [name for name in kind.default_properties() if name != "id"]
    wanted: list[str] = []
    unknown: list[str] = []
    for name in dict.fromkeys(properties):
        prop = kind.props.get(name)
        if prop is not None:
            (unknown if prop.internal else wanted).append(name)
        elif name != "id":
            (wanted if kind.accepts(name) else unknown).append(name)
    if unknown:
        raise unknown_names("properties", unknown)
    if len(wanted) > MAX_PROPERTIES:
        raise MethodError("requestTooLarge", f"At most {MAX_PROPERTIES} properties are answered at once.")
    return wanted


class _Selections:
    """``wanted_properties`` of one type, remembered: clients ask for the same few again and again."""

    def __init__(self, kind: DataType) -> None:
        self._kind = kind
        self._found: dict[tuple[str, ...] | None, list[str]] = {}

    def names(self, properties: Sequence[str] | None) -> list[str]:
        """See ``wanted_properties``."""
        key = None if properties is None else tuple(properties)
        found = self._found.get(key)
        if found is None:
            found = wanted_properties(self._kind, properties)
            # Names from a grammar have no end, and are not kept.
            if key is None or (len(key) <= 100 and self._kind.props.keys() >= set(key) - {"id"}):
                if len(self._found) >= 200:
                    self._found.clear()
                self._found[key] = found
        return found


def read_records(
    ctx: Context,
    reader: Reader,
    kind: DataType,
    ids: Sequence[str] | None,
    names: Sequence[str],
    arguments: Mapping[str, Json],
) -> tuple[list[str], Raw | list[Record]]:
    """The ids found, and their records with ``id`` and ``names``: an array of ready JSON when all are stored and no further
    argument was sent, else dicts."""
    if not arguments and not any(_is_made(kind, name) for name in names):
        found, octets = reader.get_json(kind.name, ids, names)
        ctx.spend(len(octets))
        return found, Raw(octets)
    records = read_whole(ctx, reader, kind, ids, names, arguments)
    return [record["id"] for record in records], records


def read_whole(
    ctx: Context,
    reader: Reader,
    kind: DataType,
    ids: Sequence[str] | None,
    names: Sequence[str],
    arguments: Mapping[str, Json],
) -> list[Record]:
    """The records as dicts with ``id`` and ``names``, stored or computed."""
    stored = [name for name in names if not _is_made(kind, name)]
    fetched = dict.fromkeys([*stored, *kind.needs(names, arguments)])
    records = reader.get(kind.name, ids, list(fetched))
    if arguments or len(stored) < len(names):
        kind.compute(ctx, reader, records, names, arguments)
        extra = [name for name in fetched if name not in set(names)]
        for record in records:
            for name in extra:
                record.pop(name, None)
    return records


def _is_made(kind: DataType, name: str) -> bool:
    prop = kind.props.get(name)
    return prop is None or prop.computed


def _missing(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    have = set(found)
    return [id for id in wanted if id not in have]
