from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from smallmail import ACCOUNT, World

from flaskmail.datatypes.mail.searching import address_column, header_matches, keyword, moment
from flaskmail.errors import MethodError

A = [{"name": "Ann Arbor", "email": "zoe@example.com"}]
B = [{"name": None, "email": "bob@example.com"}, {"name": "Aaron", "email": "a@example.com"}]
C = [{"name": "", "email": "Carl@example.com"}]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def mail(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, dict[str, str]]]:
    """Three threads: t1 has one and two, t2 three, t3 four."""
    world = World(path=None if request.param == "memory" else tmp_path_factory.mktemp("searching"))
    inbox, archive, trash = (world.role(role) for role in ("inbox", "archive", "trash"))
    emails: dict[str, dict[str, Any]] = {
        "one": {"thread": "t1", "in": [inbox], "kw": ["$flagged", "$seen"], "at": "2024-01-01T00:00:00Z", "size": 100},
        "two": {"thread": "t1", "in": [inbox, archive], "kw": [], "at": "2024-01-02T00:00:00Z", "size": 200},
        "three": {"thread": "t2", "in": [archive], "kw": ["$seen", "work"], "at": "2024-01-03T00:00:00Z", "size": 300},
        "four": {"thread": "t3", "in": [trash], "kw": ["$seen"], "at": "2024-01-03T00:00:00.500Z", "size": 400},
    }
    more: dict[str, dict[str, Any]] = {
        "one": {
            "from": A,
            "to": None,
            "subject": "Re: b",
            "sentAt": "2024-01-01T05:00:00+09:00",
            "hasAttachment": True,
        },
        "two": {"from": B, "to": B, "subject": "[x] A", "sentAt": "2023-12-31T22:00:00Z", "hasAttachment": False},
        "three": {"from": C, "to": A, "subject": "ä", "sentAt": None, "hasAttachment": False},
        "four": {"from": [], "to": C, "subject": None, "sentAt": "2023-12-31T23:00:00Z", "hasAttachment": False},
    }
    fields = {
        "one": [["X-Custom", "Straße 5"]],
        "two": [["x-custom", "nothing"]],
        "three": [["Subject", "ä"]],
        "four": [],
    }
    texts = {
        "one": {
            "from": "Ann Arbor zoe@example.com",
            "subject": "Re: b",
            "body": "The xylophone's sound",
            "attachment": "plan.pdf",
        },
        "two": {"from": "bob@example.com", "to": "bob@example.com", "subject": "[x] A", "body": "Größe matters"},
        "three": {
            "from": "Carl@example.com",
            "cc": "Zoë",
            "bcc": "secret@example.com",
            "subject": "ä",
            "body": "sound the",
        },
        "four": {},
    }
    ids: dict[str, str] = {}
    with world.store.write(ACCOUNT) as txn:
        for name, email in emails.items():
            record = {
                "id": txn.new_id("Email"),
                "threadId": email["thread"],
                "mailboxIds": dict.fromkeys(email["in"], True),
                "keywords": dict.fromkeys(email["kw"], True),
                "receivedAt": email["at"],
                "size": email["size"],
                "fields": fields[name],
                **more[name],
            }
            txn.create("Email", record, texts[name])
            world.types["Email"].created(world.ctx, txn, record)
            ids[name] = record["id"]
    yield world, ids
    world.store.close()


def found(mail: tuple[World, dict[str, str]], condition: dict[str, Any], **more: Any) -> list[str]:
    world, ids = mail
    names = {id: name for name, id in ids.items()}
    return [names[id] for id in world.call("Email/query", filter=condition, **more)["ids"]]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({"before": "2024-01-02T00:00:00Z"}, "one"),
        ({"after": "2024-01-02T00:00:00Z"}, "two three four"),
        ({"after": "2024-01-02T00:00:00.000Z", "before": "2024-01-03T00:00:00.000Z"}, "two"),
        ({"before": "2024-01-03T00:00:00.250Z"}, "one two three"),
        ({"after": "2024-01-03T00:00:00.250Z"}, "four"),
        ({"minSize": 200}, "two three four"),
        ({"maxSize": 200}, "one"),
        ({"hasKeyword": "$Seen"}, "one three four"),
        ({"notKeyword": "$SEEN"}, "two"),
        ({"someInThreadHaveKeyword": "$flagged"}, "one two"),
        ({"noneInThreadHaveKeyword": "$flagged"}, "three four"),
        ({"allInThreadHaveKeyword": "$seen"}, "three four"),
        ({"hasAttachment": True}, "one"),
        ({"hasAttachment": False}, "two three four"),
        ({"text": "XYLOPHONE"}, "one"),
        ({"text": "xylo*"}, "one"),
        ({"text": "xylo"}, ""),
        ({"text": "the sound"}, "one three"),
        ({"text": '"sound the"'}, "three"),
        ({"text": "'sound the'"}, "three"),
        ({"text": "plan.pdf"}, "one"),
        ({"text": "secret"}, "three"),
        ({"text": "zoe"}, "one three"),
        ({"text": "grosse"}, ""),
        ({"text": "GRÖßE"}, "two"),
        ({"from": "ann"}, "one"),
        ({"from": "zoe@example.com"}, "one"),
        ({"to": "bob"}, "two"),
        ({"cc": "zoe"}, "three"),
        ({"bcc": "secret"}, "three"),
        ({"subject": "sound"}, ""),
        ({"body": "sound"}, "one three"),
        ({"body": "ann"}, ""),
        ({"text": ""}, "one two three four"),
        ({"header": ["X-CUSTOM"]}, "one two"),
        ({"header": ["X-Custom", "STRASSE"]}, ""),
        ({"header": ["X-Custom", "stra"]}, "one"),
        ({"header": ["X-Other"]}, ""),
        ({}, "one two three four"),
        ({"hasKeyword": "$seen", "minSize": 300}, "three four"),
    ],
)
def test_filters(mail: tuple[World, dict[str, str]], condition: dict[str, Any], names: str) -> None:
    assert found(mail, condition, sort=[{"property": "receivedAt"}]) == names.split()


def test_mailbox_filters(mail: tuple[World, dict[str, str]]) -> None:
    inbox, archive, trash = (mail[0].role(role) for role in ("inbox", "archive", "trash"))
    sort = [{"property": "receivedAt"}]
    assert found(mail, {"inMailbox": inbox}, sort=sort) == ["one", "two"]
    assert found(mail, {"inMailboxOtherThan": [inbox]}, sort=sort) == ["two", "three", "four"]
    assert found(mail, {"inMailboxOtherThan": [inbox, archive, trash]}, sort=sort) == []
    assert found(mail, {"inMailboxOtherThan": []}, sort=sort) == ["one", "two", "three", "four"]
    assert found(mail, {"inMailbox": "nowhere"}) == []


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ({"property": "receivedAt"}, "one two three four"),
        ({"property": "receivedAt", "isAscending": False}, "four three two one"),
        ({"property": "size", "isAscending": False}, "four three two one"),
        ({"property": "from"}, "four one two three"),
        ({"property": "to"}, "one three two four"),
        ({"property": "subject"}, "four two three one"),
        ({"property": "subject", "collation": "i;ascii-casemap"}, "four two one three"),
        ({"property": "sentAt"}, "three one two four"),
        ({"property": "hasKeyword", "keyword": "WORK", "isAscending": False}, "three four two one"),
        ({"property": "someInThreadHaveKeyword", "keyword": "$flagged"}, "three four one two"),
        ({"property": "allInThreadHaveKeyword", "keyword": "$seen"}, "one two three four"),
    ],
)
def test_sorts(mail: tuple[World, dict[str, str]], sort: dict[str, Any], names: str) -> None:
    assert found(mail, {}, sort=[sort]) == names.split()


def test_collapsing(mail: tuple[World, dict[str, str]]) -> None:
    sort = [{"property": "receivedAt"}]
    assert found(mail, {}, sort=sort, collapseThreads=True) == ["one", "three", "four"]


@pytest.mark.parametrize(
    "condition",
    [
        {"inMailbox": None},
        {"inMailboxOtherThan": "m1"},
        {"before": "yesterday"},
        {"before": "2024-01-01T00:00:00+01:00"},
        {"minSize": -1},
        {"maxSize": "1"},
        {"hasKeyword": ""},
        {"hasKeyword": "two words"},
        {"hasAttachment": None},
        {"text": 5},
        {"header": []},
        {"header": ["a", "b", "c"]},
        {"header": ["no colon:"]},
        {"header": "Subject"},
        {"header": ["Subject", None]},
    ],
)
def test_conditions_that_are_none(mail: tuple[World, dict[str, str]], condition: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        mail[0].call("Email/query", filter=condition)
    assert caught.value.type == "invalidArguments"
    assert next(iter(condition)) in str(caught.value.description)


@pytest.mark.parametrize("sort", [{"property": "hasKeyword"}, {"property": "hasKeyword", "keyword": 5}])
def test_a_sort_by_keyword_needs_one(mail: tuple[World, dict[str, str]], sort: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as caught:
        mail[0].call("Email/query", sort=[sort])
    assert caught.value.type == "invalidArguments"


@pytest.mark.parametrize("text", ["word " * 5000, "x" * 100_000])
def test_a_search_for_too_much_is_refused(mail: tuple[World, dict[str, str]], text: str) -> None:
    with pytest.raises(MethodError) as caught:
        mail[0].call("Email/query", filter={"text": text})
    assert caught.value.type == "unsupportedFilter"


@pytest.mark.parametrize("value", ["$seen", "a", "x" * 255, "!#$&'+,-./0:;<=>?@AZ[^_`az|}~"])
def test_keywords(value: str) -> None:
    assert keyword(value) is None


@pytest.mark.parametrize(
    "value", ["", "x" * 256, "a b", "a(b", "a)", "{", "]", "%", "*", '"', "\\", "é", "a\n", None, 5]
)
def test_what_is_no_keyword(value: Any) -> None:
    assert keyword(value) is not None


def test_a_keyword_has_every_visible_character_but_eight() -> None:
    right = {chr(n) for n in range(0x21, 0x7F)} - set('(){]%*"\\')
    assert {chr(n) for n in range(256) if keyword(chr(n)) is None} == right


@pytest.mark.parametrize("value", ["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z"])
def test_moments_may_have_a_fraction_of_zero(value: str) -> None:
    assert moment(value) is None


def test_an_address_sorts_by_its_name_else_by_its_email() -> None:
    assert [address_column(a) for a in (A, B, C, [], None)] == [
        "Ann Arbor",
        "bob@example.com",
        "Carl@example.com",
        "",
        "",
    ]


def test_a_header_text_is_found_in_any_of_several_fields() -> None:
    fields = [("Received", "from a"), ("Received", "from B")]
    assert header_matches(fields, ("received", "FROM b"))
    assert not header_matches(fields, ("received", "from c"))
