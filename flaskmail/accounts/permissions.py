"""Permissions and the built-in roles. Pure: what a principal may do is worked out from values alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flaskmail.accounts.faults import DirectoryError

TYPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "individual": ("individual", "people with an account"),
        "group": ("group", "groups"),
        "list": ("mailing-list", "mailing lists"),
        "domain": ("domain", "domains"),
        "role": ("role", "roles"),
        "apiKey": ("api-key", "API keys"),
    }
)
"""Type of a principal -> (what its permissions begin with, how people call several of them)."""

ACTIONS: Mapping[str, str] = MappingProxyType(
    {"list": "List", "get": "See", "create": "Make", "update": "Change", "delete": "Delete"}
)
"""What can be done to a principal: the end of a permission's name -> how its sentence begins."""

_OWN = MappingProxyType(
    {
        "authenticate": "Sign in.",
        "authenticate-oauth": "Let applications sign in with OAuth.",
        "manage-passwords": "Change the own password, second factor, app passwords, tokens and sessions.",
    }
)

_SERVER = MappingProxyType(
    {
        "all-domains": "Do what the other permissions allow in every domain, not only in the own one.",
        "audit-list": "Read the log of changes.",
        "backup": "Make backups.",
        "blob-fetch": "Read the octets of any blob.",
        "dkim-signature-create": "Make DKIM keys.",
        "dkim-signature-delete": "Delete DKIM keys.",
        "dkim-signature-get": "See DKIM keys, without their private part.",
        "fts-reindex": "Build the search index of accounts anew.",
        "job-cancel": "Stop long jobs.",
        "job-get": "See one long job.",
        "job-list": "List long jobs.",
        "logs-view": "Read the server's log.",
        "metrics-view": "Read the figures about the server.",
        "oauth-client-create": "Register OAuth clients.",
        "oauth-client-delete": "Delete OAuth clients.",
        "oauth-client-get": "See OAuth clients.",
        "oauth-client-list": "List OAuth clients.",
        "oauth-client-update": "Change OAuth clients.",
        "oauth-key-renew": "Replace the keys that sign ID tokens.",
        "plugin-list": "List plugins and their errors.",
        "policy-explain": "Ask why the HTTP policy decides as it does.",
        "purge-account": "Forget what accounts need no longer remember of what was destroyed.",
        "purge-blob-store": "Remove blobs that nothing refers to.",
        "purge-data-store": "Remove records that are no longer needed.",
        "purge-in-memory-store": "Forget what is kept for a time, such as counts of wrong passwords.",
        "restart": "Restart the server's workers.",
        "settings-delete": "Take settings back to what they were before they were set.",
        "settings-list": "Read settings.",
        "settings-reload": "Read the settings file again.",
        "settings-update": "Change settings.",
        "storage-verify": "Check what is stored.",
    }
)

WHOLE: frozenset[str] = frozenset(
    {"all-domains", "backup", "logs-view", "metrics-view", "plugin-list", "policy-explain", "restart"}
    | {"purge-data-store", "purge-in-memory-store"}
    | {name for name in _SERVER if name.startswith(("oauth-", "settings-"))}
)
"""Those about the server as a whole: nothing that they allow lies in one domain."""

EVERY = "principal"
"""``principal-get`` stands for the ``get`` of every type, and so for each action."""

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        **_OWN,
        **{
            f"{prefix}-{action}": f"{verb} {plural}."
            for prefix, plural in TYPES.values()
            for action, verb in ACTIONS.items()
        },
        **{f"{EVERY}-{action}": f"{verb} principals of every type." for action, verb in ACTIONS.items()},
        **_SERVER,
    }
)
"""Every permission -> what it allows, in one sentence."""

OWN: frozenset[str] = frozenset(_OWN)
"""Those about oneself; all others are about managing the server."""


def named(type: str, action: str) -> str:
    """The permission to do something to principals of a type: ("list", "get") is mailing-list-get. KeyError for an unknown
    type."""
    return f"{TYPES[type][0]}-{action}"


def expand(permissions: Iterable[str]) -> frozenset[str]:
    """With what ``principal-…`` stands for."""
    out = set(permissions)
    for action in ACTIONS:
        if f"{EVERY}-{action}" in out:
            out.update(f"{prefix}-{action}" for prefix, _ in TYPES.values())
    return frozenset(out)


ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "user": OWN,
        "domain-admin": expand(
            OWN
            | {
                f"{prefix}-{action}"
                for prefix in ("individual", "group", "mailing-list", "role", "api-key")
                for action in ACTIONS
            }
            | {"domain-list", "domain-get", "domain-update"}
            | {"dkim-signature-get", "dkim-signature-create", "dkim-signature-delete", "audit-list"}
        ),
        "admin": frozenset(PERMISSIONS),
    }
)
"""The built-in roles. domain-admin: everything about the own domain; admin: everything."""

ALIASES: Mapping[str, str] = MappingProxyType({"tenant-admin": "domain-admin"})
"""Other names for built-in roles -> the role."""


class UnknownPermission(DirectoryError):
    """There is no permission of that name."""


def known(permission: str) -> str:
    """The permission itself. Raises UnknownPermission with the nearest name."""
    if permission not in PERMISSIONS:
        import difflib

        near = difflib.get_close_matches(permission[:80], PERMISSIONS, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UnknownPermission(f"there is no permission {permission[:80]!r}{hint}")
    return permission


@dataclass(frozen=True, slots=True)
class Rights:
    """What a principal or a role of its own says. roles: built-in names, or ids of roles; disabled: taken away, whoever gives
    it."""

    roles: tuple[str, ...] = ()
    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()


def effective(rights: Rights, roles: Mapping[str, Rights]) -> frozenset[str]:
    """The permissions that result: what is enabled by oneself and by roles, and theirs, less everything that any of them
    disables. roles: those that are no built-in ones, by id; one that is missing gives nothing."""
    return _result(_given(rights, roles), _taken(rights, roles))


def attainable(rights: Rights, roles: Mapping[str, Rights], asleep: Collection[str]) -> frozenset[str]:
    """The permissions that can result when nothing happens but that roles which are disabled now are enabled again: those give
    already, and take nothing yet. asleep: their ids."""
    awake = {id: role for id, role in roles.items() if id not in asleep}
    return _result(_given(rights, roles), _taken(rights, awake))


def _given(rights: Rights, roles: Mapping[str, Rights]) -> set[str]:
    names = {name for one in _reached(rights, roles) for name in one.roles}
    own = {permission for one in _reached(rights, roles) for permission in one.enabled}
    return own.union(*(ROLES[name] for name in names & ROLES.keys()))


def _taken(rights: Rights, roles: Mapping[str, Rights]) -> set[str]:
    return {permission for one in _reached(rights, roles) for permission in one.disabled}


def _reached(rights: Rights, roles: Mapping[str, Rights]) -> Iterator[Rights]:
    """Oneself, and each role that one has, through others too, once."""
    seen: set[str] = set()
    left = [rights]
    while left:
        one = left.pop()
        yield one
        for name in one.roles:
            if name in roles and name not in seen:
                seen.add(name)
                left.append(roles[name])


def _result(given: Iterable[str], taken: Iterable[str]) -> frozenset[str]:
    # What a newer version granted and this one does not know is nothing.
    return (expand(given) - expand(taken)) & PERMISSIONS.keys()
