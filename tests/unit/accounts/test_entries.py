"""Principals of every type: what can be made of them, by whom, and what stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flaskmail.accounts.authorization import LOCAL, Access
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.drafts import Absent, BadField, Change, Draft, Unfit
from flaskmail.accounts.entries import Entry, Exceeds, beyond
from flaskmail.accounts.faults import DirectoryError, InUse, NameTaken, UnknownName
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.permissions import PERMISSIONS, ROLES, Rights, effective
from flaskmail.accounts.principals import new_account_id

HERE, THERE = "example.org", "example.net"


@pytest.fixture
def root(directory: Directory) -> Access:
    """Who may do everything."""
    for domain in (HERE, THERE):
        directory.domains.create(domain)
    return directory.authority.access_of(LOCAL)


def make(directory: Directory, access: Access, type: Any, name: str, **fields: Any) -> Entry:
    return directory.entries.create(new_account_id(), Draft(type=type, name=name, **fields), "", access)[0]


def change(directory: Directory, access: Access, name: str, action: Any, field: str, value: Any) -> Entry:
    return directory.entries.update(name, [Change(action, field, value)], access)[1]


def access_of(directory: Directory, entry: Entry) -> Access:
    return directory.authority.access_of(
        directory.entries.find(entry.id, directory.authority.access_of(LOCAL)).principal
    )


@pytest.fixture
def chief(directory: Directory, root: Access) -> Access:
    """The administrator of one domain."""
    return access_of(directory, make(directory, root, "individual", f"chief@{HERE}", roles=("domain-admin",)))


def test_what_was_made_is_found_again(directory: Directory, root: Access) -> None:
    make(directory, root, "individual", f"Alice@{HERE}", roles=("user",), emails=(f"a@{HERE}", f"al@{THERE}"), quota=7)
    make(directory, root, "group", f"staff@{HERE}", members=(f"alice@{HERE}",), description="All of us: Österreich")
    assert [directory.entries.page(root, ("group",), text)[1] for text in ("Österr", "öSTERR", "STAFF@", "osterr")] == [
        1,
        1,
        1,
        0,
    ]
    make(
        directory, root, "list", f"news@{HERE}", members=(f"staff@{HERE}",), external_members=("bob@elsewhere.example",)
    )
    make(directory, root, "role", "helpdesk", enabled_permissions=("individual-list", "individual-get"))
    make(directory, root, "apiKey", "backup", roles=("helpdesk",), networks=("192.0.2.7",), expires=2_000_000_000)
    alice = directory.entries.find(f"ALICE@{HERE}", root)
    assert alice.draft.emails == (f"a@{HERE}", f"al@{THERE}")
    assert (alice.draft.quota, alice.draft.member_of, alice.principal.has_mail) == (7, (f"staff@{HERE}",), True)
    assert directory.entries.find(f"staff@{HERE}", root).draft.lists == (f"news@{HERE}",)
    assert directory.entries.find(f"news@{HERE}", root).draft.external_members == ("bob@elsewhere.example",)
    key = directory.entries.find("backup", root)
    assert (key.draft.networks, key.draft.expires, key.draft.roles) == (("192.0.2.7/32",), 2_000_000_000, ("helpdesk",))
    assert access_of(directory, key).permissions == {"individual-list", "individual-get", "authenticate"}
    assert directory.entries.find(key.id, root).draft == key.draft
    assert not key.principal.has_mail


def test_pages(directory: Directory, root: Access, chief: Access) -> None:
    for number in range(5):
        make(directory, root, "individual", f"user{number}@{THERE}", description="A person from There")
    make(directory, root, "individual", f"alice@{HERE}", emails=(f"wonder@{HERE}",))

    def names(access: Access, text: str = "", types: Any = ("individual",), **more: Any) -> tuple[list[str], int]:
        found, total = directory.entries.page(access, types, text, **more)
        return [entry.draft.name.partition("@")[0] for entry in found], total

    assert names(root) == (["alice", "chief", "user0", "user1", "user2", "user3", "user4"], 7)
    assert names(root, start=2, limit=2) == (["user0", "user1"], 7)
    assert names(root, "FROM there", limit=1) == (["user0"], 5)
    assert names(root, "wonder") == (["alice"], 1)
    assert names(root, types=("group", "list")) == ([], 0)
    assert names(chief) == (["alice", "chief"], 2)
    assert names(chief, "user") == ([], 0)


def test_what_lies_elsewhere_does_not_exist(directory: Directory, root: Access, chief: Access) -> None:
    bob = make(directory, root, "individual", f"bob@{THERE}")
    make(directory, root, "group", f"all@{THERE}", members=(f"bob@{THERE}", f"chief@{HERE}"))
    make(directory, root, "role", "theirs", domain=THERE)
    entries = directory.entries
    for name in (f"bob@{THERE}", bob.id, f"all@{THERE}", "theirs"):
        with pytest.raises(UnknownName) as caught:
            entries.find(name, chief)
        assert caught.value.nearest == ""
        with pytest.raises(UnknownName):
            change(directory, chief, name, "set", "description", "mine now")
        with pytest.raises(UnknownName):
            entries.delete(name, chief)
    wrong: list[tuple[Any, str, dict[str, Any]]] = [
        ("individual", f"carol@{THERE}", {}),
        ("group", f"g@{HERE}", {"members": (f"bob@{THERE}",)}),
        ("individual", f"carol@{HERE}", {"emails": (f"carol@{THERE}",)}),
        ("individual", f"carol@{HERE}", {"member_of": (f"all@{THERE}",)}),
        ("individual", f"carol@{HERE}", {"roles": ("theirs",)}),
        ("role", "mine", {"domain": THERE}),
        ("apiKey", "mine", {}),
    ]
    for type, name, fields in wrong:
        with pytest.raises((UnknownName, Absent)):
            make(directory, chief, type, name, **fields)
    with pytest.raises(Absent):
        change(directory, chief, f"chief@{HERE}", "set", "name", f"chief@{THERE}")
    # What he cannot see of his own people he does not remove either.
    assert entries.find(f"chief@{HERE}", chief).draft.member_of == ()
    change(directory, chief, f"chief@{HERE}", "set", "memberOf", [])
    assert entries.find(f"chief@{HERE}", root).draft.member_of == (f"all@{THERE}",)
    change(directory, root, f"chief@{HERE}", "set", "emails", [f"boss@{HERE}", f"boss@{THERE}"])
    assert entries.find(f"chief@{HERE}", chief).draft.emails == (f"boss@{HERE}",)
    assert entries.page(chief, ("individual",), "boss@" + THERE)[1] == 0
    change(directory, chief, f"chief@{HERE}", "set", "emails", [f"big@{HERE}"])
    assert set(entries.find(f"chief@{HERE}", root).draft.emails) == {f"big@{HERE}", f"boss@{THERE}"}
    # The same plain name in two domains is no secret of either.
    assert make(directory, chief, "role", "theirs", domain=HERE).principal.domain == HERE
    with pytest.raises(DirectoryError, match="by its id"):
        entries.find("theirs", root)


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({"roles": ("admin",)}, "all-domains"),
        ({"enabled_permissions": ("settings-update",)}, "settings-update"),
        ({"roles": ("powerful",)}, "backup"),
        ({"roles": ("outer",)}, "backup"),
    ],
)
def test_nobody_grants_more_than_he_has(
    directory: Directory, root: Access, chief: Access, fields: dict[str, Any], lacks: str
) -> None:
    make(directory, root, "role", "powerful", enabled_permissions=("backup",))
    make(directory, root, "role", "outer", roles=("powerful",))
    for type, name in (("individual", f"x@{HERE}"), ("role", "x"), ("apiKey", "x")):
        more = fields if type == "individual" else {**fields, "domain": HERE}
        with pytest.raises(Exceeds) as caught:
            make(directory, chief, type, name, **more)
        assert lacks == caught.value.permission or lacks in PERMISSIONS
    make(directory, chief, "individual", f"y@{HERE}", roles=("user",))
    for wire, attribute in (("roles", "roles"), ("enabledPermissions", "enabled_permissions")):
        if attribute in fields:
            with pytest.raises(Exceeds):
                change(directory, chief, f"y@{HERE}", "addItem", wire, fields[attribute][0])
    assert directory.entries.page(root, ("apiKey",))[1] == 0
    assert access_of(directory, directory.entries.find(f"y@{HERE}", root)).permissions == ROLES["user"]


def test_nobody_touches_whoever_has_more(directory: Directory, root: Access, chief: Access) -> None:
    make(directory, root, "individual", f"boss@{HERE}", roles=("admin",))
    for attempt in (
        lambda: directory.entries.update(f"boss@{HERE}", [], chief, password="$hash"),
        lambda: change(directory, chief, f"boss@{HERE}", "set", "roles", []),
        lambda: change(directory, chief, f"boss@{HERE}", "set", "disabled", True),
        lambda: directory.entries.delete(f"boss@{HERE}", chief),
    ):
        with pytest.raises(Exceeds):
            attempt()
    assert directory.entries.find(f"boss@{HERE}", root).draft.roles == ("admin",)


def test_being_disabled_hides_nothing(directory: Directory, root: Access, chief: Access) -> None:
    # Whatever is prepared while it is of no use comes into force when somebody with more permissions enables it.
    make(directory, root, "individual", f"boss@{HERE}", roles=("admin",), disabled=True)
    make(directory, root, "role", "asleep", domain=HERE, enabled_permissions=("backup",), disabled=True)
    make(directory, root, "role", "curb", domain=HERE, disabled_permissions=("backup",), disabled=True)
    make(directory, root, "individual", f"y@{HERE}", roles=("curb",), enabled_permissions=("backup",))
    make(directory, chief, "individual", f"x@{HERE}", disabled=True)
    for attempt in (
        lambda: directory.entries.update(f"boss@{HERE}", [], chief, password="$hash"),
        lambda: directory.entries.delete(f"boss@{HERE}", chief),
        lambda: make(directory, chief, "individual", f"z@{HERE}", roles=("admin",), disabled=True),
        lambda: make(directory, chief, "apiKey", "z", domain=HERE, roles=("admin",), disabled=True),
        lambda: change(directory, chief, f"x@{HERE}", "set", "roles", ["admin"]),
        lambda: change(directory, chief, f"x@{HERE}", "set", "roles", ["asleep"]),
        lambda: change(directory, chief, f"y@{HERE}", "set", "description", "y"),
    ):
        with pytest.raises(Exceeds):
            attempt()
    change(directory, chief, f"x@{HERE}", "set", "roles", ["curb"])


def test_a_role_does_not_give_its_holders_more_than_its_editor_has(
    directory: Directory, root: Access, chief: Access
) -> None:
    # The role takes something away from somebody who has more than the editor.
    make(
        directory, root, "role", "curb", domain=HERE, disabled_permissions=tuple(ROLES["admin"] - ROLES["domain-admin"])
    )
    boss = make(directory, root, "individual", f"boss@{HERE}", roles=("admin", "curb"))
    before = access_of(directory, boss).permissions
    for wire, value in (("disabledPermissions", []), ("disabled", True)):
        with pytest.raises(Exceeds):
            change(directory, chief, "curb", "set", wire, value)
    with pytest.raises(InUse):
        directory.entries.delete("curb", chief)
    assert access_of(directory, boss).permissions == before


def test_an_update_is_whole_or_not_at_all(directory: Directory, root: Access) -> None:
    make(directory, root, "individual", f"alice@{HERE}", emails=(f"a@{HERE}",))
    make(directory, root, "individual", f"bob@{HERE}")
    before = directory.entries.find(f"alice@{HERE}", root)
    lasts = (("addItem", "emails", f"bob@{HERE}"), ("addItem", "roles", "nobody"), ("set", "name", f"bob@{HERE}"))
    for last in (Change(action, field, value) for action, field, value in lasts):
        with pytest.raises(DirectoryError):
            directory.entries.update(f"alice@{HERE}", [Change("set", "description", "new"), last], root)
        assert directory.entries.find(f"alice@{HERE}", root) == before


def test_addresses_are_unique_over_all(directory: Directory, root: Access) -> None:
    make(directory, root, "individual", f"alice@{HERE}", emails=(f"a@{HERE}",))
    for name, emails in ((f"a@{HERE}", ()), (f"b@{HERE}", (f"A@{HERE}",)), (f"c@{HERE}", (f"alice@{HERE}",))):
        with pytest.raises(NameTaken):
            make(directory, root, "individual", name, emails=emails)
    with pytest.raises(NameTaken):
        directory.principals.add("aaaa", f"a@{HERE}", "hash")
    assert make(directory, root, "individual", f"d@{HERE}", emails=(f"d@{HERE}",)).draft.emails == ()


def test_names_of_our_own_are_taken(directory: Directory, root: Access) -> None:
    for name in ("admin", "user", "domain-admin", "Tenant-Admin"):
        for type in ("role", "apiKey"):
            with pytest.raises(NameTaken):
                make(directory, root, type, name)
    make(directory, root, "individual", f"alice@{HERE}")
    with pytest.raises((NameTaken, Unfit)):
        change(directory, root, f"alice@{HERE}", "set", "name", "admin")


def test_a_new_name_takes_the_place_of_the_old(directory: Directory, root: Access) -> None:
    alice = make(directory, root, "individual", f"alice@{HERE}", emails=(f"a@{HERE}",))
    change(directory, root, f"alice@{HERE}", "set", "name", f"a@{HERE}")
    found = directory.entries.find(f"a@{HERE}", root)
    assert (found.id, found.draft.emails) == (alice.id, ())
    make(directory, root, "individual", f"alice@{HERE}")
    role = make(directory, root, "role", "old")
    make(directory, root, "apiKey", "key", roles=("old",))
    change(directory, root, "old", "set", "name", "new")
    assert directory.entries.find("key", root).draft.roles == ("new",)
    assert directory.entries.find("new", root).id == role.id


def test_a_group_that_grew_from_the_side_of_its_members_can_be_changed(
    directory: Directory, root: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flaskmail.accounts.drafts.MOST", 2)
    make(directory, root, "group", f"staff@{HERE}")
    for number in range(4):
        make(directory, root, "individual", f"x{number}@{HERE}")
        if number < 3:
            change(directory, root, f"x{number}@{HERE}", "addItem", "memberOf", f"staff@{HERE}")
    found = change(directory, root, f"staff@{HERE}", "set", "description", "Everybody")
    assert (len(found.draft.members), found.draft.description) == (3, "Everybody")
    with pytest.raises(BadField, match="at most 2 items"):
        change(directory, root, f"staff@{HERE}", "addItem", "members", f"x3@{HERE}")
    assert len(change(directory, root, f"staff@{HERE}", "removeItem", "members", f"x0@{HERE}").draft.members) == 2
    with pytest.raises(BadField, match="at most 2 items"):
        make(directory, root, "group", f"more@{HERE}", members=(f"x0@{HERE}", f"x1@{HERE}", f"x2@{HERE}"))


def test_groups_hold_no_circles(directory: Directory, root: Access) -> None:
    make(directory, root, "group", f"a@{HERE}")
    make(directory, root, "group", f"b@{HERE}", members=(f"a@{HERE}",))
    make(directory, root, "group", f"c@{HERE}", members=(f"b@{HERE}",))
    for name, field, value in (("a", "members", "a"), ("a", "members", "c"), ("c", "memberOf", "a")):
        with pytest.raises(BadField):
            change(directory, root, f"{name}@{HERE}", "addItem", field, f"{value}@{HERE}")
    assert directory.entries.find(f"a@{HERE}", root).draft.members == ()


def test_roles_may_go_round_in_circles_without_harm(directory: Directory, root: Access) -> None:
    make(directory, root, "role", "one", enabled_permissions=("logs-view",))
    make(directory, root, "role", "two", roles=("one",), enabled_permissions=("backup",))
    change(directory, root, "one", "addItem", "roles", "two")
    key = make(directory, root, "apiKey", "key", roles=("one",))
    assert access_of(directory, key).permissions == {"logs-view", "backup", "authenticate"}
    with pytest.raises(BadField):
        change(directory, root, "one", "addItem", "roles", "one")


def test_a_role_in_use_stays(directory: Directory, root: Access) -> None:
    make(directory, root, "role", "helpdesk")
    make(directory, root, "apiKey", "key", roles=("helpdesk",))
    with pytest.raises(InUse, match="'key' has the role"):
        directory.entries.delete("helpdesk", root)
    directory.entries.delete("key", root)
    directory.entries.delete("helpdesk", root)


def test_the_own_role_goes_before_the_servers(directory: Directory, root: Access, chief: Access) -> None:
    make(directory, root, "role", "helpdesk", enabled_permissions=("individual-get",))
    early = make(directory, chief, "individual", f"early@{HERE}", roles=("helpdesk",))
    make(directory, chief, "role", "helpdesk", domain=HERE, enabled_permissions=("group-get",))
    late = make(directory, chief, "individual", f"late@{HERE}", roles=("helpdesk",))
    assert access_of(directory, early).permissions == {"individual-get"}
    assert access_of(directory, late).permissions == {"group-get"}
    # Another change does not turn one into the other.
    change(directory, chief, f"early@{HERE}", "set", "description", "was first")
    assert access_of(directory, early).permissions == {"individual-get"}


def test_the_administrator_stays(directory: Directory, root: Access) -> None:
    directory.principals.add(new_account_id(), "admin", "hash")
    with pytest.raises(InUse):
        directory.entries.delete("admin", root)
    for field, value in (("name", f"admin@{HERE}"), ("emails", [f"x@{HERE}"])):
        with pytest.raises(BadField):
            change(directory, root, "admin", "set", field, value)
    assert change(directory, root, "admin", "set", "description", "Me").principal.admin


@pytest.mark.parametrize(
    ("type", "name", "fields", "wrong"),
    [
        ("individual", "alice", {}, "name"),
        ("individual", f"alice@{HERE}", {"members": (f"b@{HERE}",)}, "members"),
        ("individual", f"alice@{HERE}", {"expires": 2_000_000_000}, "expires"),
        ("individual", f"alice@{HERE}", {"enabled_permissions": ("individual-lst",)}, "enabledPermissions"),
        ("individual", f"alice@{HERE}", {"emails": ("nobody",)}, "emails"),
        ("individual", f"alice@{HERE}", {"quota": -1}, "quota"),
        ("individual", f"alice@{HERE}", {"description": "a\nb"}, "description"),
        ("group", f"staff@{HERE}", {"roles": ("admin",)}, "roles"),
        ("group", "staff", {}, "name"),
        ("list", f"news@{HERE}", {"quota": 5}, "quota"),
        ("role", f"help@{HERE}", {}, "name"),
        ("role", "r", {"roles": ("nobody",)}, "roles"),
        ("apiKey", "a key", {}, "name"),
        ("apiKey", "key", {"networks": ("192.0.2.1/33",)}, "allowedNetworks"),
        ("apiKey", "key", {"emails": (f"k@{HERE}",)}, "emails"),
    ],
)
def test_bad_fields_are_named(
    directory: Directory, root: Access, type: Any, name: str, fields: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(BadField) as caught:
        make(directory, root, type, name, **fields)
    assert caught.value.field == wrong
    assert directory.entries.page(root, ("individual", "group", "list", "role", "apiKey"))[1] == 0


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (Change("set", "type", "group"), "type"),
        (Change("set", "admin", True), "admin"),
        (Change("set", "members", []), "members"),
        (Change("addItem", "description", "x"), "description"),
        (Change("set", "disabled", "yes"), "disabled"),
        (Change("set", "quota", True), "quota"),
        (Change("set", "emails", [1]), "emails"),
    ],
)
def test_bad_changes_are_named(directory: Directory, root: Access, step: Change, wrong: str) -> None:
    make(directory, root, "individual", f"alice@{HERE}")
    with pytest.raises(BadField) as caught:
        directory.entries.update(f"alice@{HERE}", [step], root)
    assert caught.value.field == wrong


def test_items_come_and_go(directory: Directory, root: Access) -> None:
    make(directory, root, "individual", f"alice@{HERE}", roles=("tenant-admin",))
    assert directory.entries.find(f"alice@{HERE}", root).draft.roles == ("domain-admin",)
    assert change(directory, root, f"alice@{HERE}", "removeItem", "roles", "tenant-admin").draft.roles == ()
    for _ in range(2):
        assert change(directory, root, f"alice@{HERE}", "addItem", "emails", f"B@{HERE}").draft.emails == (f"b@{HERE}",)
    for _ in range(2):
        assert change(directory, root, f"alice@{HERE}", "removeItem", "emails", f"B@{HERE}").draft.emails == ()
    assert change(directory, root, f"alice@{HERE}", "set", "quota", 0).draft.quota is None
    make(directory, root, "apiKey", "key", networks=("192.0.2.7", "2001:DB8::/32"))
    assert change(directory, root, "key", "removeItem", "allowedNetworks", "192.0.2.7").draft.networks == (
        "2001:db8::/32",
    )
    assert change(directory, root, "key", "removeItem", "allowedNetworks", ["2001:db8:0::/32"]).draft.networks == ()
    change(directory, root, "key", "set", "allowedNetworks", None)
    assert change(directory, root, "key", "removeItem", "allowedNetworks", "192.0.2.7").draft.networks is None


def test_a_domain_with_addresses_stays(directory: Directory, root: Access) -> None:
    make(directory, root, "individual", f"alice@{HERE}", emails=(f"alice@{THERE}",))
    with pytest.raises(InUse):
        directory.domains.delete(THERE)


def test_rights_that_are_taken_win(directory: Directory, root: Access) -> None:
    roles = {"r1": Rights(("r2",), frozenset({"backup"})), "r2": Rights((), frozenset(), frozenset({"logs-view"}))}
    assert effective(Rights(("admin", "r1")), roles) == ROLES["admin"] - {"logs-view"}
    assert effective(Rights(("missing",)), roles) == frozenset()
    assert effective(Rights((), frozenset({"principal-get"}), frozenset({"group-get"})), {}) >= {"individual-get"}
    assert "group-get" not in effective(Rights((), frozenset({"principal-get"}), frozenset({"group-get"})), {})
    assert effective(Rights((), frozenset({"of-a-newer-version"})), {}) == frozenset()


def test_beyond_looks_at_both_sides(directory: Directory, root: Access) -> None:
    mine = replace(root, permissions=frozenset({"individual-get"}))
    assert beyond(mine, frozenset(), frozenset({"individual-get", "authenticate"})) == frozenset()
    assert beyond(mine, frozenset({"backup"}), frozenset()) == {"backup"}
    assert beyond(mine, frozenset(), frozenset({"backup"})) == {"backup"}


def test_access_follows_every_change(
    directory: Directory, open_directory: Callable[[], Directory], root: Access
) -> None:
    alice = make(directory, root, "individual", f"alice@{HERE}", roles=("user",)).principal
    other = open_directory()
    assert other.authority.access_of(alice).permissions == ROLES["user"]
    change(directory, root, alice.name, "set", "roles", ["domain-admin"])
    assert other.authority.access_of(alice).permissions == ROLES["domain-admin"]
    assert other.authority.access_of(alice).domain == HERE
    assert other.authority.access_of(alice).reaches(HERE)
    assert not other.authority.access_of(alice).reaches(None)
    change(directory, root, alice.name, "set", "disabled", True)
    assert other.authority.access_of(alice).permissions == frozenset()
    directory.entries.delete(alice.name, root)
    assert other.authority.access_of(alice).permissions == frozenset()


def test_scopes_cut_permissions(directory: Directory, root: Access) -> None:
    boss = make(directory, root, "individual", f"boss@{HERE}", roles=("admin",)).principal

    def within(kind: Any, *scopes: str) -> Access:
        return directory.authority.access_of(replace(boss, grant=Grant(kind, scopes=frozenset(scopes))))

    assert within("oauth", "urn:ietf:params:jmap:mail").permissions == {"authenticate", "authenticate-oauth"}
    account = within("oauth", "urn:flaskmail:account")
    assert account.permissions == ROLES["user"]
    assert account.domain == HERE
    management = within("oauth", "urn:flaskmail:management")
    assert management.permissions == PERMISSIONS.keys() - {"manage-passwords"}
    assert management.domain is None
    assert within("oauth", "urn:flaskmail:management", "urn:flaskmail:account").permissions == set(PERMISSIONS)
    app = directory.authority.access_of(replace(boss, grant=Grant("app-password")))
    assert app.permissions == {"authenticate", "authenticate-oauth"}


def test_a_key_of_a_domain_stays_there(directory: Directory, root: Access) -> None:
    key = access_of(directory, make(directory, root, "apiKey", "key", domain=HERE, roles=("admin",)))
    assert (key.domain, key.reaches(THERE), key.reaches(None)) == (HERE, False, False)
    # Nor what reaches every domain without being asked about one.
    assert (key.may("individual-create"), key.may("storage-verify")) == (True, True)
    for permission in (
        "settings-update",
        "settings-list",
        "logs-view",
        "policy-explain",
        "backup",
        "oauth-client-create",
    ):
        assert not key.may(permission)
        assert "which no API key of a domain has" in key.lacking(permission).detail
    assert key.lacking("individual-get").detail == "This needs the permission individual-get."
    for given in ({"roles": ("admin",)}, {"enabled_permissions": ("all-domains",)}):
        with pytest.raises(Exceeds):
            make(directory, key, "individual", f"x@{HERE}", **given)
    everywhere = access_of(directory, make(directory, root, "apiKey", "key", roles=("admin",)))
    assert everywhere.reaches(THERE)


def test_who_has_no_domain_reaches_nothing(directory: Directory, root: Access) -> None:
    key = access_of(directory, make(directory, root, "apiKey", "key", enabled_permissions=("individual-list",)))
    assert not key.reaches(None)
    assert not key.reaches(HERE)
    assert directory.entries.page(key, ("individual", "apiKey")) == ([], 0)
