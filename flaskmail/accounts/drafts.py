"""What a principal of any type is to be: fields, the changes that clients ask for, and the checks. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from flaskmail.accounts.faults import BadName, DirectoryError, NameTaken
from flaskmail.accounts.names import ADMIN, account_name, domain_name
from flaskmail.accounts.permissions import ALIASES, ROLES, UnknownPermission, known
from flaskmail.accounts.principals import PrincipalType

LONGEST = 1000
"""Characters of a description or a URL."""
MOST = 10_000
"""Items of one field."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class BadField(DirectoryError):
    """A field cannot have this value. field: its name on the wire; expected: a sentence."""

    def __init__(self, field: str, expected: str) -> None:
        self.field, self.expected = field, expected
        super().__init__(f"{field}: {expected}")


class Absent(BadField):
    """A field names something that does not exist. item: its name."""

    def __init__(self, field: str, what: str, item: str) -> None:
        self.item = item
        super().__init__(field, f"there is no {what} {item[:300]!r}")
        self.expected = f"the name of an existing {what}"


class Further(BadField):
    """The new credential would reach further than the one of whoever asks."""


class Unfit(BadField):
    """The value would do elsewhere, but does not fit this principal as it is."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a principal is to be. Others are meant by their names.

    quota: octets, None for the server's default; member_of: groups; lists: mailing lists it is on; roles: names of built-in and
    other roles; domain: of roles and keys alone, None for the whole server; expires: of keys, seconds since 1970; networks: of
    keys, None for everywhere."""

    type: PrincipalType
    name: str
    description: str = ""
    quota: int | None = None
    emails: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    member_of: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    external_members: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    enabled_permissions: tuple[str, ...] = ()
    disabled_permissions: tuple[str, ...] = ()
    disabled: bool = False
    domain: str | None = None
    expires: int | None = None
    networks: tuple[str, ...] | None = None


FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "name",
        "description": "description",
        "quota": "quota",
        "emails": "emails",
        "urls": "urls",
        "memberOf": "member_of",
        "lists": "lists",
        "members": "members",
        "externalMembers": "external_members",
        "roles": "roles",
        "enabledPermissions": "enabled_permissions",
        "disabledPermissions": "disabled_permissions",
        "disabled": "disabled",
        "expires": "expires",
        "allowedNetworks": "networks",
    }
)
"""Name on the wire -> name in Draft, of what can be changed."""

_COMMON = frozenset({"name", "description"})
_ADDRESSED = _COMMON | {"emails", "urls", "memberOf", "lists"}
_RIGHTS = frozenset({"roles", "enabledPermissions", "disabledPermissions", "disabled"})

HAS: Mapping[PrincipalType, frozenset[str]] = MappingProxyType(
    {
        "individual": _ADDRESSED | _RIGHTS | {"quota"},
        "group": _ADDRESSED | {"quota", "members"},
        "list": _ADDRESSED | {"members", "externalMembers"},
        "role": _COMMON | _RIGHTS,
        "apiKey": _COMMON | _RIGHTS | {"expires", "allowedNetworks"},
    }
)
"""The fields that principals of each type have."""

PLAIN: frozenset[PrincipalType] = frozenset({"role", "apiKey"})
"""The types whose names are no addresses."""

Action = Literal["set", "addItem", "removeItem"]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an update. field: its name on the wire; value: JSON."""

    action: Action
    field: str
    value: Any


def plain_name(text: str, field: str = "name") -> str:
    """The name of a role or a key, in lower case. Raises BadField, or NameTaken for those of our own."""
    name = text.strip().lower()
    if not _PLAIN.fullmatch(name):
        raise BadField(field, f"{text[:80]!r} is no name: 1 to 64 letters, digits, '.', '_' and '-', the first no sign")
    if name == ADMIN or name in ROLES or name in ALIASES:
        raise NameTaken(f"{name!r} is the name of a built-in role or account", name)
    return name


def role_name(text: str) -> str:
    """The name of a role, built-in or not, in lower case; what an alias stands for. Raises BadField."""
    name = text.strip().lower()
    name = ALIASES.get(name, name)
    return name if name in ROLES else plain_name(name, "roles")


def checked(draft: Draft) -> tuple[Draft, str | None]:
    """(the draft with every name as it is stored, the domain to which the principal belongs). Raises BadField with the first
    thing that is wrong; whether what it names exists is for the directory to say."""
    for field, attribute in FIELDS.items():
        given = getattr(draft, attribute)
        if field not in HAS[draft.type] and given not in (None, (), "", False):
            raise BadField(field, f"a principal of type {draft.type} has no such field")
    domain: str | None
    if draft.type in PLAIN:
        name = plain_name(draft.name)
        domain = None if draft.domain is None else _of("domain", domain_name, draft.domain)
    else:
        name, domain = _of("name", account_name, draft.name)
        if domain is None and draft.type != "individual":
            raise BadField("name", "an address is wanted: name@domain")
    if draft.quota is not None and not 0 < draft.quota < 2**63:
        raise BadField("quota", "a number of octets is wanted, or null for the server's default")
    if draft.expires is not None and not 0 < draft.expires < 2**40:
        raise BadField("expires", "a date is wanted")
    emails = _unique(_of("emails", account_name, text)[0] for text in draft.emails)
    if ADMIN in emails:
        raise BadField("emails", f"{ADMIN!r} is not an address")
    return (
        dataclasses.replace(
            draft,
            name=name,
            description=line_of("description", draft.description),
            # The name is an address already; to say it again does no harm.
            emails=tuple(email for email in emails if email != name),
            urls=_unique(line_of("urls", url) for url in draft.urls),
            member_of=_unique(_reference(text) for text in draft.member_of),
            lists=_unique(_reference(text) for text in draft.lists),
            members=_unique(_reference(text) for text in draft.members),
            external_members=_unique(_of("externalMembers", account_name, text)[0] for text in draft.external_members),
            roles=_unique(role_name(text) for text in draft.roles),
            enabled_permissions=_permissions("enabledPermissions", draft.enabled_permissions),
            disabled_permissions=_permissions("disabledPermissions", draft.disabled_permissions),
            domain=domain,
            networks=None if draft.networks is None else _unique(network(text) for text in draft.networks),
        ),
        domain,
    )


def bounded(draft: Draft, before: Draft | None = None) -> None:
    """Raises BadField for a field with more than ``MOST`` items, and more than there were before: a group may have become
    larger one by one, from the side of its members."""
    for field, attribute in FIELDS.items():
        items, had = getattr(draft, attribute), before and getattr(before, attribute)
        if isinstance(items, tuple) and len(items) > max(MOST, len(had or ())):
            raise BadField(field, f"at most {MOST} items are possible")


def applied(draft: Draft, changes: Iterable[Change]) -> Draft:
    """The draft after the changes, in their order. Raises BadField for a value of a wrong kind; ``checked`` looks at the rest."""
    for change in changes:
        attribute = FIELDS.get(change.field)
        if attribute is None:
            raise BadField(change.field, "there is no such field that can be changed")
        if change.field not in HAS[draft.type]:
            raise Unfit(change.field, f"a principal of type {draft.type} has no such field")
        before = getattr(draft, attribute)
        is_list = isinstance(before, tuple) or attribute == "networks"
        if is_list:
            after: Any = _items(change, before)
        elif change.action != "set":
            raise BadField(change.field, f"it is no list: only the action set is possible, not {change.action}")
        else:
            after = _scalar(change.field, change.value)
            if attribute == "name" and ("@" in after) == (draft.type in PLAIN) and after.strip().lower() != draft.name:
                wanted = "no address" if draft.type in PLAIN else "an address"
                raise Unfit("name", f"the name of a principal of type {draft.type} is {wanted}")
        draft = dataclasses.replace(draft, **{attribute: after})
    return draft


def _items(change: Change, before: tuple[str, ...] | None) -> tuple[str, ...] | None:
    value = change.value
    if value is None and change.action == "set" and change.field == "allowedNetworks":
        return None
    items = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, str) for item in items):
        raise BadField(change.field, "texts are wanted")
    if change.action == "set":
        return tuple(items)
    named = {item.strip().lower() for item in items}
    if change.field == "roles":
        # An alias stands for the role that is stored.
        named |= {ALIASES[name] for name in named & ALIASES.keys()}
    if change.field == "allowedNetworks":
        # As it is stored.
        named = {network(item) for item in items}
    if change.action == "removeItem":
        # What counts everywhere has no networks of which one could go.
        return None if before is None else tuple(item for item in before if item.lower() not in named)
    return (*(before or ()), *items)


_SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = MappingProxyType(
    {
        "name": ((str,), "a text is wanted"),
        "description": ((str, type(None)), "a text is wanted"),
        "quota": ((int, type(None)), "a number of octets is wanted, or null for the server's default"),
        "disabled": ((bool,), "true or false is wanted"),
        "expires": ((int, type(None)), "a date is wanted, or null for never"),
    }
)


def _scalar(field: str, value: Any) -> Any:
    kinds, expected = _SCALARS[field]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise BadField(field, expected)
    if field == "description":
        return value or ""
    # The old API wrote 0 for no quota of its own.
    return None if field == "quota" and value == 0 else value


def network(text: str) -> str:
    """A network, or one address, as CIDR. Raises BadField."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise BadField(
            "allowedNetworks", f"{text[:80]!r} is no network such as 192.0.2.0/24 or 2001:db8::/32"
        ) from None


def _reference(text: str) -> str:
    return text.strip().lower()


def _of(field: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except BadName as error:
        raise BadField(field, str(error)) from None


def line_of(field: str, text: str) -> str:
    """The text. Raises BadField when it is longer than a description may be, or no single line."""
    if len(text) > LONGEST:
        raise BadField(field, f"at most {LONGEST} characters are possible")
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 or ord(c) == 127 for c in text):
        raise BadField(field, "a text without control characters is wanted")
    return text


def _permissions(field: str, names: Sequence[str]) -> tuple[str, ...]:
    try:
        return _unique(known(name) for name in names)
    except UnknownPermission as error:
        raise BadField(field, str(error)) from None


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
