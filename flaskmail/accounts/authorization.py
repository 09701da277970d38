"""What somebody may do, and in which domain. Everything is refused that nothing allows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.permissions import PERMISSIONS, ROLES, WHOLE, Rights, attainable, effective
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import permissions_within, scope_for
from flaskmail.errors import RequestError

REMEMBERED = 10_000
"""How many accesses a process remembers."""

NOWHERE = ""
"""The domain of whoever has none and may not act in all: no domain has this name."""

LOCAL = Principal(
    "", "local", "Whoever may write the data folder", False, False, None, "1970-01-01T00:00:00Z",
    roles=("admin",), grant=Grant("local"),
)  # fmt: skip
"""Who asks on the command line, on the data folder itself: whoever can write the files may do everything."""


@dataclass(frozen=True, slots=True)
class Access:
    """permissions: those in force for this principal with this grant; domain: the one in which they hold, None for all; withheld:
    those that the owner of a token has, and its scopes leave out."""

    principal: Principal
    permissions: frozenset[str]
    domain: str | None
    withheld: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        """Whether it has the permission."""
        return permission in self.permissions

    def reaches(self, domain: str | None) -> bool:
        """Whether what belongs to this domain (None: to the whole server) exists for it at all."""
        return self.domain is None or (domain is not None and domain == self.domain)

    def lacking(self, permission: str, *others: str) -> RequestError:
        """The refusal of what needs one of these permissions, none of which it has; it names the first."""
        refusal = lacking(permission)
        if permission in WHOLE and self.principal.type == "apiKey" and self.principal.domain is not None:
            # Its roles may have it, and still it would not help.
            refusal.detail = f"{refusal.detail[:-1]}, which no API key of a domain has: it concerns the whole server."
        scope = next((scope_for(one) for one in (permission, *others) if one in self.withheld), None)
        if scope is not None:
            refusal.extra["scope"] = scope
            # RFC 6750 section 3: MUST include it. To one whom no scope would help it would be a lie.
            refusal.headers["WWW-Authenticate"] = (
                f'Bearer realm="flaskmail", error="insufficient_scope", scope="{scope}"'
            )
        return refusal


def access(principal: Principal, owned: frozenset[str]) -> Access:
    """The access of one who owns these permissions and comes with ``principal.grant``."""
    if principal.type == "apiKey" and principal.domain is not None:
        # A key of a domain counts there, whatever roles it was given.
        owned -= WHOLE
    permissions = permissions_within(principal.grant, owned)
    everywhere = "all-domains" in permissions
    is_token = principal.grant.scopes is not None and principal.grant.kind != "app-password"
    withheld = owned - permissions if is_token else frozenset()
    return Access(principal, permissions, None if everywhere else principal.domain or NOWHERE, withheld)


def lacking(permission: str) -> RequestError:
    """The refusal that names a missing permission."""
    return RequestError(403, f"This needs the permission {permission}.", extra={"permission": permission})


def rights_of(row: Row) -> Rights:
    """From the columns roles, enabled_permissions, disabled_permissions."""
    roles, enabled, disabled = (json.loads(text) for text in row)
    return Rights(tuple(roles), frozenset(enabled), frozenset(disabled))


def owned_by(rows: Callable[..., list[Row]], id: str, roles: Mapping[str, Rights] | None = None) -> frozenset[str]:
    """What the principal of this id may do when no grant limits it, by the database as it is now; nothing when it is disabled or
    gone. rows: answers a query; roles: those of ``read_roles`` when they are known."""
    found = rows(
        "SELECT roles, enabled_permissions, disabled_permissions, disabled, type FROM principal WHERE id=?", (id,)
    )
    if not found or found[0][3]:
        return frozenset()
    owned = effective(rights_of(found[0][:3]), read_roles(rows) if roles is None else roles)
    # Whoever holds a key has been let in: a key that may do nothing else may at least be told so.
    return owned | {"authenticate"} if found[0][4] == "apiKey" else owned


def attainable_by(rows: Callable[..., list[Row]], id: str) -> frozenset[str]:
    """What the principal of this id may do, or could as soon as it, or roles that it has, are no longer disabled: the measure of
    who may make or change it. Being disabled hides nothing, else somebody could prepare what another one then lets loose."""
    found = rows("SELECT roles, enabled_permissions, disabled_permissions FROM principal WHERE id=?", (id,))
    if not found:
        return frozenset()
    rights = rights_of(found[0])
    # Most have built-in roles alone.
    known = rows(_ROLES) if set(rights.roles) - ROLES.keys() else []
    return attainable(rights, {row[0]: rights_of(row[1:4]) for row in known}, {row[0] for row in known if row[4]})


_ROLES = "SELECT id, roles, enabled_permissions, disabled_permissions, disabled FROM principal WHERE type='role'"


def read_roles(rows: Callable[..., list[Row]]) -> dict[str, Rights]:
    """The roles that are no built-in ones, by id; a disabled one gives nothing and takes nothing."""
    return {row[0]: Rights() if row[4] else rights_of(row[1:4]) for row in rows(_ROLES)}


class Authority:
    """Works out what principals may do, from ``control.db``; remembers it until that changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._roles: Mapping[str, Rights] = {}
        self._owned: dict[str, frozenset[str]] = {}

    def access_of(self, principal: Principal) -> Access:
        """What the principal may do now. One that is disabled or gone may do nothing."""
        if principal.grant.kind == "local":
            return access(principal, frozenset(PERMISSIONS))
        return access(principal, self.owned(principal.id))

    def owned(self, id: str) -> frozenset[str]:
        """What the principal of this id may do when no grant limits it; nothing when it is disabled or gone."""
        with self._lock:
            self._refresh()
            found = self._owned.get(id)
            if found is None:
                found = owned_by(self._database.rows, id, self._roles)
                if len(self._owned) >= REMEMBERED:
                    self._owned.clear()
                self._owned[id] = found
            return found

    def _refresh(self) -> None:
        # Asked for before anything is read: what is committed in between shows in the next version.
        version = self._database.version()
        if version != self._version:
            self._owned = {}
            self._roles = read_roles(self._database.rows)
            self._version = version
