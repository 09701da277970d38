"""What lets in to an account beside the main password: app passwords, tokens, applications, sessions in browsers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from flaskmail.accounts.drafts import Absent, Further
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import SCOPES
from flaskmail.accounts.tokens import Token
from flaskmail.errors import RequestError
from flaskmail.management.operation import Call, Listing, Members, Paged, Resource
from flaskmail.management.principals import date_of, expiry, refuse_unproven
from flaskmail.management.refusals import not_found
from flaskmail.management.shapes import Moment

resource = Resource(
    "credentials", "What lets in beside the main password: app passwords, tokens, applications, sessions."
)

PERMISSION = ("manage-passwords",)

Label = Annotated[str, Meta(min_length=1, max_length=200)]
Scopes = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)]


class NewSecret(Struct):
    """A credential that was made. secret: what its program is given; it is not shown again."""

    id: str
    name: str
    secret: str


class Credential(Struct, rename="camel"):
    """Something that lets in. kind: password, app-password, token, oauth (an application) or session (a browser). name: what its
    owner calls it, the application, or the browser; lastUsed: a date, with a time where that is known; scopes: null for no limit;
    client: of an application; current: whether this request came with it."""

    id: str
    kind: Literal["app-password", "token", "api-key", "oauth", "session"]
    name: str
    created: str
    last_used: str | None
    expires: str | None
    scopes: list[str] | None
    client: str | None
    address: str | None
    current: bool


class NewCredential(Members):
    """A credential to make. scopes: null for no limit (an app password then reaches everything in JMAP, and nothing else);
    expires: null for never."""

    kind: Literal["app-password", "token"]
    name: Label
    scopes: Scopes | None = None
    expires: Moment | None = None


@resource.operation(
    "GET",
    "/account/credentials",
    "account.credential.list",
    permissions=PERMISSION,
    query=Paged,
    answer=Listing[Credential],
)
def credentials(call: Call, query: Paged) -> Listing[Credential]:
    """List everything that lets in to your account: app passwords, tokens, applications, sessions in browsers.

    The main password is not among them."""
    return query.of(_credentials(call, own(call)))


@resource.operation(
    "POST",
    "/account/credentials",
    "account.credential.create",
    permissions=PERMISSION,
    body=NewCredential,
    answer=NewSecret,
    refuses={
        403: "The permission is missing, or a scope is more than this credential has.",
        404: "There is no such scope.",
        409: "The expiry is past.",
    },
    example={"kind": "token", "name": "backup script", "scopes": ["urn:ietf:params:jmap:mail"]},
)
def create(call: Call, body: NewCredential) -> NewSecret:
    """Make an app password, for Basic authentication, or a token, for Bearer."""
    return make(call, own(call), body.kind, body.name, body.scopes, body.expires)


@resource.operation(
    "DELETE",
    "/account/credentials/{id}",
    "account.credential.delete",
    permissions=PERMISSION,
    refuses={404: "You have no such credential."},
)
def delete(call: Call, id: str) -> None:
    """End an app password, a token, an application's grant or a session, at once."""
    _end(call, own(call), id)


@resource.operation(
    "GET",
    "/principal/{name}/credentials",
    "principal.credential.list",
    permissions=("individual-get", "api-key-get"),
    query=Paged,
    answer=Listing[Credential],
)
def credentials_of(call: Call, name: str, query: Paged) -> Listing[Credential]:
    """List everything that lets somebody in but the main password."""
    return query.of(_credentials(call, _other(call, name, "get")))


@resource.operation(
    "DELETE",
    "/principal/{name}/credentials/{id}",
    "principal.credential.delete",
    permissions=("individual-update", "api-key-update"),
    refuses={404: "There is no such principal or credential, or it is not in your domain."},
)
def delete_of(call: Call, name: str, id: str) -> None:
    """End a credential of somebody, at once."""
    _end(call, _other(call, name, "update"), id)


@resource.operation(
    "DELETE",
    "/principal/{name}/otp",
    "principal.otp.delete",
    permissions=("individual-update",),
)
def delete_factor(call: Call, name: str) -> None:
    """Remove the second factor of somebody who has lost it."""
    other = _other(call, name, "update")
    refuse_unproven(call, other.id)
    call.server.directory.second_factors.remove(other)


# ----
def own(call: Call) -> Principal:
    """The individual who asks. RequestError 403 for a key, which has no account."""
    if call.principal.type != "individual" or not call.principal.id:
        raise RequestError(
            403, "Only people have an account of their own; this is a key.", extra={"permission": PERMISSION[0]}
        )
    return call.principal


def _other(call: Call, name: str, action: Literal["get", "update"]) -> Principal:
    directory = call.server.directory
    entry = directory.entries.find(name, call.access)
    if entry.draft.type not in ("individual", "apiKey"):
        raise not_found("individual", name)
    permission = f"{'individual' if entry.draft.type == 'individual' else 'api-key'}-{action}"
    call.require(permission)
    call.server.heed_plugins(call.principal, permission, {"type": entry.draft.type, "name": entry.draft.name})
    if action == "update":
        # Changes nothing; refuses to touch whoever has more permissions.
        directory.entries.update(entry.id, [], call.access)
    return entry.principal


def make(
    call: Call,
    owner: Principal,
    kind: Literal["app-password", "token"],
    name: str,
    scopes: list[str] | None,
    expires: str | None,
) -> NewSecret:
    """Makes a credential for who asks. Raises as ``check_new``."""
    chosen, until = check_new(call, owner, scopes, expires)
    token, secret = call.server.directory.tokens.create(owner, name, until, kind=kind, scopes=chosen)
    return NewSecret(token.id, name, secret)


def check_new(
    call: Call, owner: Principal, scopes: list[str] | None, expires: str | None
) -> tuple[frozenset[str] | None, int | None]:
    """(the scopes, seconds since 1970 of the end) of a credential that is to be made. Absent for a scope that does not exist,
    RequestError 403 for one that his own lacks, Further for an end after that of his own, Unfit for one that is past."""
    chosen = None if scopes is None else frozenset(scopes)
    known = SCOPES.keys() | call.server.engine.capabilities.keys()
    unknown = (chosen or frozenset()) - known
    if unknown:
        raise Absent("scopes", "scope", min(unknown))
    held = owner.grant.scopes
    if held is not None and (chosen is None or not chosen <= held):
        # Nobody grants more than he has.
        lacking = min((chosen or known) - held)
        raise RequestError(403, f"This credential does not have the scope {lacking}.", extra={"scope": lacking})
    until = expiry(expires)
    if owner.grant.falls_short(until, owner.grant.networks):
        raise Further("expires", "your own credential ends before")
    return chosen, until


def _credentials(call: Call, owner: Principal) -> Iterator[Credential]:
    directory, current = call.server.directory, call.principal.grant
    for one in directory.tokens.all(owner):
        yield _of_token(one, current.id == one.id)
    for grant in directory.oauth_tokens.grants(owner.id):
        yield Credential(
            grant.id,
            "oauth",
            grant.client_name,
            date_of(grant.created) or "",
            date_of(grant.used),
            date_of(grant.expires),
            list(grant.scopes),
            grant.client,
            None,
            current.id == grant.id,
        )
    for session in directory.web_sessions.all(owner, call.server.settings.authentication.session):
        yield Credential(
            session.id,
            "session",
            session.agent,
            date_of(session.created) or "",
            date_of(session.seen),
            date_of(session.expires),
            None,
            None,
            session.address or None,
            current.id == session.id,
        )


def _of_token(one: Token, current: bool) -> Credential:
    scopes = None if one.scopes is None else sorted(one.scopes)
    return Credential(
        one.id, one.kind, one.name, one.created, one.used, one.expires_date(), scopes, None, None, current
    )


def _end(call: Call, owner: Principal, id: str) -> None:
    directory = call.server.directory
    if any(one.id == id for one in directory.tokens.all(owner)):
        directory.tokens.revoke(id)
    elif any(one.id == id for one in directory.oauth_tokens.grants(owner.id)):
        directory.oauth_tokens.revoke(id, owner.id)
    elif not directory.web_sessions.end(owner, id):
        raise not_found("credential", id)
