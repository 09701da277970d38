from __future__ import annotations

import pytest
from guarding import within
from smallmail import ACCOUNT, World

from flaskmail.datatypes.mail import threading
from flaskmail.datatypes.mail.counters import LINKS
from flaskmail.datatypes.mail.threading import MAX_RELATED, assign, base_subject, related_ids, same_subject_key


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        (None, ""),
        ("", ""),
        ("Hello", "Hello"),
        ("Re: Hello", "Hello"),
        ("re:Hello", "Hello"),
        ("RE : Hello", "Hello"),
        ("Re: Fwd: FW: re: Hello", "Hello"),
        ("Re[2]: Hello", "Hello"),
        ("Re [list]: Hello", "Hello"),
        ("[list] Re: Hello", "Hello"),
        ("[a] [b]Re: [c] Hello", "Hello"),
        ("[list] Hello", "Hello"),
        ("[a][b] Hello", "Hello"),
        ("[list]", "[list]"),
        ("[a] [b]", "[b]"),
        ("Re: [list]", "[list]"),
        ("Hello (fwd)", "Hello"),
        ("Hello (Fwd) (fwd)  ", "Hello"),
        ("[Fwd: Hello]", "Hello"),
        ("[fwd: Re: [list] Hello (fwd)]", "Hello"),
        ("[Fwd: [Fwd: Hello]]", "Hello"),
        ("Re:", ""),
        ("Re: Re: ", ""),
        ("Rename it", "Rename it"),
        ("Hello  \t world\r\n again", "Hello world again"),
        ("Hello Re: world", "Hello Re: world"),
        ("[open Hello", "[open Hello"),
        ("Aw: Hello", "Aw: Hello"),
    ],
)
def test_the_base_subject_of_rfc_5256(subject: str | None, base: str) -> None:
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    "subject",
    ["Big News", "RE: big news", "AW: Big News", "Sv: Big  News", "回复：Big News", "[x] Antw: Re: BIG NEWS (fwd)"],
)
def test_replies_in_other_languages_have_the_same_subject(subject: str) -> None:
    assert same_subject_key(subject) == "bignews"


@pytest.mark.parametrize(
    "subject",
    [
        "[" * 100_000,
        "[a]" * 100_000,
        "[fwd:" * 50_000 + "]" * 50_000,
        " " * 200_000 + "x",
        "re:" * 100_000,
        "(fwd)" * 50_000,
    ],
)
def test_a_hostile_subject_is_cheap(subject: str) -> None:
    within(0.5, lambda: (base_subject(subject), same_subject_key(subject)))


def record(own: str, *references: str, answers: str | None = None) -> dict[str, object]:
    return {"messageId": [own], "inReplyTo": [answers] if answers else None, "references": list(references) or None}


def test_the_nearest_ids_come_first() -> None:
    assert related_ids(record("d", "a", "b", "c", answers="c")) == ["d", "c", "b", "a"]
    assert related_ids({}) == []


def test_of_many_references_the_newest_and_the_very_first_count() -> None:
    ids = related_ids(record("own", *(f"r{n}" for n in range(5000))))
    assert len(ids) == MAX_RELATED
    assert ids[:3] == ["own", "r4999", "r4998"]
    assert ids[-1] == "r0"


def thread_of(world: World, subject: str | None, own: str, *references: str) -> str:
    id = world.email(world.role("inbox"), subject=subject, messageId=[own], references=list(references))
    (email,) = world.call("Email/get", ids=[id], properties=["threadId"])["list"]
    return str(email["threadId"])


def test_replies_are_in_the_thread_of_what_they_answer(world: World) -> None:
    thread = thread_of(world, "Lunch", "1@x")
    assert thread_of(world, "Re: Lunch", "2@x", "1@x") == thread
    assert thread_of(world, "Re: lunch", "3@x", "1@x", "2@x") == thread
    assert thread_of(world, "Lunch", "4@x") != thread


def test_another_subject_is_another_thread(world: World) -> None:
    thread = thread_of(world, "Lunch", "1@x")
    other = thread_of(world, "Dinner", "2@x", "1@x")
    assert other != thread
    assert thread_of(world, "Re: Dinner", "3@x", "1@x", "2@x") == other


def test_two_replies_to_a_message_that_never_came_are_one_thread(world: World) -> None:
    thread = thread_of(world, "Re: Lunch", "2@x", "1@x")
    assert thread_of(world, "Re: Lunch", "3@x", "1@x") == thread
    assert thread_of(world, "Lunch", "1@x") == thread


def test_a_message_that_joins_two_threads_goes_to_the_nearest_and_merges_nothing(world: World) -> None:
    one, two = thread_of(world, "Lunch", "1@x"), thread_of(world, "Lunch", "2@x")
    assert one != two
    assert thread_of(world, "Re: Lunch", "3@x", "1@x", "2@x") == two
    assert thread_of(world, "Re: Lunch", "4@x", "1@x") == one


def test_messages_without_ids_are_alone(world: World) -> None:
    inbox = world.role("inbox")
    ids = [world.email(inbox, subject="Same") for _ in range(2)]
    threads = {e["threadId"] for e in world.call("Email/get", ids=ids, properties=["threadId"])["list"]}
    assert len(threads) == 2


def test_nothing_of_a_thread_is_left_when_its_last_email_goes(world: World) -> None:
    inbox = world.role("inbox")
    first = world.email(inbox, subject="Lunch", messageId=["1@x"])
    second = world.email(inbox, subject="Re: Lunch", messageId=["2@x"], references=["1@x", "0@x"])
    keys = [threading.link_key(id, same_subject_key("Lunch")) for id in ("0@x", "1@x", "2@x")]

    def linked() -> int:
        with world.reader() as reader:
            return len(reader.linked(LINKS, keys))

    assert linked() == 3
    world.call("Email/set", destroy=[first])
    assert linked() == 3
    old = world.call("Email/get", ids=[second], properties=["threadId"])["list"][0]["threadId"]
    world.call("Email/set", destroy=[second])
    assert linked() == 0
    assert thread_of(world, "Lunch", "1@x") != old


def test_no_more_ids_are_looked_up_than_the_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    with world.store.write(ACCOUNT) as txn:
        real = txn.linked
        monkeypatch.setattr(txn, "linked", lambda name, keys: asked.append(len(keys)) or real(name, keys))
        assign(txn, [f"{n}@x" for n in range(10_000)], "Lunch")
    assert asked == [MAX_RELATED]


def test_an_id_with_a_lone_surrogate_is_no_stumbling_block(world: World) -> None:
    with world.store.write(ACCOUNT) as txn:
        assert assign(txn, ["\ud800@x"], "\udcff") == assign(txn, ["\ud800@x"], "\udcff")
