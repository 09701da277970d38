from __future__ import annotations

from typing import Any

import pytest
from smallmail import World

from flaskmail.datatypes.mail.mailbox import RIGHTS, ROLES, mailbox_name
from flaskmail.jmap.context import Limits


def refused(world: World, sent: dict[str, Any]) -> dict[str, Any]:
    answer = world.call("Mailbox/set", create={"k": sent})
    assert answer["created"] is None
    error = answer["notCreated"]["k"]
    assert isinstance(error, dict)
    assert error["description"]
    return error


def not_updated(world: World, id: str, patch: dict[str, Any]) -> dict[str, Any]:
    answer = world.call("Mailbox/set", update={id: patch})
    assert answer["updated"] is None
    error = answer["notUpdated"][id]
    assert isinstance(error, dict)
    return error


def not_destroyed(world: World, id: str, **more: Any) -> str:
    answer = world.call("Mailbox/set", destroy=[id], **more)
    assert answer["destroyed"] is None
    return str(answer["notDestroyed"][id]["type"])


def test_a_new_account_has_six_mailboxes_with_roles(world: World) -> None:
    listed = world.call("Mailbox/get", ids=None)["list"]
    assert [m["role"] for m in listed] == ["inbox", "drafts", "sent", "archive", "junk", "trash"]
    assert [m["sortOrder"] for m in listed] == sorted({m["sortOrder"] for m in listed})
    assert all(m["isSubscribed"] and m["parentId"] is None and m["totalEmails"] == 0 for m in listed)


def test_get_answers_every_property_of_the_rfc(world: World) -> None:
    (inbox,) = world.call("Mailbox/get", ids=[world.role("inbox")])["list"]
    assert set(inbox) == {"id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails"} | {
        "totalThreads",
        "unreadThreads",
        "myRights",
        "isSubscribed",
    }
    assert set(inbox["myRights"]) == set(RIGHTS)


def test_the_owner_may_everything_but_destroy_the_inbox(world: World) -> None:
    listed = world.call("Mailbox/get", ids=None, properties=["myRights"])["list"]
    assert all(set(m) == {"id", "myRights"} for m in listed)
    assert [m["id"] for m in listed if not all(m["myRights"].values())] == [world.role("inbox")]
    assert listed[0]["myRights"] == dict.fromkeys(RIGHTS, True) | {"mayDelete": False}


def test_in_a_read_only_account_one_may_only_read() -> None:
    world = World(read_only=True)
    (inbox,) = world.call("Mailbox/get", ids=[world.role("inbox")])["list"]
    assert inbox["myRights"] == dict.fromkeys(RIGHTS, False) | {"mayReadItems": True}


def test_create_tells_what_the_client_did_not_send(world: World) -> None:
    created = world.call("Mailbox/set", create={"k": {"name": "Work"}})["created"]["k"]
    assert created["totalEmails"] == created["unreadThreads"] == created["sortOrder"] == 0
    assert created["isSubscribed"] is True
    assert created["parentId"] is created["role"] is None
    assert created["myRights"] == dict.fromkeys(RIGHTS, True)


@pytest.mark.parametrize(
    "name",
    ["", " \u3000", "a\nb", "a\x00b", "a\x7fb", "a\x85b", "a\u2028b", "\ud800", "e\u0301", 5, None, ["a"]],
)
def test_names_that_are_no_net_unicode_are_refused(world: World, name: Any) -> None:
    error = refused(world, {"name": name})
    assert error["type"] == "invalidProperties"
    assert error["properties"] == ["name"]


@pytest.mark.parametrize("name", ["a", "Ünïcode", "収信箱", "a/b", "\U0001f4e5", " x "])
def test_other_names_are_right(name: str) -> None:
    assert mailbox_name(name) is None


def test_the_size_of_a_name_is_counted_in_octets(world: World) -> None:
    world.mailbox("é" * 127)
    error = refused(world, {"name": "é" * 128})
    assert error["type"] == "invalidProperties"
    assert error["properties"] == ["name"]
    assert "256" in error["description"]


def test_siblings_differ_in_name(world: World) -> None:
    first = world.mailbox("Work")
    error = refused(world, {"name": "Work"})
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    below = world.mailbox("Work", first)
    assert refused(world, {"name": "Work", "parentId": first})["existingId"] == below
    other = world.mailbox("work")
    assert not_updated(world, other, {"name": "Work"}) | {"description": ""} == {
        "type": "alreadyExists",
        "description": "",
        "existingId": first,
    }
    assert not_updated(world, below, {"parentId": None})["type"] == "alreadyExists"


def test_a_name_may_stay_as_it_is(world: World) -> None:
    id = world.mailbox("Work")
    answer = world.call("Mailbox/set", update={id: {"name": "Work", "sortOrder": 3}})
    assert answer["updated"] == {id: None}


def test_two_names_are_swapped_in_one_call(world: World) -> None:
    one, two = world.mailbox("One"), world.mailbox("Two")
    answer = world.call("Mailbox/set", update={one: {"name": "Two"}, two: {"name": "One"}})
    assert answer["notUpdated"] is None
    names = {m["id"]: m["name"] for m in world.call("Mailbox/get", ids=[one, two])["list"]}
    assert names == {one: "Two", two: "One"}


def test_a_mailbox_and_what_is_below_it_change_places(world: World) -> None:
    top = world.mailbox("Top")
    below = world.mailbox("Below", top)
    answer = world.call("Mailbox/set", update={top: {"parentId": below}, below: {"parentId": None}})
    assert answer["notUpdated"] is None
    parents = {m["id"]: m["parentId"] for m in world.call("Mailbox/get", ids=[top, below])["list"]}
    assert parents == {top: below, below: None}


def test_a_parent_may_be_made_in_the_same_call(world: World) -> None:
    create = {"p": {"name": "P"}, "c": {"name": "C", "parentId": "#p"}}
    created = world.call("Mailbox/set", create=create)["created"]
    (child,) = world.call("Mailbox/get", ids=[created["c"]["id"]])["list"]
    assert child["parentId"] == created["p"]["id"]


def test_the_parent_must_be_there(world: World) -> None:
    error = refused(world, {"name": "x", "parentId": "nowhere"})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["parentId"])


def test_there_is_no_loop(world: World) -> None:
    a = world.mailbox("a")
    b = world.mailbox("b", a)
    c = world.mailbox("c", b)
    for parent in (a, b, c):
        error = not_updated(world, a, {"parentId": parent})
        assert (error["type"], error["properties"]) == ("invalidProperties", ["parentId"])


def test_the_depth_is_limited_for_a_mailbox_and_all_below_it() -> None:
    world = World(Limits(maxMailboxDepth=3))
    a = world.mailbox("a")
    b = world.mailbox("b", a)
    c = world.mailbox("c", b)
    assert refused(world, {"name": "d", "parentId": c})["properties"] == ["parentId"]
    top = world.mailbox("top")
    assert not_updated(world, a, {"parentId": top})["properties"] == ["parentId"]
    answer = world.call("Mailbox/set", update={b: {"parentId": top}})
    assert answer["notUpdated"] is None


def test_a_role_is_there_once(world: World) -> None:
    for role in ROLES:
        if role in ("inbox", "drafts", "sent", "archive", "junk", "trash"):
            error = refused(world, {"name": "x", "role": role})
            assert (error["type"], error["properties"]) == ("invalidProperties", ["role"])
        else:
            world.mailbox(f"The {role}", role=role)
    assert refused(world, {"name": "x", "role": "Inbox"})["properties"] == ["role"]
    assert refused(world, {"name": "x", "role": "nonsense"})["properties"] == ["role"]


def test_the_inbox_stays_the_inbox(world: World) -> None:
    inbox = world.role("inbox")
    assert not_updated(world, inbox, {"role": None})["type"] == "forbidden"
    assert not_destroyed(world, inbox, onDestroyRemoveEmails=True) == "forbidden"
    assert world.call("Mailbox/set", update={inbox: {"name": "Post"}})["updated"] == {inbox: None}


@pytest.mark.parametrize("order", [-1, 2**31, 1.5, "1", None, True])
def test_sort_order_is_below_two_to_the_31(world: World, order: Any) -> None:
    assert refused(world, {"name": "x", "sortOrder": order})["properties"] == ["sortOrder"]


def test_counters_and_rights_are_the_servers(world: World) -> None:
    error = refused(world, {"name": "x", "totalEmails": 0, "myRights": {}})
    assert set(error["properties"]) == {"totalEmails", "myRights"}
    id = world.mailbox("x")
    assert not_updated(world, id, {"unreadEmails": 3})["properties"] == ["unreadEmails"]
    (sent_back,) = world.call("Mailbox/get", ids=[id])["list"]
    assert world.call("Mailbox/set", update={id: sent_back})["updated"] == {id: None}


def test_a_mailbox_with_a_child_stays_and_so_do_its_emails(world: World) -> None:
    top = world.mailbox("top")
    child = world.mailbox("child", top)
    email = world.email(top)
    assert not_destroyed(world, top) == "mailboxHasChild"
    assert not_destroyed(world, top, onDestroyRemoveEmails=True) == "mailboxHasChild"
    assert world.call("Email/get", ids=[email])["notFound"] == []
    assert world.call("Mailbox/get", ids=[child])["notFound"] == []


def test_a_parent_and_its_child_go_in_one_call_in_any_order(world: World) -> None:
    for order in (1, -1):
        top = world.mailbox("top")
        child = world.mailbox("child", top)
        answer = world.call("Mailbox/set", destroy=[top, child][::order])
        assert sorted(answer["destroyed"]) == sorted([top, child])


def test_a_mailbox_with_emails_stays_unless_they_are_to_be_removed(world: World) -> None:
    inbox, folder = world.role("inbox"), world.mailbox("folder")
    only, both, other = world.email(folder, thread="t1"), world.email(folder, inbox, thread="t1"), world.email(inbox)
    assert not_destroyed(world, folder) == "mailboxHasEmail"
    assert not_destroyed(world, folder, onDestroyRemoveEmails=False) == "mailboxHasEmail"
    state = world.call("Email/get", ids=[])["state"]
    answer = world.call("Mailbox/set", destroy=[folder], onDestroyRemoveEmails=True)
    assert answer["destroyed"] == [folder]
    assert answer["newState"] == world.call("Mailbox/get", ids=[])["state"]
    changes = world.call("Email/changes", sinceState=state)
    assert (changes["destroyed"], changes["updated"]) == ([only], [both])
    (left,) = world.call("Email/get", ids=[both], properties=["mailboxIds"])["list"]
    assert left["mailboxIds"] == {inbox: True}
    assert world.counts(inbox) == (2, 2, 2, 2)
    assert world.call("Email/get", ids=[other])["notFound"] == []
    assert world.sound()


def test_changes_say_when_only_counters_changed(world: World) -> None:
    inbox = world.role("inbox")
    state = world.call("Mailbox/get", ids=[])["state"]
    assert world.call("Mailbox/changes", sinceState=state)["updatedProperties"] is None
    world.email(inbox)
    changes = world.call("Mailbox/changes", sinceState=state)
    assert changes["updated"] == [inbox]
    assert changes["updatedProperties"] == ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
    world.call("Mailbox/set", update={inbox: {"sortOrder": 99}})
    assert world.call("Mailbox/changes", sinceState=state)["updatedProperties"] is None


def test_filters(world: World) -> None:
    top = world.mailbox("Größe", isSubscribed=False)
    child = world.mailbox("Sub", top)

    def found(**condition: Any) -> set[str]:
        return set(world.call("Mailbox/query", filter=condition)["ids"])

    everything = found()
    assert found(parentId=top) == {child}
    assert found(parentId=None) == everything - {child}
    assert found(name="GRÖ") == {top}
    assert found(name="nowhere") == set()
    assert found(role="trash") == {world.role("trash")}
    assert found(role=None) == found(hasAnyRole=False) == {top, child}
    assert found(hasAnyRole=True) == everything - {top, child}
    assert found(isSubscribed=False) == {top}
    assert found(isSubscribed=True, hasAnyRole=False) == {child}


def forest(world: World) -> dict[str, str]:
    ids = {
        "b": world.mailbox("b", sortOrder=1),
        "a": world.mailbox("a", sortOrder=2),
        "c": world.mailbox("c", sortOrder=3),
    }
    ids["b/z"] = world.mailbox("z", ids["b"], sortOrder=9)
    ids["b/y"] = world.mailbox("y", ids["b"], sortOrder=0)
    ids["a/x"] = world.mailbox("x", ids["a"], sortOrder=0, isSubscribed=False)
    ids["a/x/w"] = world.mailbox("w", ids["a/x"], sortOrder=0)
    return ids


def names_of(world: World, ids: dict[str, str], **arguments: Any) -> list[str]:
    names = {id: name for name, id in ids.items()}
    return [names[id] for id in world.call("Mailbox/query", **arguments)["ids"] if id in names]


BY_NAME = [{"property": "name", "isAscending": True}]
BY_ORDER = [{"property": "sortOrder"}, {"property": "name"}]


def test_sorting(world: World) -> None:
    ids = forest(world)
    assert names_of(world, ids, sort=BY_NAME) == ["a", "b", "c", "a/x/w", "a/x", "b/y", "b/z"]
    assert names_of(world, ids, sort=BY_ORDER) == ["a/x/w", "a/x", "b/y", "b", "a", "c", "b/z"]


def test_sort_as_tree(world: World) -> None:
    ids = forest(world)
    in_order = names_of(world, ids, sort=BY_ORDER, sortAsTree=True)
    assert in_order == ["b", "b/y", "b/z", "a", "a/x", "a/x/w", "c"]
    down = [{"property": "name", "isAscending": False}]
    assert names_of(world, ids, sort=down, sortAsTree=True) == ["c", "b", "b/z", "b/y", "a", "a/x", "a/x/w"]


def test_sort_as_tree_compares_ancestors_that_the_filter_left_out(world: World) -> None:
    ids = forest(world)
    leaves = {"operator": "OR", "conditions": [{"name": "w"}, {"name": "y"}, {"name": "z"}]}
    found = names_of(world, ids, filter=leaves, sort=BY_ORDER, sortAsTree=True)
    assert found == ["b/y", "b/z", "a/x/w"]


def test_filter_as_tree_wants_all_ancestors(world: World) -> None:
    ids = forest(world)
    wanted = {"isSubscribed": True}
    flat = names_of(world, ids, filter=wanted, sort=BY_NAME)
    assert flat == ["a", "b", "c", "a/x/w", "b/y", "b/z"]
    assert names_of(world, ids, filter=wanted, sort=BY_NAME, filterAsTree=True) == ["a", "b", "c", "b/y", "b/z"]
    whole = world.call(
        "Mailbox/query", filter=wanted, sort=BY_NAME, filterAsTree=True, sortAsTree=True, calculateTotal=True
    )
    assert whole["total"] == len(whole["ids"]) == 11
    part = world.call(
        "Mailbox/query", filter=wanted, sort=BY_NAME, filterAsTree=True, sortAsTree=True, position=2, limit=3
    )
    assert part["ids"] == whole["ids"][2:5]


def test_query_changes_follow_a_new_mailbox(world: World) -> None:
    state = world.call("Mailbox/query", sort=BY_NAME)["queryState"]
    id = world.mailbox("Aardvark")
    changes = world.call("Mailbox/queryChanges", sort=BY_NAME, sinceQueryState=state)
    assert changes["added"] == [{"id": id, "index": 0}]


# ---- RFC 8620 section 5.3: whoever knows oldState knows newState with this response


def test_a_set_tells_the_counters_that_it_moves_elsewhere(world: World) -> None:
    inbox, trash, mailbox = world.role("inbox"), world.role("trash"), world.mailbox("m")
    world.email(inbox, thread="t1", keywords=["$seen"])
    world.email(mailbox, thread="t1")
    role = world.call("Mailbox/set", update={trash: {"role": None}, mailbox: {"role": "trash"}})
    assert role["updated"] == {trash: None, mailbox: None, inbox: {"unreadThreads": 0}}
    back = world.call("Mailbox/set", update={mailbox: {"role": None}, trash: {"role": "trash"}})
    assert back["updated"] == {trash: None, mailbox: None, inbox: {"unreadThreads": 1}}
    gone = world.call("Mailbox/set", destroy=[mailbox], onDestroyRemoveEmails=True)
    assert (gone["updated"], gone["destroyed"]) == ({inbox: {"unreadThreads": 0}}, [mailbox])
    told = world.call("Mailbox/changes", sinceState=gone["oldState"])
    assert (told["updated"], told["destroyed"], told["newState"]) == ([inbox], [mailbox], gone["newState"])
    assert world.sound()


def test_a_set_tells_the_counters_of_what_it_updates(world: World) -> None:
    inbox, trash, mailbox = world.role("inbox"), world.role("trash"), world.mailbox("m")
    world.email(inbox, thread="t1", keywords=["$seen"])
    world.email(mailbox, thread="t1", keywords=["$seen"])
    world.email(inbox, thread="t1")
    assert world.counts(mailbox) == (1, 0, 1, 1)
    answer = world.call("Mailbox/set", update={trash: {"role": None}, mailbox: {"role": "trash", "sortOrder": 5}})
    assert answer["updated"] == {trash: None, mailbox: {"unreadThreads": 0}}
    assert world.counts(mailbox) == (1, 0, 1, 0)


def test_a_mailbox_is_replaced_with_what_lies_below_it(world: World) -> None:
    old, child = world.mailbox("Lists", role="memos"), world.mailbox("Other")
    answer = world.call(
        "Mailbox/set",
        create={"sub": {"name": "Sub", "parentId": "#new"}, "new": {"name": "Lists", "role": "memos"}},
        update={child: {"parentId": "#new"}},
        destroy=[old],
    )
    assert (answer["notCreated"], answer["notUpdated"], answer["notDestroyed"]) == (None, None, None)
    new, sub = answer["created"]["new"]["id"], answer["created"]["sub"]["id"]
    listed = world.call("Mailbox/get", ids=[child, sub], properties=["parentId"])["list"]
    assert [mailbox["parentId"] for mailbox in listed] == [new, new]
