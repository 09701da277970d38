"""Principals over the API, in the shapes of the old one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from flaskmail.accounts.housekeeping import remove_expired
from flaskmail.accounts.permissions import PERMISSIONS, ROLES
from flaskmail.hookspecs import Denied, hookimpl
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

from .conftest import Manager, Said

HERE, THERE = "example.org", "example.net"
QUIET = "[server.http.rate-limit]\nanonymous = false\naccount = false\n"


def refused(said: Said, status: int, **members: Any) -> dict[str, Any]:
    assert said.status == status, (said.status, said.json)
    found: dict[str, Any] = said.json
    assert found["status"] == status
    for name, value in members.items():
        assert found[name] == value, found
    return found


@pytest.fixture
def root(admin: Manager) -> Manager:
    """The administrator, with two domains."""
    for name in (HERE, THERE):
        admin("POST", "/domain", {"name": name}).data  # noqa: B018 - asserts
    return admin


def person(root: Manager, name: str, *roles: str, **members: Any) -> Manager:
    body = {"type": "individual", "name": name, "secrets": [PASSWORD], **members}
    root("POST", "/principal", body | ({"roles": list(roles)} if roles else {})).data  # noqa: B018 - asserts
    return Manager(root.made, basic(name))


def key(root: Manager, name: str, *permissions: str, **members: Any) -> Manager:
    body = {"type": "apiKey", "name": name, "enabledPermissions": list(permissions), **members}
    made = root("POST", "/principal", body).data
    assert made["name"] == name
    return Manager(root.made, f"Bearer {made['secret']}")


def test_an_individual_is_made_seen_changed_and_deleted(root: Manager) -> None:
    id = root(
        "POST",
        "/principal",
        {
            "type": "individual",
            "name": f"Alice@{HERE}",
            "description": "Alice",
            "quota": 1000,
            "secrets": [PASSWORD],
            "emails": [f"alice@{HERE}", f"a@{HERE}"],
            "roles": ["user"],
        },
    ).data
    found = root("GET", f"/principal/alice@{HERE}").data
    assert {name: found[name] for name in ("id", "type", "name", "description", "quota", "emails", "roles")} == {
        "id": id,
        "type": "individual",
        "name": f"alice@{HERE}",
        "description": "Alice",
        "quota": 1000,
        "emails": [f"alice@{HERE}", f"a@{HERE}"],
        "roles": ["user"],
    }
    assert found["usedQuota"] >= 0
    assert found["memberOf"] == found["lists"] == found["members"] == found["urls"] == []
    assert not {"secrets", "password", "expires", "allowedNetworks"} & found.keys()
    # The account is whole: it has a mailbox, and its owner may sign in.
    assert root.made.jmap(f"alice@{HERE}").call("Mailbox/get")["list"]
    steps = [
        {"action": "set", "field": "description", "value": "Alice Smith"},
        {"action": "addItem", "field": "emails", "value": f"smith@{HERE}"},
        {"action": "removeItem", "field": "emails", "value": f"a@{HERE}"},
        {"action": "set", "field": "quota", "value": 0},
    ]
    assert root("PATCH", f"/principal/{id}", steps).data is None
    found = root("GET", f"/principal/{id}").data
    assert (found["description"], found["quota"]) == ("Alice Smith", 0)
    assert found["emails"] == [f"alice@{HERE}", f"smith@{HERE}"]
    assert root("DELETE", f"/principal/alice@{HERE}").data is None
    refused(root("GET", f"/principal/{id}"), 404, error="notFound", item=id)
    refused(root("DELETE", f"/principal/alice@{HERE}"), 404)
    assert Manager(root.made, basic(f"alice@{HERE}"))("GET", "/whoami").status == 401


def test_an_account_that_is_made_again_is_another(root: Manager) -> None:
    person(root, f"alice@{HERE}")
    before = root.made.jmap(f"alice@{HERE}")
    blob, id = before.upload(b"old mail"), before.id
    _, token = root.made.server.directory.tokens.create(root.made.server.directory.principals.get(f"alice@{HERE}"))
    root("DELETE", f"/principal/alice@{HERE}").data  # noqa: B018 - asserts
    person(root, f"alice@{HERE}")
    after = root.made.jmap(f"alice@{HERE}")
    assert after.id != id
    assert after.http("GET", f"/jmap/download/{id}/{blob}/x").status == 404
    assert after.http("GET", f"/jmap/download/{after.id}/{blob}/x").status == 404
    assert Manager(root.made, f"Bearer {token}")("GET", "/whoami").status == 401


def test_a_list_in_pages(root: Manager) -> None:
    for number in range(4):
        person(root, f"user{number}@{HERE}", description="A person" if number else "Nobody")
    root("POST", "/principal", {"type": "group", "name": f"staff@{HERE}", "members": [f"user1@{HERE}"]}).data  # noqa: B018
    everything = root("GET", "/principal").data
    assert [one["name"].partition("@")[0] for one in everything["items"]] == [
        THERE,
        HERE,
        "admin",
        "staff",
        "user0",
        "user1",
        "user2",
        "user3",
    ]
    assert everything["total"] == 8
    for page, names in (
        (1, [THERE, HERE, "admin"]),
        (2, ["staff", "user0", "user1"]),
        (3, ["user2", "user3"]),
        (4, []),
    ):
        found = root("GET", "/principal", page=page, limit=3).data
        assert [one["name"].partition("@")[0] for one in found["items"]] == names
        assert found["total"] == 8
    found = root("GET", "/principal", types="individual,group", filter="PERSON", fields="description,members").data
    assert found["total"] == 3
    assert found["items"][0].keys() == {"id", "type", "name", "description", "members"}
    assert root("GET", "/principal", types="individual", count="true").data == {"items": [], "total": 5}
    assert root("GET", "/principal", types="role").data == {"items": [], "total": 0}
    refused(root("GET", "/principal", types="tenant"), 400, error="other")
    refused(root("GET", "/principal", fields="secrets"), 400, member="fields")
    refused(root("GET", "/principal", fields=""), 400, member="fields")
    refused(root("GET", "/principal", fields="quota,"), 400, member="fields")


def test_groups_lists_roles_and_their_relations(root: Manager) -> None:
    person(root, f"alice@{HERE}")
    root("POST", "/principal", {"type": "group", "name": f"staff@{HERE}", "members": f"alice@{HERE}"}).data  # noqa: B018
    root(  # noqa: B018 - asserts
        "POST",
        "/principal",
        {
            "type": "list",
            "name": f"news@{HERE}",
            "members": [f"staff@{HERE}"],
            "externalMembers": ["x@elsewhere.example"],
        },
    ).data
    body = {"type": "role", "name": "helpdesk", "enabledPermissions": ["individual-list", "individual-get"]}
    root("POST", "/principal", body).data  # noqa: B018 - asserts
    alice = Manager(root.made, basic(f"alice@{HERE}"))
    refused(alice("GET", "/principal"), 403, permission="individual-list")
    root("PATCH", f"/principal/alice@{HERE}", [{"action": "addItem", "field": "roles", "value": "helpdesk"}]).data  # noqa: B018
    found = alice("GET", "/principal").data
    assert {one["type"] for one in found["items"]} == {"individual"}
    assert alice("GET", f"/principal/alice@{HERE}").data["memberOf"] == [f"staff@{HERE}"]
    refused(alice("GET", "/principal", types="individual,group"), 403, permission="group-list")
    refused(alice("GET", f"/principal/staff@{HERE}"), 403, permission="group-get")
    assert root("GET", f"/principal/staff@{HERE}").data["lists"] == [f"news@{HERE}"]
    refused(root("DELETE", "/principal/helpdesk"), 409)


def test_domains_are_principals_too(root: Manager) -> None:
    assert (
        root("POST", "/principal", {"type": "domain", "name": "third.example", "description": "3"}).data
        == "third.example"
    )
    found = root("GET", "/principal/third.example").data
    assert (found["type"], found["name"], found["description"]) == ("domain", "third.example", "3")
    root("PATCH", "/principal/third.example", [{"action": "set", "field": "description", "value": "III"}]).data  # noqa: B018
    assert root("GET", "/principal", types="domain", filter="iii").data["total"] == 1
    step = {"action": "set", "field": "name", "value": "x.example"}
    described = {"action": "set", "field": "description", "value": "IV"}
    refused(root("PATCH", "/principal/third.example", [described, step]), 409, member="name")
    assert root("GET", "/principal/third.example").data["description"] == "III"
    refused(root("POST", "/principal", {"type": "domain", "name": "x.example", "quota": 5}), 400, member="quota")
    root("DELETE", "/principal/third.example").data  # noqa: B018 - asserts
    refused(root("GET", "/principal/third.example"), 404, error="notFound")


def test_a_key_is_shown_once_and_ends_at_once(root: Manager) -> None:
    reader = key(
        root,
        "reader",
        "individual-list",
        "all-domains",
        allowedNetworks=["127.0.0.0/8"],
        expires="2099-01-01T00:00:00Z",
    )
    assert reader("GET", "/principal", types="individual").data["total"] == 1
    assert reader("GET", "/whoami").data["credential"]["kind"] == "api-key"
    refused(reader("DELETE", "/principal/admin"), 403)
    found = root("GET", "/principal/reader").data
    assert found["expires"] == "2099-01-01T00:00:00Z"
    assert found["allowedNetworks"] == ["127.0.0.0/8"]
    assert found["lastUsed"] is not None
    assert "secret" not in found
    # It has no mail, and no account of its own to look after.
    assert (
        root.made.send("GET", "/jmap/session", {"Authorization": reader.authorization or ""}, b"").json()["accounts"]
        == {}
    )
    refused(key(root, "own", "manage-passwords")("GET", "/account/auth"), 403)
    root("PATCH", "/principal/reader", [{"action": "set", "field": "allowedNetworks", "value": ["192.0.2.0/24"]}]).data  # noqa: B018
    assert reader("GET", "/whoami").status == 401
    root("PATCH", "/principal/reader", [{"action": "set", "field": "allowedNetworks", "value": None}]).data  # noqa: B018
    assert reader("GET", "/whoami").status == 200
    root("DELETE", "/principal/reader").data  # noqa: B018 - asserts
    assert reader("GET", "/whoami").status == 401


def test_a_password_is_reset(root: Manager) -> None:
    alice = person(root, f"alice@{HERE}")
    assert alice("GET", "/whoami").status == 200
    for step in ({"action": "set", "value": ["another password"]}, {"action": "addItem", "value": "another password"}):
        assert root("PATCH", f"/principal/alice@{HERE}", [{**step, "field": "secrets"}]).data is None
        assert Manager(root.made, basic(f"alice@{HERE}", "another password"))("GET", "/whoami").status == 200
    assert alice("GET", "/whoami").status == 401
    entry = root("GET", "/audit", limit=1).data["items"][0]
    assert "another password" not in str(entry)
    for value in (["a", "b"], [], 5, "$2y$05$hash", None):
        step = {"action": "set", "field": "secrets", "value": value}
        said = refused(root("PATCH", f"/principal/alice@{HERE}", [step]), 400)
        assert said["member"] in ("secrets", "[0].value")


def test_two_domains_see_nothing_of_each_other(root: Manager) -> None:
    here, there = person(root, f"chief@{HERE}", "tenant-admin"), person(root, f"chief@{THERE}", "domain-admin")
    bob = there("POST", "/principal", {"type": "individual", "name": f"bob@{THERE}"}).data
    there("POST", "/principal", {"type": "role", "name": "role"}).data  # noqa: B018 - asserts
    its = there("POST", "/principal", {"type": "apiKey", "name": "key", "roles": ["domain-admin"]}).data
    assert {one["name"] for one in here("GET", "/principal").data["items"]} == {HERE, f"chief@{HERE}"}
    assert here("GET", "/principal", filter="bob").data["total"] == 0
    step = [{"action": "set", "field": "description", "value": "x"}]
    for name in (bob, f"bob@{THERE}", f"chief@{THERE}", THERE, "role", "key", its["id"], "admin"):
        nobody = here("GET", f"/principal/{name}")
        refused(nobody, 404, item=name)
        refused(here("PATCH", f"/principal/{name}", step), 404)
        refused(here("DELETE", f"/principal/{name}"), 404)
        refused(here("GET", f"/principal/{name}/credentials"), 404)
    # Names of one's own domain are free, whatever others call theirs; names of others are not told apart from missing ones.
    assert here("POST", "/principal", {"type": "role", "name": "role"}).data
    taken = here("POST", "/principal", {"type": "individual", "name": f"bob@{THERE}"})
    free = here("POST", "/principal", {"type": "individual", "name": f"carol@{THERE}"})
    nowhere = here("POST", "/principal", {"type": "individual", "name": "carol@nowhere.example"})
    assert {said.status for said in (taken, free, nowhere)} == {404}
    assert {said.json["detail"].replace("nowhere.example", THERE) for said in (taken, free, nowhere)} == {
        free.json["detail"]
    }
    # A key of a domain's administrator stays in that domain.
    by_key = Manager(root.made, f"Bearer {its['secret']}")
    assert {one["name"] for one in by_key("GET", "/principal", types="individual").data["items"]} == {
        f"bob@{THERE}",
        f"chief@{THERE}",
    }
    refused(by_key("GET", f"/principal/chief@{HERE}"), 404)
    # Somebody who manages the whole server may live in one of them: what he does is told to those like him.
    boss = person(root, f"boss@{HERE}", "admin")
    boss("PATCH", f"/principal/bob@{THERE}", step).data  # noqa: B018 - asserts
    actors = {one["actor"] for one in here("GET", "/audit").data["items"]}
    assert actors == {f"chief@{HERE}"}
    assert boss("GET", "/audit", actor=f"boss@{HERE}").data["total"] == 1


def test_nobody_grants_more_than_he_has(root: Manager) -> None:
    chief = person(root, f"chief@{HERE}", "domain-admin")
    person(root, f"boss@{HERE}", "admin")
    for body in (
        {"type": "individual", "name": f"x@{HERE}", "roles": ["admin"]},
        {"type": "apiKey", "name": "x", "enabledPermissions": ["settings-update"]},
        {"type": "role", "name": "x", "enabledPermissions": ["all-domains"]},
    ):
        lacking = refused(chief("POST", "/principal", body), 403)["permission"]
        assert lacking in PERMISSIONS.keys() - ROLES["domain-admin"]
    for attempt in (
        chief("PATCH", f"/principal/boss@{HERE}", [{"action": "set", "field": "secrets", "value": "taken over"}]),
        chief("DELETE", f"/principal/boss@{HERE}"),
        chief("DELETE", f"/principal/boss@{HERE}/otp"),
        chief("DELETE", f"/principal/boss@{HERE}/credentials/t0"),
        chief("PATCH", f"/principal/chief@{HERE}", [{"action": "addItem", "field": "roles", "value": "admin"}]),
    ):
        assert refused(attempt, 403)["permission"] in PERMISSIONS
    assert root.made.jmap(f"boss@{HERE}").session["username"] == f"boss@{HERE}"


def test_a_key_makes_none_that_reaches_further(root: Manager) -> None:
    roles, soon, never = ["domain-admin"], "2099-01-01T00:00:00Z", "2099-01-01T00:00:01Z"
    bound = {"domain": HERE, "roles": roles, "expires": soon, "allowedNetworks": ["127.0.0.0/8", "::1"]}
    short = key(root, "short", **bound)
    new = {"type": "apiKey", "name": "new", "roles": roles}
    for networks, until, wrong in (
        (["127.0.0.0/8"], None, "expires"),
        (["127.0.0.0/8"], never, "expires"),
        (None, soon, "allowedNetworks"),
        (["127.0.0.1", "192.0.2.1"], soon, "allowedNetworks"),
        (["126.0.0.0/7"], soon, "allowedNetworks"),
        (["::/0"], soon, "allowedNetworks"),
    ):
        limits = {"allowedNetworks": networks, "expires": until}
        refused(short("POST", "/principal", new | limits), 403, member=wrong)
        steps = [{"action": "set", "field": field, "value": value} for field, value in limits.items()]
        refused(short("PATCH", "/principal/short", steps), 403, member=wrong)
    assert short("POST", "/principal", new | {"allowedNetworks": ["127.9.0.0/16"], "expires": soon}).data
    # What it does not change may be as it is.
    key(root, "wide", domain=HERE, roles=roles)
    assert short("PATCH", "/principal/wide", [{"action": "set", "field": "description", "value": "x"}]).status == 200
    for field, value in (("expires", "2098-01-01T00:00:00Z"), ("allowedNetworks", "127.0.0.1")):
        refused(short("PATCH", "/principal/wide", [{"action": "set", "field": field, "value": value}]), 403)
        assert short("PATCH", "/principal/short", [{"action": "set", "field": field, "value": value}]).status == 200


def test_who_acts_in_no_domain_makes_nothing(root: Manager) -> None:
    lost = key(root, "lost", "api-key-create", "role-create", "individual-create")
    for kind in ("role", "apiKey"):
        refused(lost("POST", "/principal", {"type": kind, "name": "new"}), 403, permission="all-domains")
        refused(lost("POST", "/principal", {"type": kind, "name": "new", "domain": HERE}), 404)


def test_a_key_that_is_over_says_so(root: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    root("POST", "/principal", {"type": "role", "name": "reading", "enabledPermissions": ["individual-list"]}).data  # noqa: B018
    short = key(root, "short", roles=["reading"], expires="2099-01-01T00:00:00Z")
    assert short("GET", "/whoami").data["roles"] == ["reading"]
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 100 * 366 * 86400)
    assert short("GET", "/whoami").status == 401
    remove_expired(root.made.server.directory._database)
    monkeypatch.undo()
    assert root("GET", "/principal/short").data["expires"] == "2099-01-01T00:00:00Z"
    (secret,) = root("GET", "/principal/short/credentials").data["items"]
    assert root("DELETE", f"/principal/short/credentials/{secret['id']}").status == 200
    for field, value in (("expires", "2099-01-01T00:00:00Z"), ("allowedNetworks", "192.0.2.0/24")):
        refused(
            root("PATCH", "/principal/short", [{"action": "set", "field": field, "value": value}]), 409, member=field
        )
    assert root("PATCH", "/principal/short", [{"action": "set", "field": "disabled", "value": True}]).status == 200


def test_nobody_takes_the_place_of_another_by_a_name(root: Manager) -> None:
    chief = person(root, f"chief@{HERE}", "domain-admin")
    alice = root("POST", "/principal", {"type": "individual", "name": f"alice@{HERE}"}).data
    outer = root("POST", "/principal", {"type": "role", "name": "outer", "enabledPermissions": ["backup"]}).data
    made = [chief("POST", "/principal", {"type": "apiKey", "name": name}).data for name in (alice, HERE)]
    mine = chief("POST", "/principal", {"type": "role", "name": outer}).data
    more = [{"action": "addItem", "field": "enabledPermissions", "value": "logs-view"}]
    for name in (f"alice@{HERE}", alice):
        assert root("PATCH", f"/principal/{name}", more).status == 200
        assert root("GET", f"/principal/{name}").data["enabledPermissions"] == ["logs-view"]
    assert [chief("GET", f"/principal/{key['id']}").data["enabledPermissions"] for key in made] == [[], []]
    assert root("GET", f"/principal/{HERE}").data["type"] == "domain"
    assert root("PATCH", f"/principal/{alice}", [{"action": "set", "field": "roles", "value": outer}]).status == 200
    assert chief("DELETE", f"/principal/{mine}").status == 200
    assert root("DELETE", f"/principal/{alice}").status == 200
    assert chief("GET", f"/principal/{made[0]['id']}").status == 200


def test_a_bulk_is_deleted_when_that_is_confirmed(root: Manager) -> None:
    for number in range(3):
        person(root, f"temp{number}@{HERE}")
    refused(root("DELETE", "/principal", type="individual", filter="temp"), 400, member="confirm")
    assert root("DELETE", "/principal", type="individual", filter="temp", confirm="true").data == 3
    assert root("GET", "/principal", types="individual").data["total"] == 1
    # The administrator is not among what a filter finds.
    assert root("DELETE", "/principal", type="individual", confirm="true").data == 0
    refused(root("DELETE", "/principal/admin"), 409)


def test_a_bulk_is_deleted_whole_or_not_at_all(root: Manager) -> None:
    chief = person(root, f"m-chief@{HERE}", "domain-admin")
    person(root, f"a-temp@{HERE}")
    person(root, f"z-temp@{HERE}", "admin")
    refused(chief("DELETE", "/principal", type="individual", filter="-temp", confirm="true"), 403)
    root("DELETE", f"/principal/z-temp@{HERE}").data  # noqa: B018 - asserts
    refused(chief("DELETE", "/principal", type="individual", confirm="true"), 409)
    assert root("GET", "/principal", types="individual").data["total"] == 3
    root("POST", "/principal", {"type": "domain", "name": "an-empty.example"}).data  # noqa: B018
    refused(root("DELETE", "/principal", type="domain", confirm="true"), 409)
    assert root("GET", "/principal/an-empty.example").status == 200
    # A role that another one has goes with it, and not without it.
    for role in ({"name": "temp-inner"}, {"name": "temp-outer", "roles": ["temp-inner"]}):
        chief("POST", "/principal", {"type": "role", **role}).data  # noqa: B018
    refused(chief("DELETE", "/principal", type="role", filter="inner", confirm="true"), 409)
    assert chief("DELETE", "/principal", type="role", filter="temp-", confirm="true").data == 2
    assert chief("DELETE", "/principal", type="individual", filter="-temp", confirm="true").data == 1
    told = root("GET", "/audit", operation="principal.delete.all", limit=1).data["items"][0]
    assert told["change"] == {"type": "individual", "filter": "-temp", "deleted": [f"a-temp@{HERE}"]}


def test_nobody_deletes_himself(root: Manager) -> None:
    chief = person(root, f"chief@{HERE}", "domain-admin")
    refused(chief("DELETE", f"/principal/chief@{HERE}"), 409)


WRONG_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"type": "individual", "name": f"x@{HERE}", "isAdmin": True}, "isAdmin"),
    ({"type": "individual", "name": f"x@{HERE}", "admin": True}, "admin"),
    ({"type": "individual", "name": f"x@{HERE}", "id": "a1"}, "id"),
    ({"type": "individual", "name": f"x@{HERE}", "role": "admin"}, "role"),
    ({"type": "individual", "name": f"x@{HERE}", "accountId": "a1"}, "accountId"),
    ({"type": "individual", "name": "x"}, "name"),
    ({"type": "individual", "name": f"x@{HERE}", "quota": "1 GB"}, "quota"),
    ({"type": "individual", "name": f"x@{HERE}", "roles": [1]}, "roles[0]"),
    ({"type": "individual", "name": f"x@{HERE}", "expires": "2099-01-01T00:00:00Z"}, "expires"),
    ({"type": "individual", "name": f"x@{HERE}", "secrets": ["$2y$05$hash"]}, "secrets"),
    ({"type": "group", "name": f"x@{HERE}", "secrets": ["a"]}, "secrets"),
    ({"type": "apiKey", "name": "x", "secrets": ["a"]}, "secrets"),
    ({"type": "apiKey", "name": "x", "expires": "tomorrow"}, "expires"),
    ({"type": "apiKey", "name": "x", "allowedNetworks": ["here"]}, "allowedNetworks"),
    ({"type": "robot", "name": "x"}, "type"),
    ({"type": "role"}, "name"),
]


def test_wrong_bodies_are_refused_by_name(root: Manager) -> None:
    for body, member in WRONG_BODIES:
        assert refused(root("POST", "/principal", body), 400)["member"] in (member, f"{member}[0]"), body
        assert root("GET", "/principal", types="individual,group,apiKey,role").data["total"] == 1


def test_what_a_body_names_has_to_exist(root: Manager) -> None:
    for field, name in (
        ("roles", "nobody"),
        ("memberOf", f"none@{HERE}"),
        ("lists", "x"),
        ("emails", "x@nowhere.example"),
    ):
        body = {"type": "individual", "name": f"x@{HERE}", field: [name]}
        said = refused(root("POST", "/principal", body), 404, error="notFound", member=field)
        assert said["item"] in name
    refused(
        root("POST", "/principal", {"type": "group", "name": f"x@{HERE}", "members": ["nobody"]}), 404, item="nobody"
    )
    past = {"type": "apiKey", "name": "x", "expires": "2001-01-01T00:00:00Z"}
    refused(root("POST", "/principal", past), 409, member="expires")
    assert root("GET", "/principal", types="individual,group,apiKey").data["total"] == 1


def test_what_old_clients_send_empty_is_taken(root: Manager) -> None:
    empty = ("secrets", "emails", "urls", "memberOf", "lists", "members", "externalMembers", "roles")
    nothing: dict[str, Any] = {name: [] for name in (*empty, "enabledPermissions", "disabledPermissions")}
    names = {"individual": f"i@{HERE}", "group": f"g@{HERE}", "list": f"l@{HERE}", "role": "r", "apiKey": "k"}
    for type, name in names.items():
        body = {**nothing, "type": type, "name": name, "quota": 0, "description": ""}
        root("POST", "/principal", body).data  # noqa: B018 - asserts
        assert root("GET", f"/principal/{name}").data["roles"] == []
        # One text may stand for a list of one.
        root("POST", "/principal", {**body, "name": f"2{name}", "urls": ""}).data  # noqa: B018 - asserts


WRONG_STEPS: list[tuple[dict[str, Any], int, str]] = [
    ({"action": "set", "field": "admin", "value": True}, 400, "field"),
    ({"action": "set", "field": "id", "value": "a1"}, 400, "field"),
    ({"action": "set", "field": "type", "value": "role"}, 400, "field"),
    ({"action": "set", "field": "password", "value": "x"}, 400, "field"),
    ({"action": "clear", "field": "emails", "value": []}, 400, "action"),
    ({"action": "addItem", "field": "description", "value": "x"}, 400, "action"),
    ({"action": "set", "field": "emails", "value": {"a": 1}}, 400, "value"),
    ({"action": "set", "field": "disabled", "value": 1}, 400, "value"),
    ({"action": "set", "field": "disabled"}, 400, "value"),
    ({"action": "set", "field": "description", "value": "x", "more": 1}, 400, "more"),
    ({"action": "set", "field": "emails", "value": ["nobody"]}, 400, ""),
    ({"action": "set", "field": "members", "value": []}, 409, ""),
    ({"action": "set", "field": "expires", "value": None}, 409, ""),
    ({"action": "set", "field": "name", "value": "plain"}, 409, ""),
    ({"action": "set", "field": "name", "value": "alice@nowhere.example"}, 404, ""),
    ({"action": "addItem", "field": "roles", "value": "nobody"}, 404, ""),
]


def test_wrong_steps_change_nothing(root: Manager) -> None:
    person(root, f"alice@{HERE}")
    before = root("GET", f"/principal/alice@{HERE}").data
    for step, status, place in WRONG_STEPS:
        steps = [{"action": "set", "field": "description", "value": "not kept"}, step]
        wanted = f"[1].{place}" if place else step["field"]
        said = refused(root("PATCH", f"/principal/alice@{HERE}", steps), status)
        assert said.get("member", said.get("field")) == wanted, step
        assert root("GET", f"/principal/alice@{HERE}").data == before


def test_taken_names_are_conflicts(root: Manager) -> None:
    person(root, f"alice@{HERE}", emails=[f"a@{HERE}"])
    for name in (f"alice@{HERE}", f"A@{HERE}"):
        refused(root("POST", "/principal", {"type": "group", "name": name}), 409, error="fieldAlreadyExists")
    refused(root("POST", "/principal", {"type": "individual", "name": "a@nowhere.example"}), 404, error="notFound")


def test_permissions_are_listed(root: Manager) -> None:
    alice = person(root, f"alice@{HERE}")
    found = alice("GET", "/permission").data
    assert {one["name"] for one in found["permissions"]} == set(PERMISSIONS)
    assert {one["name"]: set(one["permissions"]) for one in found["roles"]} == ROLES


class Keeper:
    """Keeps one name."""

    @hookimpl
    def authorize(self, permission: str, resource: Any) -> Any:
        if permission.endswith("-delete") and resource.get("name") == f"kept@{HERE}":
            return Denied("This one is kept.")
        if resource.get("operation") == "audit.list":
            return Denied("Not from here.")
        return None


def test_plugins_may_object() -> None:
    with make_server(plugins=[Keeper()], config=QUIET) as made:
        made.server.ensure_admin()
        made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
        admin = Manager(made, basic("admin"))
        for name in ("kept", "gone"):
            made.account(f"{name}@{HERE}")
        assert admin("DELETE", f"/principal/gone@{HERE}").data is None
        refused(
            admin("DELETE", f"/principal/kept@{HERE}"), 403, permission="individual-delete", detail="This one is kept."
        )
        # By another name it is the same.
        id = made.server.directory.principals.get(f"kept@{HERE}").id
        refused(admin("DELETE", f"/principal/{id}"), 403, detail="This one is kept.")
        # Every operation asks, not only those on principals.
        refused(admin("GET", "/audit"), 403, permission="audit-list", detail="Not from here.")


def test_disabling_closes_at_once(root: Manager, made: MadeServer) -> None:
    alice = person(root, f"alice@{HERE}")
    assert alice("GET", "/whoami").status == 200
    root("PATCH", f"/principal/alice@{HERE}", [{"action": "set", "field": "disabled", "value": True}]).data  # noqa: B018
    assert alice("GET", "/whoami").status == 401
    root("PATCH", f"/principal/alice@{HERE}", [{"action": "set", "field": "disabled", "value": False}]).data  # noqa: B018
    assert alice("GET", "/whoami").status == 200
