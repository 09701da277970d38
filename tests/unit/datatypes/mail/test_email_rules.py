"""Rules of Email that span methods: read-only accounts, moves between accounts, dates, whole objects sent back, one root part."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from realmail import Mail

from flaskmail.datatypes.mail.properties import DEFAULT_PROPERTIES
from flaskmail.jmap.context import Limits

MESSAGE = "From: a@example.com\nSubject: s\nMessage-ID: <{}@example.com>\n\nbody\n"


def message(n: int = 1) -> bytes:
    return MESSAGE.format(n).replace("\n", "\r\n").encode()


def read_only(mail: Mail, account: str) -> None:
    mail.accounts[account] = dataclasses.replace(mail.accounts[account], is_read_only=True)


# ---- read-only accounts


def test_a_read_only_account_is_read_and_not_written(mail: Mail) -> None:
    id, blob, inbox = mail.bring(message()), mail.upload(message(2)), mail.role("inbox")
    read_only(mail, mail.id)
    assert mail.error("Email/set", create={"k": {"mailboxIds": {inbox: True}}}) == "accountReadOnly"
    assert mail.error("Email/set", update={id: {"keywords/$seen": True}}) == "accountReadOnly"
    assert mail.error("Email/set", destroy=[id]) == "accountReadOnly"
    assert mail.error("Email/import", emails={"k": {"blobId": blob, "mailboxIds": {inbox: True}}}) == "accountReadOnly"
    copy = {"fromAccountId": mail.other, "create": {"k": {"id": id, "mailboxIds": {inbox: True}}}}
    assert mail.error("Email/copy", **copy) == "accountReadOnly"
    assert mail.get(id, "keywords")["keywords"] == {}
    assert mail.call("Email/parse", blobIds=[blob])["parsed"][blob]["subject"] == "s"


def move(mail: Mail, id: str, **more: Any) -> list[list[Any]]:
    create = {"k": {"id": id, "mailboxIds": {mail.role("inbox", mail.other): True}}}
    arguments = {"accountId": mail.other, "fromAccountId": mail.id, "create": create, "onSuccessDestroyOriginal": True}
    return mail.request(("Email/copy", arguments | more))


def test_what_cannot_be_destroyed_afterwards_is_copied_all_the_same(mail: Mail) -> None:
    id = mail.bring(message())
    read_only(mail, mail.id)
    copied, refused = move(mail, id)
    assert copied[1]["created"]["k"]["id"]
    assert (refused[0], refused[1]["type"]) == ("error", "accountReadOnly")
    assert mail.get(id, "subject")["subject"] == "s"


def test_states_of_both_accounts_guard_a_move(mail: Mail) -> None:
    id = mail.bring(message())
    here = mail.call("Email/get", ids=[])["state"]
    there = mail.call("Email/get", accountId=mail.other, ids=[])["state"]
    for wrong in ({"ifFromInState": "0x"}, {"ifInState": "0x"}):
        [[name, error, _]] = move(mail, id, **wrong)
        assert (name, error["type"]) == ("error", "stateMismatch")
    copied, refused = move(mail, id, ifFromInState=here, ifInState=there, destroyFromIfInState="0x")
    assert copied[1]["created"]
    assert (refused[0], refused[1]["type"]) == ("error", "stateMismatch")
    assert mail.call("Email/get", ids=[id])["notFound"] == []
    _, destroyed = move(mail, id, destroyFromIfInState=here)
    assert destroyed[1]["destroyed"] == [id]
    mail.sound()


def test_only_what_was_copied_is_destroyed(mail: Mail) -> None:
    good, bad = mail.bring(message(1)), mail.bring(message(2))
    box = {mail.role("inbox", mail.other): True}
    create = {"good": {"id": good, "mailboxIds": box}, "bad": {"id": bad, "mailboxIds": {}}}
    copied, destroyed = move(mail, good, create=create)
    assert list(copied[1]["created"]) == ["good"]
    assert copied[1]["notCreated"]["bad"]["type"] == "invalidProperties"
    assert destroyed[1]["destroyed"] == [good]
    [[name, answer, _]] = move(mail, "nowhere")
    assert (name, answer["notCreated"]["k"]["type"]) == ("Email/copy", "notFound")


def test_an_account_that_is_not_there_cannot_be_copied_from(mail: Mail) -> None:
    [[name, error, _]] = move(mail, "x", fromAccountId="nowhere")
    assert (name, error["type"]) == ("error", "fromAccountNotFound")


def test_a_copy_needs_room(new_mail: Callable[..., Mail]) -> None:
    mail = new_mail(quota=3 * len(message()) // 2)
    box = {mail.role("inbox", mail.other): True}
    blob = mail.server.store.put_blob(mail.other, io.BytesIO(message(9)), len(message(9)))
    mail.call("Email/import", accountId=mail.other, emails={"k": {"blobId": blob, "mailboxIds": box}})
    [[_, answer, _]] = move(mail, mail.bring(message(1)))
    assert answer["notCreated"]["k"]["type"] == "overQuota"
    mail.sound()


# ---- dates


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        # JavaScript's toISOString() writes these.
        ("2024-01-02T03:04:05.000Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.120Z", "2024-01-02T03:04:05.120Z"),
    ],
)
def test_when_it_was_received_may_have_a_fraction_of_zero(mail: Mail, sent: str, stored: str) -> None:
    made = mail.draft(receivedAt=sent)
    brought = mail.bring(message(), receivedAt=sent)
    create = {"k": {"id": brought, "mailboxIds": {mail.role("inbox", mail.other): True}, "receivedAt": sent}}
    copied = mail.call("Email/copy", accountId=mail.other, fromAccountId=mail.id, create=create)["created"]["k"]["id"]
    (there,) = mail.call("Email/get", accountId=mail.other, ids=[copied], properties=["receivedAt"])["list"]
    assert [mail.get(id, "receivedAt")["receivedAt"] for id in (made, brought)] == [stored, stored]
    assert there["receivedAt"] == stored


@pytest.mark.parametrize("sent", ["2024-01-02T03:04:05.000+02:00", "2024-01-02T03:04:05+02:00"])
def test_when_it_was_sent_may_have_a_fraction_of_zero(mail: Mail, sent: str) -> None:
    id = mail.draft(**{"sentAt": sent, "header:X-When:asDate": sent})
    email = mail.get(id, "sentAt", "header:X-When:asDate")
    assert email["sentAt"] == email["header:X-When:asDate"] == "2024-01-02T03:04:05+02:00"


def test_a_create_is_received_now_whatever_its_header_fields_say(mail: Mail) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    id = mail.draft(**{"header:Received": " from a by b; Tue, 2 Jan 2001 03:04:05 +0000"})
    assert before <= datetime.fromisoformat(mail.get(id, "receivedAt")["receivedAt"]) <= datetime.now(UTC)


# ---- whole objects sent back


def test_a_whole_email_may_be_sent_back_with_one_change(mail: Mail) -> None:
    id = mail.bring(message(), keywords={"$seen": True})
    whole = mail.get(id, *DEFAULT_PROPERTIES, "bodyStructure", "headers", "header:From:asAddresses")
    changed = whole | {"keywords": {"$Seen": True, "$FLAGGED": True}, "mailboxIds": {mail.role("archive"): True}}
    answer = mail.call("Email/set", update={id: changed})
    # What became of the keywords is not what was sent.
    assert answer["updated"] == {id: {"keywords": {"$seen": True, "$flagged": True}}}
    email = mail.get(id, "keywords", "mailboxIds")
    assert email["keywords"] == {"$seen": True, "$flagged": True}
    assert email["mailboxIds"] == {mail.role("archive"): True}
    for name, other in {"id": "x", "subject": "t", "preview": "", "textBody": [], "headers": [], "size": 0}.items():
        error = mail.call("Email/set", update={id: whole | {name: other}})["notUpdated"][id]
        assert (error["type"], error["properties"]) == ("invalidProperties", [name])
    mail.sound()


def test_one_keyword_in_two_spellings_is_no_patch(mail: Mail) -> None:
    id = mail.bring(message())
    error = mail.call("Email/set", update={id: {"keywords/$Seen": True, "keywords/$seen": None}})["notUpdated"][id]
    assert error["type"] == "invalidPatch"
    assert mail.call("Email/set", update={id: {"keywords": {"A": True, "a": True}}})["updated"]
    assert mail.get(id, "keywords")["keywords"] == {"a": True}


def test_an_update_that_changes_nothing_leaves_the_state(mail: Mail) -> None:
    id = mail.bring(message(), keywords={"$seen": True})
    answer = mail.call(
        "Email/set", update={id: {"keywords/$SEEN": True, "keywords/none": None, "keywords": {"$seen": True}}}
    )
    assert answer["notUpdated"][id]["type"] == "invalidPatch"
    answer = mail.call("Email/set", update={id: {"keywords/$SEEN": True, "keywords/none": None}})
    assert answer["updated"] == {id: None}
    assert answer["oldState"] == answer["newState"]


# ---- body parts


def test_sub_parts_of_what_has_none_are_null(mail: Mail) -> None:
    id = mail.draft(attachments=[{"blobId": mail.upload(b"x"), "type": "a/b"}])
    email = mail.get(id, "bodyStructure", "attachments", bodyProperties=["type", "subParts"])
    leaf = {"type": "a/b", "subParts": None}
    assert email["bodyStructure"] == {"type": "multipart/mixed", "subParts": [leaf]}
    assert email["attachments"] == [leaf]


TEXT = {"bodyValues": {"t": {"value": "Hello"}}}


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ({"header:Subject:asText": "other"}, "textBody/0/header:Subject:asText"),
        ({"header:Date": " x"}, "textBody/0/header:Date"),
        ({"header:Message-ID:asMessageIds": ["a@b"]}, "textBody/0/header:Message-ID:asMessageIds"),
        ({"header:MIME-Version": " 2.0"}, "textBody/0/header:MIME-Version"),
    ],
)
def test_a_lone_part_is_the_message_and_has_no_field_twice(mail: Mail, part: dict[str, Any], name: str) -> None:
    sent = TEXT | {"subject": "one", "textBody": [{"partId": "t", **part}]}
    assert mail.wrong(**sent) == [name]
    beside = sent | {"attachments": [{"blobId": mail.upload(b"x"), "type": "a/b"}]}
    id = mail.draft(**beside)
    fields = [field["name"].lower() for field in mail.get(id, "headers")["headers"]]
    assert len(fields) == len(set(fields))
    assert mail.get(id, "subject")["subject"] == "one"


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ({"name": "a", "header:Content-Type": " text/plain; name=b"}, ["header:Content-Type", "name"]),
        ({"header:Content-Type": ' text/plain; x="a\x01b"'}, ["header:Content-Type"]),
        ({"header:content-type:asText": "text"}, ["header:content-type:asText"]),
        ({"type": "text/plain\r\nX: y"}, ["type"]),
        ({"foo": 1, "type": "text/html"}, ["foo"]),
    ],
)
def test_what_is_wrong_with_a_part_is_named_by_path_and_nothing_else(
    mail: Mail, part: dict[str, Any], names: list[str]
) -> None:
    wrong = mail.wrong(**TEXT, textBody=[{"partId": "t", **part}])
    assert sorted(wrong) == sorted(f"textBody/0/{name}" for name in names)


@pytest.mark.parametrize(
    "value", ["a  b", "Zoë  Q.", "x" * 300, "a\u00a0b", "日" * 200, "=?utf-8?q?a?=", "a,b;c<d>", "(x)", '"']
)
def test_display_names_are_kept(mail: Mail, value: str) -> None:
    person = [{"name": value, "email": "a@example.com"}]
    assert mail.get(mail.draft(**{"from": person}), "from")["from"] == person


def test_local_parts_in_utf_8_are_kept(mail: Mail) -> None:
    person = [{"name": "Ünal", "email": "ünal@münchen.example"}]
    id = mail.draft(**{"from": person, "to": person})
    assert mail.get(id, "from", "to") == {"id": id, "from": person, "to": person}
    assert re.search(rb"Message-ID: <m[a-z2-7]+@example\.com>\r\n", mail.raw(id))


def test_a_message_is_made_of_no_more_parts_than_are_read(mail: Mail) -> None:
    parts = [{"partId": "t", "type": "text/plain"}] * 900
    id = mail.draft(bodyStructure={"type": "multipart/mixed", "subParts": parts}, bodyValues=TEXT["bodyValues"])
    assert len(mail.get(id, "textBody")["textBody"]) == 900


def test_limits_that_the_session_tells_are_kept(new_mail: Callable[..., Mail]) -> None:
    mail = new_mail(limits=Limits(maxObjectsInSet=2, maxObjectsInGet=2))
    assert mail.error("Email/set", destroy=["a", "b", "c"]) == "requestTooLarge"
    assert mail.error("Email/get", ids=["a", "b", "c"]) == "requestTooLarge"
    assert mail.call("Email/get", ids=["a", "a", "b"])["notFound"] == ["a", "b"]
