"""The mail domains that the server knows."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from flaskmail.accounts.domains import Domain
from flaskmail.accounts.drafts import line_of
from flaskmail.accounts.faults import BadName, NameTaken
from flaskmail.accounts.names import domain_name
from flaskmail.errors import RequestError
from flaskmail.management.operation import Call, Listing, Members, Paged, Resource
from flaskmail.management.refusals import exists, invalid, not_found
from flaskmail.management.shapes import LABEL, Text

resource = Resource("domains", "The mail domains that the server knows.")

_NAME = rf"^(?:{LABEL}\.)*(?![0-9]+$){LABEL}$"
DomainName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        description="A domain; international names by their A-labels (xn--…).",
        # Told here and checked by ``written``, whose sentences people understand.
        extra_json_schema={"pattern": _NAME},
    ),
]

_TAKEN = {409: "The domain exists already."}


class DomainInfo(Struct):
    """A domain. name: in A-labels; created: a UTCDate; accounts: how many it has."""

    name: str
    description: str
    created: str
    accounts: int


class DomainQuery(Paged, kw_only=True):
    """Which domains."""

    filter: Annotated[str, Meta(max_length=300, description="Stands in the name or the description.")] = ""
    details: Annotated[bool, Meta(description="Objects in place of names.")] = False


class NewDomain(Members):
    """A domain to make."""

    name: DomainName
    description: Text = ""


class ChangedDomain(Members):
    """What changes."""

    description: Text


def written(member: str, name: str) -> str:
    """A DomainName in lower case. RequestError 400 that names the member when it is none."""
    try:
        known = domain_name(name)
    except BadName as error:
        raise invalid(member, str(error)) from None
    if not re.fullmatch(_NAME, name) or known != name.lower():
        raise invalid(member, f"{name!r} is not a domain name: it has blanks around it, or a dot at its end")
    return known


def found(call: Call, name: str) -> Domain:
    """The domain of this name, as whoever asks sees it. RequestError 404 also for what can be no name of a domain."""
    try:
        return call.server.directory.domains.get(name, within=call.access.domain)
    except BadName:
        raise not_found("domain", name) from None


def _info(domain: Domain) -> DomainInfo:
    return DomainInfo(domain.name, domain.description, domain.created, domain.accounts)


@resource.operation(
    "GET",
    "/domain",
    "domain.list",
    permissions=("domain-list",),
    query=DomainQuery,
    answer=Listing[str | DomainInfo],
)
def domains(call: Call, query: DomainQuery) -> Listing[str | DomainInfo]:
    """List the domains by their names, or with everything about them."""
    first, last = query.span
    some, total = call.server.directory.domains.page(
        query.filter, start=first, limit=None if last is None else last - first, within=call.access.domain
    )
    return Listing(items=[_info(one) if query.details else one.name for one in some], total=total)


@resource.operation(
    "POST",
    "/domain",
    "domain.create",
    permissions=("domain-create",),
    body=NewDomain,
    answer=DomainInfo,
    refuses=_TAKEN,
    example={"name": "example.org", "description": "The main domain"},
)
def create(call: Call, body: NewDomain) -> DomainInfo:
    """Make a domain.

    Making an account makes its domain too."""
    return _create(call, written("name", body.name), body.description)


@resource.operation("POST", "/domain/{name}", "domain.create.named", permissions=("domain-create",), refuses=_TAKEN)
def create_named(call: Call, name: str) -> None:
    """Make a domain of this name, as the old API did."""
    try:
        _create(call, name, "")
    except BadName as error:
        detail = f"There can be no such domain: {error}."
        raise RequestError(404, detail, extra={"error": "notFound", "item": name}) from None


def _create(call: Call, name: str, description: str) -> DomainInfo:
    # Only who reaches every domain may learn that one exists already.
    call.require("all-domains")
    description = line_of("description", description)
    try:
        return _info(call.server.directory.domains.create(name, description))
    except NameTaken:
        raise exists("name", name, f"The domain {name!r} exists already.") from None


@resource.operation("GET", "/domain/{name}", "domain.get", permissions=("domain-get",), answer=DomainInfo)
def domain(call: Call, name: str) -> DomainInfo:
    """See a domain."""
    return _info(found(call, name))


@resource.operation(
    "PATCH",
    "/domain/{name}",
    "domain.update",
    permissions=("domain-update",),
    body=ChangedDomain,
    answer=DomainInfo,
    example={"description": "The main domain"},
)
def update(call: Call, name: str, body: ChangedDomain) -> DomainInfo:
    """Change what is said about a domain."""
    known, description = found(call, name), line_of("description", body.description)
    return _info(call.server.directory.domains.update(known.name, description=description))


@resource.operation(
    "DELETE",
    "/domain/{name}",
    "domain.delete",
    permissions=("domain-delete",),
    refuses={409: "The domain still has accounts, groups, lists, roles or API keys."},
)
def delete(call: Call, name: str) -> None:
    """Delete a domain with its DKIM keys; it must have no accounts, groups, lists, roles and API keys any more."""
    call.server.directory.domains.delete(found(call, name).name)
