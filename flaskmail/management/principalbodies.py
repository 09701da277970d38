"""What is sent to make and to change principals: one shape for each type, one for each field."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from flaskmail.management.domains import DomainName
from flaskmail.management.operation import Members
from flaskmail.management.shapes import (
    Address,
    Addresses,
    AnyName,
    Moment,
    Networks,
    None_,
    Password,
    Permissions,
    Plain,
    Quota,
    References,
    Roles,
    Secrets,
    Text,
    Texts,
    Zero,
)


class _New(Members, tag_field="type", kw_only=True):
    """A principal to make. What the old API knew and a type has not may be there, empty."""

    description: Text | None = None
    quota: Zero | None = None
    secrets: None_ = []
    emails: None_ = []
    urls: None_ = []
    member_of: None_ = []
    lists: None_ = []
    members: None_ = []
    external_members: None_ = []
    roles: None_ = []
    enabled_permissions: None_ = []
    disabled_permissions: None_ = []


class NewIndividual(_New, tag="individual", kw_only=True):
    """Somebody with an account. quota: octets, 0 for the server's default; secrets: the password; emails: further addresses;
    memberOf: groups, lists: mailing lists; roles: ``user`` when it is not there."""

    name: Address
    quota: Quota | None = None
    secrets: Secrets = []
    emails: Addresses = []
    urls: Texts = []
    member_of: References = []
    lists: References = []
    roles: Roles = "user"
    enabled_permissions: Permissions = []
    disabled_permissions: Permissions = []
    disabled: bool = False


class NewGroup(_New, tag="group", kw_only=True):
    """A group. members: people and groups."""

    name: Address
    quota: Quota | None = None
    emails: Addresses = []
    urls: Texts = []
    member_of: References = []
    lists: References = []
    members: References = []


class NewList(_New, tag="list", kw_only=True):
    """A mailing list. members: people, groups and lists; externalMembers: addresses elsewhere."""

    name: Address
    emails: Addresses = []
    urls: Texts = []
    member_of: References = []
    lists: References = []
    members: References = []
    external_members: Addresses = []


class _Allowing(_New, kw_only=True):
    name: Plain
    roles: Roles = []
    enabled_permissions: Permissions = []
    disabled_permissions: Permissions = []
    disabled: bool = False
    domain: DomainName | None = None


class NewRole(_Allowing, tag="role", kw_only=True):
    """A role. domain: to which it belongs; otherwise your own, or the whole server."""


class NewApiKey(_Allowing, tag="apiKey", kw_only=True):
    """An API key, whose secret the server makes. domain: in which it counts; otherwise your own, or those that its permissions
    reach; allowedNetworks: from which alone it counts, null for everywhere; expires: null for never."""

    expires: Moment | None = None
    allowed_networks: Networks | None = None


class NewDomainPrincipal(_New, tag="domain", kw_only=True):
    """A domain."""

    name: DomainName


NewPrincipal = NewIndividual | NewGroup | NewList | NewRole | NewApiKey | NewDomainPrincipal


class _Step(Members, tag_field="field", kw_only=True):
    """Base of one change of a principal: its field is set."""

    action: Literal["set"]


class _Items(Members, tag_field="field", kw_only=True):
    """Base of one change of a list: it is set, or items are added or taken away."""

    action: Literal["set", "addItem", "removeItem"]


class _Addresses(_Items):
    value: Addresses


class _References(_Items):
    value: References


class _Permissions(_Items):
    value: Permissions


class SetName(_Step, tag="name"):
    """Another name; for people, groups and lists an address. A key is sent under its new name from then on."""

    value: AnyName


class SetDescription(_Step, tag="description"):
    """Another description."""

    value: Text | None


class SetQuota(_Step, tag="quota"):
    """Octets; 0 or null for the server's default."""

    value: Quota | None


class SetDisabled(_Step, tag="disabled"):
    """Whether its owner is kept out."""

    value: bool


class SetExpiry(_Step, tag="expires"):
    """When a key ends; null for never."""

    value: Moment | None


class SetSecrets(Members, tag_field="field", tag="secrets", kw_only=True):
    """Another password of an individual, in place of the present one."""

    action: Literal["set", "addItem"]
    value: Annotated[list[Password], Meta(min_length=1, max_length=1)] | Password


class ChangeEmails(_Addresses, tag="emails"):
    """Further addresses."""


class ChangeUrls(_Items, tag="urls"):
    """URLs."""

    value: Texts


class ChangeMemberOf(_References, tag="memberOf"):
    """Groups that it belongs to."""


class ChangeLists(_References, tag="lists"):
    """Mailing lists that it is on."""


class ChangeMembers(_References, tag="members"):
    """Who belongs to it."""


class ChangeExternalMembers(_Addresses, tag="externalMembers"):
    """Addresses elsewhere that are on it."""


class ChangeRoles(_Items, tag="roles"):
    """Roles that it has."""

    value: Roles


class ChangeEnabled(_Permissions, tag="enabledPermissions"):
    """Permissions that it has."""


class ChangeDisabled(_Permissions, tag="disabledPermissions"):
    """Permissions that it has not, whoever gives them."""


class ChangeNetworks(_Items, tag="allowedNetworks"):
    """From where alone a key counts; null for everywhere."""

    value: Networks | None


Step = (
    SetName
    | SetDescription
    | SetQuota
    | SetDisabled
    | SetExpiry
    | SetSecrets
    | ChangeEmails
    | ChangeUrls
    | ChangeMemberOf
    | ChangeLists
    | ChangeMembers
    | ChangeExternalMembers
    | ChangeRoles
    | ChangeEnabled
    | ChangeDisabled
    | ChangeNetworks
)
"""One change of a principal, by its field."""
