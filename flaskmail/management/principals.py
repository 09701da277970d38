"""Principals of every type: people, groups, mailing lists, domains, roles, API keys, in the bodies of the old API."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from msgspec import UNSET, Meta, Struct, UnsetType

from flaskmail.accounts.authorization import NOWHERE
from flaskmail.accounts.domains import Domain
from flaskmail.accounts.drafts import BadField, Change, Draft, Unfit
from flaskmail.accounts.entries import Entry
from flaskmail.accounts.faults import BadName
from flaskmail.accounts.permissions import PERMISSIONS, ROLES, TYPES, named
from flaskmail.accounts.principals import PrincipalType
from flaskmail.accounts.scopes import SCOPES
from flaskmail.errors import RequestError
from flaskmail.management import domains
from flaskmail.management.audit import moment
from flaskmail.management.operation import SELF, Call, Listing, Paged, Query, Resource
from flaskmail.management.principalbodies import (
    NewApiKey,
    NewDomainPrincipal,
    NewIndividual,
    NewPrincipal,
    NewRole,
    SetDescription,
    SetExpiry,
    SetSecrets,
    Step,
)
from flaskmail.management.refusals import conflict, invalid

resource = Resource("principals", "People, groups, mailing lists, domains, roles and API keys.")

Type = Literal["individual", "group", "list", "domain", "role", "apiKey"]

STORED = ("individual", "group", "list", "role", "apiKey")
"""The types that are no domains."""


def _any(action: str) -> tuple[str, ...]:
    return tuple(named(type, action) for type in TYPES)


class PrincipalInfo(Struct, rename="camel", omit_defaults=False):
    """A principal; ``fields`` of a list leaves members out. id: the accountId of people; a domain's is its name. quota: octets, 0
    for the server's default; usedQuota: octets in the account, where one principal is asked for. emails: the name first. domain:
    to which it belongs, null for the whole server. lastUsed: the day a key was last used."""

    id: str
    type: Type
    name: str
    description: str | UnsetType = UNSET
    quota: int | UnsetType = UNSET
    used_quota: int | UnsetType = UNSET
    emails: list[str] | UnsetType = UNSET
    urls: list[str] | UnsetType = UNSET
    member_of: list[str] | UnsetType = UNSET
    lists: list[str] | UnsetType = UNSET
    members: list[str] | UnsetType = UNSET
    external_members: list[str] | UnsetType = UNSET
    roles: list[str] | UnsetType = UNSET
    enabled_permissions: list[str] | UnsetType = UNSET
    disabled_permissions: list[str] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    domain: str | UnsetType | None = UNSET
    created: str | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET
    allowed_networks: list[str] | UnsetType | None = UNSET
    last_used: str | UnsetType | None = UNSET


_WIRE = (
    "id",
    "type",
    "name",
    *(name for name in PrincipalInfo.__struct_encode_fields__ if name not in ("id", "type", "name", "usedQuota")),
)
_ATTRIBUTES = dict(zip(PrincipalInfo.__struct_encode_fields__, PrincipalInfo.__struct_fields__, strict=True))

Field = Annotated[str, Meta(extra_json_schema={"enum": list(_WIRE)})]


class PrincipalQuery(Paged, kw_only=True):
    """Which principals."""

    filter: Annotated[str, Meta(max_length=300, description="Stands in a name, an address or the description.")] = ""
    types: Annotated[tuple[Type, ...], Meta(description="Of which types; all that you may list without it.")] = ()
    fields: Annotated[
        tuple[Field, ...], Meta(max_length=40, description="Members wanted beside id, type and name.")
    ] = ()
    count: Annotated[bool, Meta(description="Only count them.")] = False


class MadeKey(Struct):
    """An API key that was made. secret: what clients send as ``Authorization: Bearer``; it is not shown again."""

    id: str
    name: str
    secret: str


class BulkQuery(Query, kw_only=True):
    """Which principals to delete."""

    type: Annotated[Type, Meta(description="Of which type.")]
    filter: Annotated[str, Meta(max_length=300, description="Stands in a name, an address or the description.")] = ""
    confirm: Annotated[Literal["true"], Meta(description="That this is meant.")]


class Described(Struct):
    """A name and what it stands for."""

    name: str
    description: str


class BuiltIn(Struct):
    """A built-in role."""

    name: str
    permissions: list[str]


class Rights(Struct):
    """What can be granted: permissions, the built-in roles, and scopes of credentials that are no JMAP capabilities."""

    permissions: list[Described]
    roles: list[BuiltIn]
    scopes: list[Described]


@resource.operation("GET", "/permission", "permission.list", permissions=(SELF,), answer=Rights)
def permissions(call: Call) -> Rights:
    """List every permission, built-in role and scope with what it allows."""
    return Rights(
        [Described(name, text) for name, text in sorted(PERMISSIONS.items())],
        [BuiltIn(name, sorted(held)) for name, held in ROLES.items()],
        [Described(name, text) for name, text in SCOPES.items()],
    )


@resource.operation(
    "GET",
    "/principal",
    "principal.list",
    permissions=_any("list"),
    query=PrincipalQuery,
    answer=Listing[PrincipalInfo],
)
def principals(call: Call, query: PrincipalQuery) -> Listing[PrincipalInfo]:
    """List principals by name, domains first."""
    for name in query.fields:
        if name not in _WIRE:
            raise invalid("fields", f"members of a principal are wanted: {', '.join(_WIRE)}", repr(name[:80]))
    for type in query.types:
        call.require(named(type, "list"))
    types = {type for type in query.types or TYPES if call.access.may(named(type, "list"))}
    start, end = query.span
    left = None if end is None else end - start
    items: list[PrincipalInfo] = []
    total = 0
    directory, access = call.server.directory, call.access
    if "domain" in types:
        found, total = directory.domains.page(query.filter, start=start, limit=left, within=access.domain)
        items = [_domain_info(one) for one in found]
        left = None if left is None else left - len(items)
    entries, more = directory.entries.page(
        access, types - {"domain"}, query.filter, start=max(0, start - total), limit=left
    )
    items += [_info(one) for one in entries]
    if query.count:
        items = []
    elif query.fields:
        items = [_only(one, query.fields) for one in items]
    return Listing(items=items, total=total + more)


@resource.operation(
    "POST",
    "/principal",
    "principal.create",
    permissions=_any("create"),
    body=NewPrincipal,
    answer=str | MadeKey,
    refuses={
        404: "There is no such domain, role, group or member, or it is not yours.",
        409: "The name or an address is taken.",
        403: "A permission is missing, or the principal would have more permissions than you.",
    },
    example={
        "type": "individual",
        "name": "alice@example.org",
        "description": "Alice",
        "secrets": ["correct horse battery"],
    },
)
def create(call: Call, body: NewPrincipal) -> str | MadeKey:
    """Make a principal; its id.

    Of an API key also its secret, which is shown this once. Only the password of an individual can be given."""
    type = cast(Type, body.__struct_config__.tag)
    _allow(call, type, "create", body.name)
    if isinstance(body, NewDomainPrincipal):
        return domains.create(call, domains.NewDomain(name=body.name, description=body.description or "")).name
    draft = Draft(
        type=cast(PrincipalType, type),
        name=body.name,
        description=body.description or "",
        quota=body.quota or None,
        emails=_texts(body.emails),
        urls=_texts(body.urls),
        member_of=_texts(body.member_of),
        lists=_texts(body.lists),
        members=_texts(body.members),
        external_members=_texts(body.external_members),
        roles=_texts(body.roles),
        enabled_permissions=_texts(body.enabled_permissions),
        disabled_permissions=_texts(body.disabled_permissions),
    )
    if isinstance(body, (NewIndividual, NewRole, NewApiKey)):
        draft = replace(draft, disabled=body.disabled)
    if isinstance(body, (NewRole, NewApiKey)):
        if body.domain is None and call.access.domain == NOWHERE:
            raise call.access.lacking("all-domains")
        # Whoever acts in one domain makes things of that domain.
        draft = replace(draft, domain=body.domain or call.access.domain)
    if isinstance(body, NewApiKey):
        networks = None if body.allowed_networks is None else _texts(body.allowed_networks)
        draft = replace(draft, expires=expiry(body.expires), networks=networks)
    secrets = _texts(body.secrets)
    password = _password(secrets[0]) if secrets else None
    entry, key = call.server.create_principal(draft, call.access, password)
    return entry.id if key is None else MadeKey(entry.id, entry.draft.name, key)


@resource.operation(
    "DELETE",
    "/principal",
    "principal.delete.all",
    permissions=_any("delete"),
    query=BulkQuery,
    answer=int,
    refuses={
        409: "One of them is in use, or yourself: nothing is deleted.",
        403: "A permission is missing, or one of them has more permissions than you: nothing is deleted.",
    },
)
def delete_all(call: Call, query: BulkQuery) -> int:
    """Delete all principals of a type that a filter finds, with their mail, or none of them; how many they were."""
    call.require(named(query.type, "delete"))
    directory = call.server.directory
    call.changed = {"type": query.type, "filter": query.filter}
    if query.type == "domain":
        names = [one.name for one in directory.domains.page(query.filter, within=call.access.domain)[0]]
        for name in names:
            _allow(call, "domain", "delete", name)
        directory.domains.delete_all(names)
        call.changed["deleted"] = names
        return len(names)
    found, _ = directory.entries.page(call.access, (query.type,), query.filter)
    found = [one for one in found if not one.principal.admin]
    for one in found:
        _allow(call, query.type, "delete", one.draft.name)
        _spare(call, one.id)
    gone = directory.entries.delete_all([one.id for one in found], call.access)
    call.changed["deleted"] = [one.draft.name for one in gone]
    for one in gone:
        call.server.remove_mail(one)
    return len(gone)


@resource.operation("GET", "/principal/{name}", "principal.get", permissions=_any("get"), answer=PrincipalInfo)
def principal(call: Call, name: str) -> PrincipalInfo:
    """See a principal, by its name or id."""
    found = _find(call, name)
    if isinstance(found, Domain):
        _allow(call, "domain", "get", found.name)
        return _domain_info(found)
    _allow(call, found.draft.type, "get", found.draft.name)
    info = _info(found)
    if found.principal.has_mail:
        with call.server.store.read(found.id) as reader:
            info.used_quota = reader.used()
    return info


@resource.operation(
    "PATCH",
    "/principal/{name}",
    "principal.update",
    permissions=_any("update"),
    body=Annotated[list[Step], Meta(max_length=1000)],
    refuses={
        409: "The name or an address is taken, or a field is none of the principal's type.",
        403: "A permission is missing, or the principal has or would have more permissions than you.",
    },
    example=[{"action": "addItem", "field": "emails", "value": "alice.smith@example.org"}],
)
def update(call: Call, name: str, body: Sequence[Step]) -> None:
    """Change a principal; all steps or none.

    ``set`` of ``secrets`` gives an individual another password, which ends its sessions in browsers."""
    found = _find(call, name)
    if isinstance(found, Domain):
        _allow(call, "domain", "update", found.name)
        described = [step.value for step in body if isinstance(step, SetDescription)]
        if len(described) < len(body):
            other = next(step for step in body if not isinstance(step, SetDescription))
            raise Unfit(cast(str, other.__struct_config__.tag), "of a domain only the description can be changed")
        for last in described[-1:]:
            domains.update(call, found.name, domains.ChangedDomain(description=last or ""))
        return
    _allow(call, found.draft.type, "update", found.draft.name)
    changes: list[Change] = []
    hashed = None
    for step in body:
        field = cast(str, step.__struct_config__.tag)
        if isinstance(step, SetSecrets):
            if found.draft.type != "individual":
                raise Unfit("secrets", f"a principal of type {found.draft.type} has no password")
            refuse_unproven(call, found.id)
            hashed = call.server.directory.passwords.hash(_password(_texts(step.value)[0]))
        else:
            value = expiry(step.value) if isinstance(step, SetExpiry) else step.value
            changes.append(Change(step.action, field, value))
    call.server.directory.entries.update(found.id, changes, call.access, password=hashed)


@resource.operation(
    "DELETE",
    "/principal/{name}",
    "principal.delete",
    permissions=_any("delete"),
    refuses={
        409: "It is in use, or yourself.",
        403: "A permission is missing, or the principal has more permissions than you.",
    },
)
def delete(call: Call, name: str) -> None:
    """Delete a principal, with its credentials and all its mail, for good."""
    found = _find(call, name)
    if isinstance(found, Domain):
        _allow(call, "domain", "delete", found.name)
        return domains.delete(call, found.name)
    _allow(call, found.draft.type, "delete", found.draft.name)
    _spare(call, found.id)
    call.server.delete_principal(found.id, call.access)
    return None


# ----
def _spare(call: Call, id: str) -> None:
    if id == call.principal.id:
        raise conflict("Nobody deletes himself: somebody else has to do that.")


def _find(call: Call, name: str) -> Entry | Domain:
    # A role or a key may have the name of a domain: it can be had by its id, the domain cannot.
    directory, domain = call.server.directory, None
    with contextlib.suppress(BadName):
        domain = directory.domains.find(name, within=call.access.domain)
    return domain or directory.entries.find(name, call.access)


def _allow(call: Call, type: str, action: str, name: str) -> None:
    permission = named(type, action)
    call.require(permission)
    call.server.heed_plugins(call.principal, permission, {"type": type, "name": name})


def _texts(given: list[str] | str) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,) if given else ()
    return tuple(given)


def _password(given: str) -> str:
    if given.startswith("$"):
        # What the old API took as a hash must not become a password that nobody knows.
        raise BadField("secrets", "the password itself is wanted, which does not begin with $, not a hash of it")
    return given


def refuse_unproven(call: Call, id: str) -> None:
    """RequestError 403 when somebody changes how he signs in himself, with a credential that a program was given: there he has to
    prove who he is. id: of whom it is about."""
    if id == call.principal.id and call.principal.grant.kind != "password":
        raise RequestError(
            403, "Change how you sign in yourself under /api/account/auth, which wants your present password."
        )


def expiry(text: str | None) -> int | None:
    """Seconds since 1970 of the moment at which a credential ends; None for never. RequestError 400, or
    Unfit for one that is past."""
    found = moment("expires", text)
    if found is None:
        return None
    if found <= datetime.now(UTC).timestamp():
        raise Unfit("expires", "a time to come is wanted")
    return int(found)


def _domain_info(one: Domain) -> PrincipalInfo:
    return PrincipalInfo(
        id=one.name, type="domain", name=one.name, description=one.description, domain=one.name, created=one.created
    )


def _info(entry: Entry) -> PrincipalInfo:
    draft, principal = entry.draft, entry.principal
    addressed = draft.type not in ("role", "apiKey") and principal.domain is not None
    is_key = draft.type == "apiKey"
    return PrincipalInfo(
        id=entry.id,
        type=draft.type,
        name=draft.name,
        description=draft.description,
        quota=draft.quota or 0,
        emails=[draft.name, *draft.emails] if addressed else [],
        urls=list(draft.urls),
        member_of=list(draft.member_of),
        lists=list(draft.lists),
        members=list(draft.members),
        external_members=list(draft.external_members),
        roles=list(draft.roles),
        enabled_permissions=list(draft.enabled_permissions),
        disabled_permissions=list(draft.disabled_permissions),
        disabled=draft.disabled,
        domain=principal.domain,
        created=entry.created,
        expires=date_of(draft.expires) if is_key else UNSET,
        allowed_networks=(None if draft.networks is None else list(draft.networks)) if is_key else UNSET,
        last_used=entry.used if is_key else UNSET,
    )


def _only(info: PrincipalInfo, fields: Sequence[str]) -> PrincipalInfo:
    few = PrincipalInfo(id=info.id, type=info.type, name=info.name)
    for name in fields:
        setattr(few, _ATTRIBUTES[name], getattr(info, _ATTRIBUTES[name]))
    return few


def date_of(moment: int | None) -> str | None:
    """Seconds since 1970 as a UTCDate."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
