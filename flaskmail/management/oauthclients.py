"""OAuth clients that an administrator registers: applications that may ask people for access (RFC 6749 section 2)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from flaskmail.accounts.drafts import Absent
from flaskmail.accounts.faults import NameTaken
from flaskmail.management.operation import Call, Listing, Members, Paged, Resource
from flaskmail.management.refusals import conflict, exists, invalid
from flaskmail.management.shapes import LABEL, PORT, V6
from flaskmail.oauth import redirects
from flaskmail.oauth.clients import CODE, DEVICE, REFRESH, AuthMethod, Client
from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.registration import MAX_NAME, MAX_REDIRECTS, check_client

resource = Resource("oauth", "The applications that may ask people for access (OAuth clients).")

GrantType = Literal["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
Algorithm = Literal["RS256", "ES256"]

# What flaskmail.oauth.redirects and .registration accept, as the document tells it.
_CHARACTER = r"(?:[!$&-;=?-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})"
_PLACE = rf"//(?:{LABEL}(?:\.{LABEL})*\.?|\[(?:{V6})\])(?::{PORT})?(?:[/?]{_CHARACTER}*)?"
_LOOPBACK = rf"//(?:127\.0\.0\.1|\[::1\]|localhost)(?::{PORT})?(?:[/?]{_CHARACTER}*)?"
_OWN = rf"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:(?:{_PLACE}|(?!//){_CHARACTER}*)"
_PRINTED = r"[^\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2066-\u2069\ufeff]"

Redirect = Annotated[
    str,
    Meta(
        max_length=redirects.MAX_URI,
        description="https; of a native client also http on the loopback interface, or a scheme like com.example.app.",
        extra_json_schema={"pattern": f"^(?:https:{_PLACE}|http:{_LOOPBACK}|{_OWN})$"},
    ),
]
Uri = Annotated[
    str,
    Meta(max_length=redirects.MAX_URI, description="https.", extra_json_schema={"pattern": f"^(?:https:{_PLACE})?$"}),
]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, extra_json_schema={"pattern": f"^{_PRINTED}*$"})]
Scopes = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(min_length=1, max_length=50)]
Id = Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,100}$", description="By default a random one.")]


class IdTokenKey(Struct):
    """The public half of a key for ID tokens, by the id that it has at /auth/jwks.json."""

    id: str
    algorithm: str


class RenewedKeys(Struct):
    """The keys that sign from now on."""

    keys: list[IdTokenKey]


class ClientInfo(Struct, rename="camel"):
    """A client. scopes: what it may ask for, null for anything; dynamic: it registered itself; created, used: UTCDates."""

    id: str
    name: str
    redirect_uris: list[str]
    grant_types: list[str]
    auth_method: str
    native: bool
    scopes: list[str] | None
    id_token_alg: str
    uri: str
    policy_uri: str
    tos_uri: str
    dynamic: bool
    created: str
    used: str | None


class MadeClient(Struct):
    """A client that was made or changed. secret: of a confidential client, where one was made; it is not shown again."""

    client: ClientInfo
    secret: str | None


class ClientQuery(Paged, kw_only=True):
    """Which clients."""

    filter: Annotated[str, Meta(max_length=300, description="Stands in the name or the id.")] = ""


class NewClient(Members):
    """A client to register. authMethod: none for a public client, as programs on people's own devices are. redirectUris: where
    people are sent back to, compared exactly. scopes: what it may ask for; null for anything."""

    name: Name
    id: Id | None = None
    redirect_uris: Annotated[list[Redirect], Meta(max_length=MAX_REDIRECTS)] = []
    grant_types: Annotated[list[GrantType], Meta(min_length=1, max_length=3)] | UnsetType = UNSET
    auth_method: AuthMethod = "none"
    native: bool = False
    scopes: Scopes | None = None
    id_token_alg: Algorithm = "RS256"
    uri: Uri = ""
    policy_uri: Uri = ""
    tos_uri: Uri = ""


class ChangedClient(Members):
    """What changes; what is not there stays. renewSecret: gives a confidential client another secret in place of the old."""

    name: Name | UnsetType = UNSET
    redirect_uris: Annotated[list[Redirect], Meta(max_length=MAX_REDIRECTS)] | UnsetType = UNSET
    grant_types: Annotated[list[GrantType], Meta(min_length=1, max_length=3)] | UnsetType = UNSET
    auth_method: AuthMethod | UnsetType = UNSET
    native: bool | UnsetType = UNSET
    scopes: Scopes | UnsetType | None = UNSET
    id_token_alg: Algorithm | UnsetType = UNSET
    uri: Uri | UnsetType = UNSET
    policy_uri: Uri | UnsetType = UNSET
    tos_uri: Uri | UnsetType = UNSET
    renew_secret: bool = False


def _date(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _info(client: Client) -> ClientInfo:
    return ClientInfo(
        id=client.id,
        name=client.name,
        redirect_uris=list(client.redirect_uris),
        grant_types=list(client.grant_types),
        auth_method=client.auth_method,
        native=client.native,
        scopes=None if client.scopes is None else list(client.scopes),
        id_token_alg=client.id_token_alg,
        uri=client.uri,
        policy_uri=client.policy_uri,
        tos_uri=client.tos_uri,
        dynamic=client.dynamic,
        created=_date(client.created) or "",
        used=_date(client.used),
    )


_MEMBERS = {
    "redirect_uris": "redirectUris",
    "client_name": "name",
    "client_uri": "uri",
    "policy_uri": "policyUri",
    "tos_uri": "tosUri",
    "scope": "scopes",
    "grant_types": "grantTypes",
    "id_token_signed_response_alg": "idTokenAlg",
    "token_endpoint_auth_method": "authMethod",
}


_ALONE = ("client_name", "client_uri", "policy_uri", "tos_uri")
"""Members that are right or wrong whatever the others say."""


def _checked(call: Call, client: Client) -> Client:
    offer = call.server.oauth.offer
    unknown = {*(client.scopes or ())} - {*offer.scopes}
    if unknown:
        raise Absent("scopes", "scope", min(unknown))
    for uri in client.redirect_uris:
        wrong = redirects.mistake(uri, native=True)
        if wrong is not None:
            raise invalid("redirectUris", wrong)
    try:
        check_client(client, offer)
    except OAuthError as error:
        name, _, expected = (error.description or "").partition(": ")
        member, expected = _MEMBERS.get(name, name), expected or "another value"
        if name in _ALONE:
            raise invalid(member, expected) from None
        raise conflict(f"{member}: {expected}.", member=member, expected=expected) from None
    return client


def _everywhere(call: Call) -> None:
    # A client asks people of every domain.
    call.require("all-domains")


@resource.operation(
    "GET",
    "/oauth/client",
    "oauth.client.list",
    permissions=("oauth-client-list",),
    query=ClientQuery,
    answer=Listing[ClientInfo],
)
def clients(call: Call, query: ClientQuery) -> Listing[ClientInfo]:
    """List the OAuth clients by name."""
    _everywhere(call)
    text = query.filter.lower()
    found = call.server.directory.oauth_clients.all()
    return query.of(_info(one) for one in found if text in one.name.lower() or text in one.id.lower())


@resource.operation(
    "POST",
    "/oauth/client",
    "oauth.client.create",
    permissions=("oauth-client-create",),
    body=NewClient,
    answer=MadeClient,
    refuses={
        404: "There is no such scope.",
        409: "There is a client of that id, or the members do not fit together.",
    },
    example={
        "name": "Webmail",
        "redirectUris": ["https://webmail.example.org/back"],
        "grantTypes": [CODE, REFRESH],
        "scopes": ["urn:ietf:params:jmap:mail", "offline_access"],
    },
)
def create(call: Call, body: NewClient) -> MadeClient:
    """Register an OAuth client.

    A confidential one gets a secret, which is shown this once."""
    _everywhere(call)
    grants: tuple[str, ...]
    if isinstance(body.grant_types, UnsetType):
        grants = (CODE, REFRESH) if body.redirect_uris else (DEVICE, REFRESH)
    else:
        grants = tuple(dict.fromkeys(body.grant_types))
    wanted = Client(
        id=body.id or "",
        name=body.name,
        redirect_uris=tuple(dict.fromkeys(body.redirect_uris)),
        grant_types=grants,
        auth_method=body.auth_method,
        native=body.native,
        scopes=None if body.scopes is None else tuple(dict.fromkeys(body.scopes)),
        id_token_alg=body.id_token_alg,
        uri=body.uri,
        policy_uri=body.policy_uri,
        tos_uri=body.tos_uri,
    )
    try:
        made, secret = call.server.directory.oauth_clients.add(_checked(call, wanted))
    except NameTaken:
        raise exists("id", wanted.id, f"The OAuth client {wanted.id!r} exists already.") from None
    return MadeClient(_info(made), secret)


@resource.operation(
    "GET", "/oauth/client/{id}", "oauth.client.get", permissions=("oauth-client-get",), answer=ClientInfo
)
def client(call: Call, id: str) -> ClientInfo:
    """See an OAuth client."""
    _everywhere(call)
    return _info(call.server.directory.oauth_clients.get(id))


@resource.operation(
    "PATCH",
    "/oauth/client/{id}",
    "oauth.client.update",
    permissions=("oauth-client-update",),
    body=ChangedClient,
    answer=MadeClient,
    refuses={
        404: "There is no such client, or scope.",
        409: "The members do not fit together, or a public client has no secret to renew.",
    },
    example={"name": "Our webmail"},
)
def update(call: Call, id: str, body: ChangedClient) -> MadeClient:
    """Change an OAuth client.

    A public client that becomes confidential gets a secret; one that becomes public loses it."""
    _everywhere(call)
    changes: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value
        for name in ChangedClient.__struct_fields__
        if name != "renew_secret" and not isinstance(value := getattr(body, name), UnsetType)
    }

    def changed(before: Client) -> Client:
        wanted = _checked(call, dataclasses.replace(before, **changes))
        if body.renew_secret and not wanted.confidential:
            raise conflict("A public client has no secret to renew.")
        return wanted

    after, secret = call.server.directory.oauth_clients.change(id, changed, renew=body.renew_secret)
    return MadeClient(_info(after), secret)


@resource.operation("DELETE", "/oauth/client/{id}", "oauth.client.delete", permissions=("oauth-client-delete",))
def delete(call: Call, id: str) -> None:
    """Remove an OAuth client, with everything that people allowed it; its tokens end at once."""
    _everywhere(call)
    call.server.directory.oauth_clients.delete(id)


@resource.operation(
    "POST",
    "/oauth/key",
    "oauth.key.renew",
    permissions=("oauth-key-renew",),
    answer=RenewedKeys,
)
def renew_keys(call: Call) -> RenewedKeys:
    """Replace the keys that sign ID tokens, because one of them may have leaked.

    The old keys are gone at once, and ID tokens that they signed are worth nothing; access and refresh tokens go on. Applications
    that remember the old keys believe in them a while longer, 15 minutes if they heed what they were told. Without a leak
    nothing has to be done: keys are renewed by their age."""
    _everywhere(call)
    made = call.server.directory.oauth_keys.renew(call.server.oauth.offer.id_token_algs)
    return RenewedKeys([IdTokenKey(key.id, key.algorithm) for key in made])
