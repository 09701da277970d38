from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smallmail import ACCOUNT, World

from flaskmail.datatypes.mail import counters


def test_an_email_is_counted_in_each_of_its_mailboxes(world: World) -> None:
    inbox, archive = world.role("inbox"), world.role("archive")
    world.email(inbox, archive)
    assert world.counts(inbox) == world.counts(archive) == (1, 1, 1, 1)


@pytest.mark.parametrize("keyword", ["$seen", "$draft"])
def test_seen_and_drafts_are_not_unread(world: World, keyword: str) -> None:
    inbox = world.role("inbox")
    world.email(inbox, keywords=[keyword])
    assert world.counts(inbox) == (1, 0, 1, 0)


def test_the_unread_email_of_a_thread_need_not_be_in_the_mailbox(world: World) -> None:
    inbox, archive = world.role("inbox"), world.role("archive")
    world.email(inbox, thread="t1", keywords=["$seen"])
    world.email(archive, thread="t1")
    assert world.counts(inbox) == (1, 0, 1, 1)


def test_the_example_of_rfc_8621_section_2(world: World) -> None:
    inbox, trash = world.role("inbox"), world.role("trash")
    world.email(trash, thread="t1")
    world.email(inbox, thread="t1", keywords=["$seen"])
    assert world.counts(trash)[3] == 1
    assert world.counts(inbox)[3] == 0


def test_the_trash_ignores_unread_emails_that_are_elsewhere(world: World) -> None:
    inbox, trash = world.role("inbox"), world.role("trash")
    world.email(inbox, thread="t1")
    world.email(trash, thread="t1", keywords=["$seen"])
    assert world.counts(trash) == (1, 0, 1, 0)
    assert world.counts(inbox) == (1, 1, 1, 1)


def test_an_email_in_the_trash_and_elsewhere_counts_in_both(world: World) -> None:
    inbox, trash = world.role("inbox"), world.role("trash")
    world.email(inbox, trash, thread="t1")
    assert world.counts(trash) == world.counts(inbox) == (1, 1, 1, 1)


def test_fifty_updates_in_one_call_write_the_mailbox_once(world: World) -> None:
    inbox = world.role("inbox")
    ids = [world.email(inbox) for _ in range(50)]
    before = int(world.call("Mailbox/get", ids=[])["state"])
    answer = world.call("Email/set", update={id: {"keywords/$seen": True} for id in ids})
    assert answer["notUpdated"] is None
    # Each change takes a number of its own: the mailbox took one after the last email.
    assert world.call("Mailbox/get", ids=[])["state"] == str(int(answer["newState"]) + 1)
    assert world.counts(inbox) == (50, 0, 50, 0)
    changes = world.call("Mailbox/changes", sinceState=str(before))
    assert changes["updated"] == [inbox]
    assert changes["updatedProperties"] == list(counters.COUNTERS)


def test_what_leaves_the_counters_alone_leaves_mailboxes_and_threads_alone(world: World) -> None:
    email = world.email(world.role("inbox"), keywords=["$seen"])
    states = [world.call(f"{name}/get", ids=[])["state"] for name in ("Mailbox", "Thread")]
    world.call("Email/set", update={email: {"keywords/$flagged": True}})
    assert [world.call(f"{name}/get", ids=[])["state"] for name in ("Mailbox", "Thread")] == states


def test_threads_come_change_and_go_with_their_emails(world: World) -> None:
    inbox, archive = world.role("inbox"), world.role("archive")
    states = [world.call("Thread/get", ids=[])["state"]]

    def happened() -> tuple[list[str], list[str], list[str]]:
        changes = world.call("Thread/changes", sinceState=states[-1])
        states.append(changes["newState"])
        return changes["created"], changes["updated"], changes["destroyed"]

    first = world.email(inbox, thread="t1")
    assert happened() == (["t1"], [], [])
    second = world.email(inbox, thread="t1")
    assert happened() == ([], ["t1"], [])
    world.call("Email/set", update={second: {"mailboxIds": {archive: True}, "keywords/$seen": True}})
    assert happened() == ([], [], [])
    world.call("Email/set", destroy=[first])
    assert happened() == ([], ["t1"], [])
    world.call("Email/set", destroy=[second])
    assert happened() == ([], [], ["t1"])


def test_a_thread_that_comes_and_goes_in_one_transaction_was_never_there(world: World) -> None:
    inbox = world.role("inbox")
    record = {"threadId": "t9", "mailboxIds": {inbox: True}, "keywords": {}}
    before = world.call("Thread/get", ids=[])["state"]
    with world.store.write(ACCOUNT) as txn:
        txn.link(counters.LINKS, ["key"], "t9")
        counters.email_created(txn, record)
        counters.email_destroyed(txn, record)
    assert world.call("Thread/get", ids=[])["state"] == before
    assert world.counts(inbox) == (0, 0, 0, 0)
    with world.reader() as reader:
        assert reader.linked(counters.LINKS, ["key"]) == {}


def test_another_trash_counts_anew(world: World) -> None:
    inbox, trash, junk = world.role("inbox"), world.role("trash"), world.role("junk")
    world.email(inbox, thread="t1", keywords=["$seen"])
    world.email(trash, thread="t1")
    world.email(junk, thread="t1")
    assert [world.counts(m)[3] for m in (inbox, trash, junk)] == [1, 1, 1]
    answer = world.call("Mailbox/set", update={trash: {"role": None}, junk: {"role": "trash"}})
    assert answer["notUpdated"] is None
    assert [world.counts(m)[3] for m in (inbox, trash, junk)] == [1, 1, 1]
    world.call("Mailbox/set", update={junk: {"role": "junk"}, trash: {"role": "trash"}})
    world.call("Mailbox/set", destroy=[junk], onDestroyRemoveEmails=True)
    assert [world.counts(m)[3] for m in (inbox, trash)] == [0, 1]
    assert world.sound()


def test_a_long_thread_costs_no_more_than_a_short_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = world.role("inbox")
    for _ in range(40):
        world.email(inbox, thread="long")
    world.email(inbox, thread="short")
    calls: list[str] = []
    with world.store.write(ACCOUNT) as txn:
        kind = type(txn)

    def spy(name: str) -> Callable[..., Any]:
        real = getattr(kind, name)

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return real(self, *args, **kwargs)

        return method

    for name in ("get", "tallies", "tally", "update", "touch", "grouped", "query", "members"):
        monkeypatch.setattr(kind, name, spy(name))
    costs: list[list[str]] = []
    for thread in ("short", "long"):
        calls.clear()
        with world.store.write(ACCOUNT) as txn:
            counters.email_created(txn, {"threadId": thread, "mailboxIds": {inbox: True}, "keywords": {}})
        costs.append(sorted(calls))
    assert costs[0] == costs[1]
    assert "tally" in costs[0]


def test_verify_finds_and_mend_repairs_wrong_counters(world: World) -> None:
    inbox = world.role("inbox")
    world.email(inbox, thread="t1")
    with world.store.write(ACCOUNT) as txn:
        txn.update("Mailbox", inbox, {"unreadEmails": 7})
        txn.tally(counters.TALLY, "t1", inbox, 3)
        txn.create("Thread", {"id": "tempty"})
        txn.destroy("Thread", "t1")
    with world.reader() as reader:
        wrong = [*world.types["Mailbox"].verify(reader), *world.types["Thread"].verify(reader)]
    assert len(wrong) == 4
    assert not any(finding.mended for finding in wrong)
    with world.store.write(ACCOUNT) as txn:
        mended = world.types["Mailbox"].mend(txn)
        assert [finding.mended for finding in mended] == [True, True]
        txn.destroy("Thread", "tempty")
    assert world.counts(inbox) == (1, 1, 1, 1)


MAILBOXES = ("inbox", "trash", "junk")
places = st.sets(st.sampled_from(MAILBOXES), min_size=1)
words = st.sets(st.sampled_from(["$seen", "$draft", "$flagged"]))
operation = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(["t1", "t2", "t3"]), places, words),
    st.tuples(st.just("update"), st.integers(0, 9), places, words),
    st.tuples(st.just("destroy"), st.integers(0, 9)),
    st.tuples(st.just("trash"), st.sampled_from(["trash", "junk"])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(operation, max_size=6), max_size=6))
def test_after_any_transactions_the_counters_are_those_of_the_rfc(transactions: list[list[tuple[Any, ...]]]) -> None:
    world = World()
    ids = {role: world.role(role) for role in MAILBOXES}
    live: dict[str, dict[str, Any]] = {}
    trash = ids["trash"]
    threads = {name: name for name in ("t1", "t2", "t3")}
    number = 0
    for turn, operations in enumerate(transactions):
        # The id of a thread that is gone is never used again.
        gone = set(threads) - {email["threadId"][:2] for email in live.values()}
        threads.update({name: f"{name}x{turn}" for name in gone})
        with world.store.write(ACCOUNT) as txn:
            kind = world.types["Email"]
            for op in operations:
                if op[0] == "create":
                    number += 1
                    record = _email(f"e{number}", threads[op[1]], {ids[m] for m in op[2]}, op[3])
                    txn.create("Email", dict(record))
                    kind.created(world.ctx, txn, record)
                    live[record["id"]] = record
                elif op[0] == "trash" and ids[op[1]] != trash:
                    old, trash = trash, ids[op[1]]
                    for mailbox, role in ((old, None), (trash, "trash")):
                        before = txn.get("Mailbox", [mailbox], ["role"])[0]
                        txn.update("Mailbox", mailbox, {"role": role})
                        world.types["Mailbox"].updated(world.ctx, txn, before, before | {"role": role})
                elif op[0] in ("update", "destroy") and live:
                    id = sorted(live)[op[1] % len(live)]
                    if op[0] == "destroy":
                        txn.destroy("Email", id)
                        kind.destroyed(world.ctx, txn, live.pop(id))
                    else:
                        new = _email(id, live[id]["threadId"], {ids[m] for m in op[2]}, op[3])
                        txn.update("Email", id, {name: new[name] for name in ("mailboxIds", "keywords")})
                        kind.updated(world.ctx, txn, live[id], new)
                        live[id] = new
        for mailbox in ids.values():
            assert world.counts(mailbox) == _by_the_rfc(mailbox, trash, list(live.values()))
        with world.reader() as reader:
            assert set(reader.ids("Thread")) == {email["threadId"] for email in live.values()}
        assert world.sound()


def _email(id: str, thread: str, mailboxes: set[str], keywords: set[str]) -> dict[str, Any]:
    return {
        "id": id,
        "threadId": thread,
        "mailboxIds": dict.fromkeys(sorted(mailboxes), True),
        "keywords": dict.fromkeys(sorted(keywords), True),
        "receivedAt": "2024-01-01T00:00:00Z",
    }


def _by_the_rfc(mailbox: str, trash: str, emails: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    """Each sentence of RFC 8621 section 2, one after the other."""

    def unread(email: dict[str, Any]) -> bool:
        return not {"$seen", "$draft"} & email["keywords"].keys()

    here = [email for email in emails if mailbox in email["mailboxIds"]]
    threads = {email["threadId"] for email in here}
    if mailbox == trash:
        seen = [email for email in emails if trash in email["mailboxIds"]]
    else:
        seen = [email for email in emails if set(email["mailboxIds"]) != {trash}]
    unread_threads = {t for t in threads if any(e["threadId"] == t and unread(e) for e in seen)}
    return len(here), sum(map(unread, here)), len(threads), len(unread_threads)
