"""Who asks, and what he may do."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from flaskmail.accounts.permissions import ROLES
from flaskmail.management.operation import SELF, Call, Resource

resource = Resource("whoami", "Who asks, and what he may do.")


class UsedCredential(msgspec.Struct):
    """With what he signed in. kind: password, app-password, token, api-key, oauth or local; scopes: null for no limit."""

    kind: str
    id: str
    name: str
    scopes: list[str] | None


class WhoAmI(msgspec.Struct):
    """The one who asks. domain: the only domain that he reaches; null for all of them."""

    id: str
    name: str
    type: str
    description: str
    roles: list[str]
    permissions: list[str]
    domain: str | None
    credential: UsedCredential
    address: str


@resource.operation("GET", "/whoami", "whoami", permissions=(SELF,), answer=WhoAmI)
def whoami(call: Call) -> WhoAmI:
    """Say who asks, with which credential, and every permission that it has."""
    principal, access = call.principal, call.access
    roles = list(principal.roles)
    if not ROLES.keys() >= set(roles):
        # Of others the id is stored.
        roles = list(call.server.directory.entries.find(principal.id, replace(access, domain=None)).draft.roles)
    grant = principal.grant
    scopes = None if grant.scopes is None else sorted(grant.scopes)
    return WhoAmI(
        id=principal.id,
        name=principal.name,
        type=principal.type,
        description=principal.description,
        roles=roles,
        permissions=sorted(access.permissions),
        domain=access.domain,
        credential=UsedCredential(grant.kind, grant.id, grant.name, scopes),
        address=call.address,
    )
