"""The settings: read, judged, changed, taken back, reloaded.

Reading in the shapes of the old API shows what is set, as texts; ``GET /settings`` shows everything, typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec

from flaskmail.accounts.storedsettings import Changed
from flaskmail.config.changing import AssertEmpty, Clear, Delete, Insert, Plan, Step, each_setting, planned
from flaskmail.config.listing import Listed, flat, is_secret, listed, schema, takes
from flaskmail.config.loading import STORED
from flaskmail.errors import ConfigError, Problem
from flaskmail.management.operation import Call, Listing, Members, Paged, Query, Resource
from flaskmail.management.refusals import invalid, not_found
from flaskmail.management.settingchanges import commit, judged, present, propose, shadowed, store, tag

resource = Resource("settings", "The settings: read, judged, changed, taken back, reloaded.")

LIST, UPDATE, DELETE, RELOAD = ("settings-list",), ("settings-update",), ("settings-delete",), ("settings-reload",)

_MEMBER = re.compile(r"\.[0-9]{4}(\..*)?$")

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Setting(msgspec.Struct, rename="camel"):
    """A setting. value: as JSON; text: as TOML; both null when not set, or secret. origin: "default", "the stored settings",
    or what sets it. takes: what a new value waits for (reload, restart), null when it is in force within a second; pending: what
    this value waits for still, inForce: the TOML text that holds until then. storable: whether it can be changed here."""

    key: str
    value: Any
    text: str | None
    is_set: bool
    default: str | None
    origin: str
    secret: bool
    takes: str | None
    pending: str | None
    in_force: str | None
    storable: bool


class Declared(msgspec.Struct, rename="camel"):
    """What is declared of a setting. expected: what a value is; default: TOML text; example: of a likely value. onlyFile: it
    cannot be stored. In keys, ``<id>`` stands for a name of the administrator's choice."""

    key: str
    expected: str
    default: str | None
    doc: str
    example: str
    secret: bool
    takes: str | None
    only_file: bool


class SettingQuery(Paged, kw_only=True):
    """Which settings."""

    prefix: Annotated[str, msgspec.Meta(max_length=255, description="What the keys begin with.")] = ""
    filter: Annotated[
        str, msgspec.Meta(max_length=200, description="Stands in the key, the value or the documentation.")
    ] = ""


@resource.operation(
    "GET", "/settings", "setting.list", permissions=LIST, query=SettingQuery, answer=Listing[Setting], tagged=True
)
def settings(call: Call, query: SettingQuery) -> Listing[Setting]:
    """List every setting with its value, where that comes from, and what a new one waits for.

    The ETag is for If-Match of a change. Secrets are never shown."""
    wanted = query.filter.lower()
    return query.of(
        _setting(one)
        for one in _all(call)
        if one.key.startswith(query.prefix) and (not wanted or any(wanted in text.lower() for text in _texts(one)))
    )


def _texts(one: Listed) -> tuple[str, ...]:
    return one.key, one.text or "", one.doc


def _all(call: Call) -> list[Listed]:
    now = present(call.server)
    call.headers["ETag"] = f'"{tag(now)}"'
    return listed(now.wanted, now.settings, now.pending)


def _setting(one: Listed) -> Setting:
    return Setting(
        one.key,
        one.value,
        one.text,
        one.is_set,
        one.default,
        one.origin,
        one.secret,
        one.takes,
        one.pending,
        one.in_force,
        one.storable,
    )


@resource.operation(
    "GET", "/settings/schema", "setting.schema", permissions=LIST, query=SettingQuery, answer=Listing[Declared]
)
def declared(call: Call, query: SettingQuery) -> Listing[Declared]:
    """List what is declared of the settings: what their values are, their defaults and their documentation."""
    text = query.filter.lower()
    return query.of(
        Declared(
            one.key,
            one.kind.expected,
            one.kind.write(one.default) or None,
            one.doc,
            one.example,
            one.secret,
            takes(one),
            one.only_file,
        )
        for one in schema()
        if one.key.startswith(query.prefix) and text in f"{one.key}\n{one.doc}".lower()
    )


# ---- as the old API had it
def _set(call: Call) -> dict[str, str]:
    """What is set by whatever it be, as texts under flat keys."""
    found = (
        pair for one in _all(call) if one.origin != "default" and not one.secret for pair in flat(one.key, one.value)
    )
    return dict(found)


class ListQuery(Paged, kw_only=True):
    """Which settings."""

    prefix: Annotated[str, msgspec.Meta(max_length=255, description="What the keys begin with; it is taken off.")] = ""


class Items(msgspec.Struct):
    """A page of texts by their keys. total: of all pages."""

    total: int
    items: dict[str, str]


@resource.operation(
    "GET", "/settings/list", "setting.texts", permissions=LIST, query=ListQuery, answer=Items, tagged=True
)
def texts(call: Call, query: ListQuery) -> Items:
    """List what is set, as texts: members of lists are ``key.0000``, ``key.0001``, …

    Keys come without the prefix. Secrets, and what has its default, are left out."""
    prefix = query.prefix and query.prefix.rstrip(".") + "."
    found = [(key.removeprefix(prefix), text) for key, text in _set(call).items() if key.startswith(prefix)]
    first, last = query.span
    return Items(len(found), dict(found[first:last]))


class KeysQuery(Query, kw_only=True):
    """Which settings: those of these keys, and those that begin so."""

    keys: Annotated[tuple[str, ...], msgspec.Meta(description="Keys.")] = ()
    prefixes: Annotated[tuple[str, ...], msgspec.Meta(description="Beginnings of keys.")] = ()


@resource.operation(
    "GET", "/settings/keys", "setting.get", permissions=LIST, query=KeysQuery, answer=dict[str, str], tagged=True
)
def keys(call: Call, query: KeysQuery) -> dict[str, str]:
    """Get some settings as texts, by their keys or the beginnings of their keys.

    What is not set, and secrets, are left out."""
    wanted = set(query.keys)
    return {
        key: text
        for key, text in _set(call).items()
        if key in wanted or _head(key) in wanted or key.startswith(query.prefixes)
    }


def _head(key: str) -> str:
    """The key of the list that a text is a member of."""
    return _MEMBER.sub("", key)


class GroupQuery(Paged, kw_only=True):
    """Which group of settings."""

    prefix: Annotated[str, msgspec.Meta(max_length=255, description="What the keys begin with, before an id.")] = ""
    suffix: (
        Annotated[
            str,
            msgspec.Meta(max_length=255, description="What the keys of an id end with; without it, none are joined."),
        ]
        | None
    ) = None
    field: Annotated[str, msgspec.Meta(max_length=255, description="Where the filter looks.")] = ""
    filter: Annotated[str, msgspec.Meta(max_length=200, description="Stands in an id or a value.")] = ""


@resource.operation(
    "GET",
    "/settings/group",
    "setting.group",
    permissions=LIST,
    query=GroupQuery,
    answer=Listing[dict[str, str]],
    tagged=True,
)
def group(call: Call, query: GroupQuery) -> Listing[dict[str, str]]:
    """List what is set below a prefix: an object for each id with a key that ends with the suffix, its id in ``_id``.

    Without a suffix, each text is one: ``_id`` and ``_value``."""
    prefix = query.prefix and query.prefix.rstrip(".") + "."
    below = {key.removeprefix(prefix): text for key, text in _set(call).items() if key.startswith(prefix)}
    found = (
        _joined(below, query.suffix)
        if query.suffix is not None
        else [{"_id": k, "_value": v} for k, v in below.items()]
    )
    text = query.filter.lower()
    looked_at = {"_id", query.field} if query.field else set()
    return query.of(
        one
        for one in found
        if any(text in value.lower() for name, value in one.items() if not looked_at or name in looked_at)
    )


def _joined(below: dict[str, str], suffix: str) -> Iterator[dict[str, str]]:
    ids = dict.fromkeys(key.partition(".")[0] for key in below if not suffix or key.endswith(f".{suffix}"))
    for one in ids:
        yield {
            "_id": one,
            **{key.removeprefix(f"{one}."): text for key, text in below.items() if key.startswith(f"{one}.")},
        }


# ---- changes
class _Step(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of one step of a change; the names are those of the old API."""


class DeleteStep(_Step, tag="delete"):
    """Remove what is stored under these keys."""

    keys: Annotated[tuple[Key, ...], msgspec.Meta(max_length=1000)]


class ClearStep(_Step, tag="clear"):
    """Remove what is stored under all keys that begin so."""

    prefix: Key


class InsertStep(_Step, tag="insert", kw_only=True):
    """Store values: pairs of a key, behind the prefix, and its value, as JSON or as a text. assert_empty: refuse when something
    is stored below the prefix."""

    prefix: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    values: Annotated[tuple[tuple[str, Any], ...], msgspec.Meta(max_length=1000)]
    assert_empty: bool = False


class OldDelete(DeleteStep, tag="Delete"):
    """As ``delete``."""


class OldClear(ClearStep, tag="Clear"):
    """As ``clear``."""


class OldInsert(InsertStep, tag="Insert"):
    """As ``insert``."""


AnyStep = DeleteStep | ClearStep | InsertStep | OldDelete | OldClear | OldInsert


MAX_STEPS = 2000
"""Keys in one change. Each that is unknown is compared with all that there are, to find what was meant."""


class ChangeQuery(Query, kw_only=True):
    """Whether to do it."""

    dry_run: Annotated[bool, msgspec.Meta(description="Only say what would be.")] = False


class Mistake(msgspec.Struct):
    """What is wrong with a value, in the old API's form. type: "parse"; nearest: the key that was probably meant, or ""."""

    type: str
    error: str
    found: str
    expected: str
    nearest: str


class Warned(msgspec.Struct):
    """What there is to know about a value. type: "build", with a sentence in ``error``; or "unread", with what has no effect."""

    type: str
    error: str | None = None
    value: str | None = None


class Outcome(msgspec.Struct):
    """What a change, or a reload, would do. errors: by key; what is empty could be stored. changes: TOML texts."""

    warnings: dict[str, Warned]
    errors: dict[str, Mistake]
    changes: tuple[Changed, ...] = ()


_REFUSES = {
    409: "The file or the environment sets the key, or something is stored where nothing was to be.",
}


@resource.operation(
    "POST",
    "/settings",
    "setting.change",
    permissions=UPDATE,
    query=ChangeQuery,
    body=Annotated[list[AnyStep], msgspec.Meta(max_length=1000)],
    answer=Outcome | None,
    refuses=_REFUSES,
    tagged=True,
    example=[
        {
            "type": "insert",
            "prefix": None,
            "values": [["jmap.protocol.get.max-objects", 1000], ["account.quota", "10 GB"]],
        },
        {"type": "delete", "keys": ["jmap.protocol.request.max-calls"]},
    ],
)
def change(call: Call, query: ChangeQuery, body: list[AnyStep]) -> Outcome | None:
    """Change settings: all steps or none of them. With ``dry-run``, say what would be, with every mistake; nothing is stored.

    A change is in force in every worker within a second, unless its key waits for a reload or a restart. A removed key has its
    default again."""
    steps = list(_steps(body))
    if len(steps) > MAX_STEPS:
        raise invalid("values", f"at most {MAX_STEPS} keys are wanted in one change", str(len(steps)))
    if any(isinstance(step, (Delete, Clear)) for step in steps):
        call.require("settings-delete")
    if not query.dry_run:
        store(call, steps)
        return None
    now = present(call.server)
    call.check_match(tag(now))
    proposal = propose(call.server, now, steps)
    call.changed = "nothing: a dry run"
    errors = _mistakes(proposal.problems)
    for key, origin in proposal.plan.fixed.items():
        errors.setdefault(key, _mistake(Problem(STORED, key, f"a key that {origin} sets", "a change there")))
    for key in proposal.plan.occupied:
        errors.setdefault(key, _mistake(Problem(STORED, key, "something stored", "nothing")))
    return Outcome(_waiting(proposal.pending), errors, proposal.changes)


def _steps(body: Iterable[AnyStep]) -> Iterator[Step]:
    for step in body:
        if isinstance(step, DeleteStep):
            yield from (Delete(key) for key in step.keys)
        elif isinstance(step, ClearStep):
            yield Clear(step.prefix)
        else:
            prefix = step.prefix and step.prefix.rstrip(".") + "."
            if step.assert_empty:
                yield AssertEmpty(prefix or "")
            for key, value in _in_order(step.values):
                yield from each_setting(Insert((prefix or "") + key, value))


def _in_order(values: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    """The values, the members of each list by their numbers: one that comes too early would take the place of another."""
    heads: dict[str, int] = {}

    def place(pair: tuple[str, Any]) -> tuple[int, str]:
        key = pair[0]
        head = _head(key)
        number = key[len(head) : len(head) + 5] if head != key else ""
        # What is no member of a list stays where it is.
        return heads.setdefault(head if number else f".{len(heads)}", len(heads)), number

    return sorted(values, key=place)


def _mistakes(problems: Iterable[Problem]) -> dict[str, Mistake]:
    return {problem.key: _mistake(problem) for problem in problems}


def _mistake(problem: Problem) -> Mistake:
    said = f"found {problem.found}, expected {problem.expected}"
    return Mistake("parse", said, problem.found, problem.expected, problem.hint)


def _waiting(pending: Mapping[str, str]) -> dict[str, Warned]:
    return {key: Warned("build", f"The new value waits for a {need}.") for key, need in pending.items()}


@resource.operation("DELETE", "/settings/{key}", "setting.delete", permissions=DELETE, refuses=_REFUSES, tagged=True)
def delete(call: Call, key: str) -> None:
    """Remove what is stored under a key, so that its default holds again."""
    steps = [Delete(key)]
    now = present(call.server)
    if planned(now.state.texts, now.wanted, steps).problems:
        raise not_found("setting", key)
    store(call, steps)


# ---- history
class Revision(msgspec.Struct):
    """A change that was made. changes: the TOML texts before and after, null for what was not stored; secrets are not told."""

    revision: int
    at: str
    actor: str
    changes: tuple[Changed, ...]


@resource.operation(
    "GET", "/settings/history", "setting.history", permissions=LIST, query=Paged, answer=Listing[Revision], tagged=True
)
def history(call: Call, query: Paged) -> Listing[Revision]:
    """List the changes that were made, newest first."""
    call.headers["ETag"] = f'"{tag(present(call.server))}"'
    first, last = query.span
    found, total = call.server.directory.settings.history(None if last is None else last - first, first)
    return Listing(items=[Revision(one.revision, one.at, one.actor, one.changes) for one in found], total=total)


class RollbackBody(Members):
    """Where to go back to. revision: of the history; 0 for before the first change."""

    revision: Annotated[int, msgspec.Meta(ge=0)]


class RolledBack(Outcome):
    """What going back does. kept: keys whose former value is not known, because it was a secret; they stay as they are."""

    kept: tuple[str, ...] = ()


@resource.operation(
    "POST",
    "/settings/rollback",
    "setting.rollback",
    permissions=UPDATE,
    query=ChangeQuery,
    body=RollbackBody,
    answer=RolledBack,
    refuses={404: "The history does not reach back to it."} | _REFUSES,
    tagged=True,
    example={"revision": 3},
)
def rollback(call: Call, query: ChangeQuery, body: RollbackBody) -> RolledBack:
    """Store again what was stored at an earlier revision, as a new change. With ``dry-run``, only say what that would do."""
    call.require("settings-delete")
    now = present(call.server)
    call.check_match(tag(now))
    back = call.server.directory.settings.at(body.revision, now.state)
    plan = Plan(dict(back.texts))
    for key, text in back.texts.items():
        origin = now.wanted.origin(key)
        if now.state.texts.get(key) != text and origin not in ("default", STORED):
            plan.fixed[key] = origin
    proposal = judged(call.server, now, plan)
    if query.dry_run:
        call.changed = "nothing: a dry run"
    else:
        commit(call, proposal)
    return RolledBack(_waiting(proposal.pending), _mistakes(proposal.problems), proposal.changes, back.kept)


# ---- reload
def _reload(call: Call, dry_run: bool) -> Outcome:
    try:
        fresh = call.server.reload(dry_run=dry_run)
    except ConfigError as error:
        return Outcome({}, _mistakes(error.problems))
    warnings = _waiting({key: need for key, need in fresh.pending.items() if need == "restart" or dry_run})
    for key in shadowed(fresh.wanted, fresh.state.texts):
        text = fresh.state.texts[key]
        warnings[key] = Warned("unread", value=None if is_secret(key, text) else text)
    return Outcome(warnings, {})


@resource.operation("POST", "/reload", "setting.reload", permissions=RELOAD, query=ChangeQuery, answer=Outcome)
def reload(call: Call, query: ChangeQuery) -> Outcome:
    """Read the settings file again, in every worker. With ``dry-run``, only say what is wrong with it.

    Wrong settings change nothing: ``errors`` names them. ``warnings`` names what waits for a restart, and what is stored without
    effect."""
    return _reload(call, query.dry_run)


@resource.operation(
    "GET", "/reload", "setting.reload-get", permissions=RELOAD, query=ChangeQuery, answer=Outcome, legacy=True
)
def reload_by_get(call: Call, query: ChangeQuery) -> Outcome:
    """Read the settings file again, as the old API had it."""
    return _reload(call, query.dry_run)
