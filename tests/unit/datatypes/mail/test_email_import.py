from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from realmail import Mail

from flaskmail.datatypes.mail.importing import file_message, message_record, newest_received, prepare_message
from flaskmail.datatypes.mail.properties import EMAIL_PROPS, MAX_KEYWORDS, PARSE_PROPERTIES
from flaskmail.formats.mime import structure
from flaskmail.jmap.context import Limits

MESSAGE = "From: a@example.com\nTo: b@example.com\nSubject: s\nMessage-ID: <{}@example.com>\n\nbody\n"


def message(n: int | str = 1) -> bytes:
    return MESSAGE.format(n).replace("\n", "\r\n").encode()


# ---- Email/import


def test_an_import(mail: Mail) -> None:
    blob = mail.upload(message())
    before = mail.call("Email/get", ids=[])["state"]
    sent = {
        "blobId": blob,
        "mailboxIds": {mail.role("archive"): True},
        "keywords": {"$Seen": True, "Work/~": True},
        "receivedAt": "2020-02-03T04:05:06Z",
    }
    answer = mail.call("Email/import", emails={"k": sent}, ifInState=before)
    assert answer["oldState"] == before
    assert answer["newState"] == mail.call("Email/get", ids=[])["state"] != before
    created = answer["created"]["k"]
    assert set(created) == {"id", "blobId", "threadId", "size"}
    assert (created["blobId"], created["size"]) == (blob, len(message()))
    email = mail.get(created["id"], "keywords", "receivedAt", "mailboxIds", "threadId")
    assert email["keywords"] == {"$seen": True, "work/~": True}
    assert email["receivedAt"] == "2020-02-03T04:05:06Z"
    assert email["threadId"] == created["threadId"]
    assert mail.call("Mailbox/get", ids=[mail.role("archive")])["list"][0]["totalEmails"] == 1
    mail.sound()


def test_the_same_message_twice_makes_two_emails_of_one_thread(mail: Mail) -> None:
    first, second = mail.bring(message()), mail.bring(message())
    assert first != second
    assert mail.get(first, "threadId")["threadId"] == mail.get(second, "threadId")["threadId"]
    mail.call("Email/set", destroy=[first])
    assert mail.raw(second) == message()
    mail.sound()


def test_creation_ids(mail: Mail) -> None:
    blob = mail.upload(message())
    answers = mail.request(
        ("Mailbox/set", {"create": {"box": {"name": "New"}}}),
        ("Email/import", {"emails": {"k": {"blobId": blob, "mailboxIds": {"#box": True}}}}),
        ("Email/set", {"update": {"#k": {"keywords/$flagged": True}}}),
    )
    box = answers[0][1]["created"]["box"]["id"]
    id = answers[1][1]["created"]["k"]["id"]
    assert list(answers[2][1]["updated"]) == [id]
    assert mail.get(id, "mailboxIds", "keywords") == {
        "id": id,
        "mailboxIds": {box: True},
        "keywords": {"$flagged": True},
    }


def test_each_import_fails_on_its_own(mail: Mail) -> None:
    inbox, good = {mail.role("inbox"): True}, mail.upload(message())
    emails = {
        "good": {"blobId": good, "mailboxIds": inbox},
        "noblob": {"mailboxIds": inbox},
        "badblob": {"blobId": "nowhere", "mailboxIds": inbox},
        "blobtype": {"blobId": 1, "mailboxIds": inbox},
        "nobox": {"blobId": good},
        "emptybox": {"blobId": good, "mailboxIds": {}},
        "badbox": {"blobId": good, "mailboxIds": {"nowhere": True}},
        "falsebox": {"blobId": good, "mailboxIds": {mail.role("inbox"): False}},
        "keyword": {"blobId": good, "mailboxIds": inbox, "keywords": {"a b": True}},
        "falsekeyword": {"blobId": good, "mailboxIds": inbox, "keywords": {"a": False}},
        "date": {"blobId": good, "mailboxIds": inbox, "receivedAt": "yesterday"},
        "unknown": {"blobId": good, "mailboxIds": inbox, "subject": "x"},
        "text": {"blobId": mail.upload(b"this is not an email"), "mailboxIds": inbox},
        "empty": {"blobId": mail.upload(b""), "mailboxIds": inbox},
        "foreign": {"blobId": mail.get(mail.bring(message(2)), "blobId")["blobId"], "mailboxIds": inbox},
    }
    answer = mail.call("Email/import", emails=emails)
    assert set(answer["created"]) == {"good", "foreign"}
    errors = {key: (error["type"], error.get("properties")) for key, error in answer["notCreated"].items()}
    assert errors == {
        "noblob": ("invalidProperties", ["blobId"]),
        "badblob": ("invalidProperties", ["blobId"]),
        "blobtype": ("invalidProperties", ["blobId"]),
        "nobox": ("invalidProperties", ["mailboxIds"]),
        "emptybox": ("invalidProperties", ["mailboxIds"]),
        "badbox": ("invalidProperties", ["mailboxIds"]),
        "falsebox": ("invalidProperties", ["mailboxIds"]),
        "keyword": ("invalidProperties", ["keywords"]),
        "falsekeyword": ("invalidProperties", ["keywords"]),
        "date": ("invalidProperties", ["receivedAt"]),
        "unknown": ("invalidProperties", ["subject"]),
        "text": ("invalidEmail", None),
        "empty": ("invalidEmail", None),
    }
    mail.sound()


def test_blobs_of_others_cannot_be_imported(mail: Mail) -> None:
    blob = mail.upload(message("secret"))
    answer = mail.call(
        "Email/import",
        accountId=mail.other,
        emails={"k": {"blobId": blob, "mailboxIds": {mail.role("inbox", mail.other): True}}},
    )
    assert answer["notCreated"]["k"]["type"] == "invalidProperties"


def test_method_errors_of_import(mail: Mail, new_mail: Callable[..., Mail]) -> None:
    assert mail.error("Email/import") == "invalidArguments"
    assert mail.error("Email/import", emails=[]) == "invalidArguments"
    assert mail.error("Email/import", emails={"k": 1}) == "invalidArguments"
    assert mail.error("Email/import", emails={}, more=1) == "invalidArguments"
    assert mail.error("Email/import", emails={}, ifInState="older") == "stateMismatch"
    small = new_mail(limits=Limits(maxObjectsInSet=1, maxSizeEmail=100))
    assert small.error("Email/import", emails={"a": {}, "b": {}}) == "requestTooLarge"
    blob = small.upload(message() + b"x" * 100)
    assert small.refused_import(blobId=blob, mailboxIds={small.role("inbox"): True})["type"] == "tooLarge"


def test_too_many_keywords(mail: Mail) -> None:
    keywords = {f"k{n}": True for n in range(MAX_KEYWORDS)}
    id = mail.bring(message(), keywords=keywords)
    more = {**keywords, "more": True}
    inbox = {mail.role("inbox"): True}
    refused = mail.refused_import(blobId=mail.upload(message()), mailboxIds=inbox, keywords=more)
    assert refused["type"] == "tooManyKeywords"
    answer = mail.call("Email/set", update={id: {"keywords/more": True}})
    assert answer["notUpdated"][id]["type"] == "tooManyKeywords"
    assert mail.refused(keywords=more)["type"] == "tooManyKeywords"


def test_a_part_is_imported_as_a_message_of_its_own(mail: Mail) -> None:
    raw = b"From: o@example.com\r\nContent-Type: message/rfc822\r\n\r\n" + message("inner")
    outer = mail.bring(raw)
    blob = mail.get(outer, "blobId")["blobId"]
    answer = mail.call("Email/import", emails={"k": {"blobId": f"{blob}-1", "mailboxIds": {mail.role("inbox"): True}}})
    created = answer["created"]["k"]
    assert created["blobId"] != f"{blob}-1"
    mail.call("Email/set", destroy=[outer])
    assert mail.raw(created["id"]) == message("inner")
    mail.sound()


def test_quota(new_mail: Callable[..., Mail]) -> None:
    raw = b"From: o@example.com\r\nContent-Type: message/rfc822\r\n\r\n" + message("inner") + b"x" * 500
    mail = new_mail(quota=len(raw) + 50)
    blob = mail.get(mail.bring(raw), "blobId")["blobId"]
    inbox = {mail.role("inbox"): True}
    assert mail.refused_import(blobId=f"{blob}-1", mailboxIds=inbox)["type"] == "overQuota"
    assert mail.refused(subject="x" * 100)["type"] == "overQuota"
    mail.sound()


def _received(*values: str) -> bytes:
    return "".join(f"Received: {value}\r\n" for value in values).encode() + message()


@pytest.mark.parametrize(
    ("values", "moment"),
    [
        (
            ("from a by b; Tue, 2 Jan 2024 03:04:05 +0100", "from c by a; 1 Jan 2024 00:00:00 +0000"),
            "2024-01-02T02:04:05Z",
        ),
        (("from a by b;\r\n Tue, 2 Jan 2024 03:04:05 +0100",), "2024-01-02T02:04:05Z"),
        (("from a (x; y) by b; 2 Jan 2024 03:04:05 -0000 (UTC)",), "2024-01-02T03:04:05Z"),
        (("from a by b",), None),
        (("from a by b; whenever",), None),
        (("from a by b; 2 Jan 2999 03:04:05 +0000",), None),
        (("from a by b; 2 Jan 1969 03:04:05 +0000",), None),
        ((), None),
    ],
)
def test_when_a_message_was_received(values: tuple[str, ...], moment: str | None) -> None:
    found = newest_received(structure.parse(_received(*values)).root.headers)
    assert found == (None if moment is None else datetime.fromisoformat(moment))


def test_received_at_defaults(mail: Mail) -> None:
    id = mail.bring(_received("from a by b; Tue, 2 Jan 2024 03:04:05 +0100"))
    assert mail.get(id, "receivedAt")["receivedAt"] == "2024-01-02T02:04:05Z"
    before = datetime.now(UTC).replace(microsecond=0)
    received = mail.get(mail.bring(message()), "receivedAt")["receivedAt"]
    assert before <= datetime.fromisoformat(received) <= datetime.now(UTC)


def test_a_record_has_every_stored_property() -> None:
    record, text = message_record(message(), None, ["$Seen"], ["mb"])
    assert {*record} == {name for name, prop in EMAIL_PROPS.items() if not prop.computed}
    assert record["keywords"] == {"$seen": True}
    assert text == {"from": "a@example.com", "to": "b@example.com", "subject": "s", "body": "body\n"}


@pytest.mark.parametrize(
    "raw", [b"", b"\0", b"\n", b"x", os.urandom(5000), b"Content-Type: multipart/mixed\n\n", b"\xff: \xfe"]
)
def test_any_octets_make_an_email(mail: Mail, raw: bytes) -> None:
    ctx = mail.context(mail.id)
    with mail.server.store.write(mail.id) as txn:
        record = file_message(ctx, txn, prepare_message(raw, mailbox_ids=[mail.role("inbox")]))
    email = mail.get(record["id"], fetchAllBodyValues=True)
    assert email["size"] == len(raw)
    assert mail.raw(record["id"]) == raw
    for name in ("bodyStructure", "headers"):
        mail.get(record["id"], name)
    mail.sound()


def test_many_messages_in_one_transaction(mail: Mail) -> None:
    inbox = mail.role("inbox")
    prepared = [prepare_message(message(n), "2024-01-01T00:00:00Z", (), [inbox]) for n in range(50)]
    with mail.server.store.write(mail.id) as txn:
        for one in prepared:
            file_message(None, txn, one)
    assert mail.call("Mailbox/get", ids=[inbox])["list"][0]["totalEmails"] == 50
    mail.sound()


# ---- Email/parse


def test_parse(mail: Mail) -> None:
    blob, junk = mail.upload(message()), mail.upload(b"this is not an email at all, just random text")
    answer = mail.call("Email/parse", blobIds=[blob, junk, "nowhere", blob])
    assert answer["notParsable"] == [junk]
    assert answer["notFound"] == ["nowhere"]
    (email,) = answer["parsed"].values()
    assert set(email) == set(PARSE_PROPERTIES)
    assert len(PARSE_PROPERTIES) == 17
    assert email["subject"] == "s"
    assert email["bodyValues"] == {}
    assert mail.octets(email["textBody"][0]["blobId"]) == b"body\r\n"


def test_parse_metadata_and_values(mail: Mail) -> None:
    blob = mail.upload(message())
    nulls = ["id", "threadId", "mailboxIds", "keywords", "receivedAt"]
    names = [*nulls, "blobId", "size", "bodyValues", "header:To:asAddresses", "bodyStructure", "headers"]
    answer = mail.call(
        "Email/parse", blobIds=[blob], properties=names, fetchTextBodyValues=True, bodyProperties=["headers"]
    )
    email = answer["parsed"][blob]
    assert set(email) == set(names)
    assert all(email[name] is None for name in nulls)
    assert (email["blobId"], email["size"]) == (blob, len(message()))
    assert [value["value"] for value in email["bodyValues"].values()] == ["body\n"]
    assert email["header:To:asAddresses"] == [{"name": None, "email": "b@example.com"}]
    assert email["bodyStructure"]["headers"] == email["headers"]
    assert answer["notParsable"] is answer["notFound"] is None


def test_parse_arguments(mail: Mail, new_mail: Callable[..., Mail]) -> None:
    assert mail.error("Email/parse") == "invalidArguments"
    assert mail.error("Email/parse", blobIds="x") == "invalidArguments"
    assert mail.error("Email/parse", blobIds=[], maxBodyValueBytes=-1) == "invalidArguments"
    assert mail.call("Email/parse", blobIds=[])["parsed"] is None
    small = new_mail(limits=Limits(maxParseItems=1, maxSizeEmail=100))
    assert small.error("Email/parse", blobIds=["a", "b"]) == "requestTooLarge"
    big = small.upload(message() + b"x" * 100)
    assert small.call("Email/parse", blobIds=[big])["notParsable"] == [big]


# ---- Email/copy


def _copy(mail: Mail, **sent: object) -> dict[str, object]:
    answer = mail.call("Email/copy", accountId=mail.other, fromAccountId=mail.id, create={"k": sent})
    assert (answer["created"] is None) != (answer["notCreated"] is None)
    found = (answer["created"] or answer["notCreated"])["k"]
    assert isinstance(found, dict)
    return found


def test_copy(mail: Mail) -> None:
    raw = _received("from a by b; Tue, 2 Jan 2024 03:04:05 +0100")
    id = mail.bring(raw, keywords={"$seen": True})
    box = mail.role("archive", mail.other)
    made = _copy(mail, id=id, mailboxIds={box: True})
    assert set(made) == {"id", "blobId", "threadId", "size"}
    names = ["mailboxIds", "keywords", "receivedAt", "subject", "textBody"]
    (email,) = mail.call("Email/get", accountId=mail.other, ids=[made["id"]], properties=names)["list"]
    assert email["mailboxIds"] == {box: True}
    assert email["keywords"] == {"$seen": True}
    assert email["receivedAt"] == "2024-01-02T02:04:05Z"
    assert mail.octets(str(made["blobId"]), mail.other) == raw
    assert mail.octets(email["textBody"][0]["blobId"], mail.other) == b"body\r\n"
    changed = _copy(mail, id=id, mailboxIds={box: True}, keywords={"X": True}, receivedAt="2001-01-01T00:00:00Z")
    (email,) = mail.call("Email/get", accountId=mail.other, ids=[changed["id"]], properties=names)["list"]
    assert (email["keywords"], email["receivedAt"]) == ({"x": True}, "2001-01-01T00:00:00Z")
    mail.sound()


def test_refused_copies(mail: Mail) -> None:
    id, box = mail.bring(message()), {mail.role("inbox", mail.other): True}
    assert _copy(mail, id="nowhere", mailboxIds=box)["type"] == "notFound"
    assert _copy(mail, id=id)["properties"] == ["mailboxIds"]
    assert _copy(mail, id=id, mailboxIds={mail.role("inbox"): True})["properties"] == ["mailboxIds"]
    assert _copy(mail, id=id, mailboxIds=box, subject="new")["properties"] == ["subject"]
    same = {"fromAccountId": mail.id, "create": {"k": {"id": id, "mailboxIds": box}}}
    assert mail.error("Email/copy", **same) == "invalidArguments"
    mail.sound()


def test_a_move_to_another_account(mail: Mail) -> None:
    id, box = mail.bring(message()), {mail.role("inbox", mail.other): True}
    create = {"k": {"id": id, "mailboxIds": box}}
    arguments = {"accountId": mail.other, "fromAccountId": mail.id, "create": create, "onSuccessDestroyOriginal": True}
    copied, destroyed = mail.request(("Email/copy", arguments))
    assert copied[0] == "Email/copy"
    assert destroyed[0] == "Email/set"
    assert destroyed[1]["destroyed"] == [id]
    assert mail.call("Email/get", ids=[id])["notFound"] == [id]
    mail.sound()


# ---- Email/set: updates


def test_keywords_have_no_case(mail: Mail) -> None:
    id = mail.bring(message(), keywords={"$seen": True, "a/b": True})

    def update(**patch: object) -> dict[str, bool]:
        answer = mail.call("Email/set", update={id: {name.replace("__", "/"): value for name, value in patch.items()}})
        assert answer["notUpdated"] is None, answer
        return dict(mail.get(id, "keywords")["keywords"])

    assert update(keywords__WORK=True) == {"$seen": True, "a/b": True, "work": True}
    assert update(**{"keywords/$SEEN": None}) == {"a/b": True, "work": True}
    assert update(**{"keywords/A~1B": None}) == {"work": True}
    assert update(keywords={"$Flagged": True}) == {"$flagged": True}
    assert update(keywords={}) == {}


@pytest.mark.parametrize(
    ("patch", "type", "properties"),
    [
        ({"keywords/a": False}, "invalidProperties", ["keywords"]),
        ({"keywords/a b": True}, "invalidProperties", ["keywords"]),
        ({"keywords": {"": True}}, "invalidProperties", ["keywords"]),
        ({"keywords": {"k" * 256: True}}, "invalidProperties", ["keywords"]),
        ({"keywords": {"ü": True}}, "invalidProperties", ["keywords"]),
        ({"mailboxIds": {}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {"nowhere": True}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": None}, "invalidProperties", ["mailboxIds"]),
        ({"subject": "other"}, "invalidProperties", ["subject"]),
        ({"receivedAt": "2001-01-01T00:00:00Z"}, "invalidProperties", ["receivedAt"]),
        ({"size": 1}, "invalidProperties", ["size"]),
        ({"bodyValues": {}, "textBody": []}, "invalidProperties", None),
        ({"header:Subject": " x"}, "invalidProperties", ["header:Subject"]),
        ({"_parts": {}}, "invalidProperties", ["_parts"]),
        ({"keywords/a/b": True}, "invalidPatch", None),
    ],
)
def test_refused_updates(mail: Mail, patch: dict[str, object], type: str, properties: list[str] | None) -> None:
    id = mail.bring(message(), keywords={"$seen": True})
    error = mail.call("Email/set", update={id: patch})["notUpdated"][id]
    assert error["type"] == type
    assert re.fullmatch(r".+\.", error["description"])
    if properties is not None:
        assert error["properties"] == properties
    assert mail.get(id, "keywords")["keywords"] == {"$seen": True}
    mail.sound()


def test_what_is_unchanged_may_be_sent_back(mail: Mail) -> None:
    id = mail.bring(message())
    email = mail.get(id, "subject", "size", "blobId", "header:Subject", "headers", "textBody", "keywords")
    answer = mail.call("Email/set", update={id: email})
    assert answer["updated"] == {id: None}
    assert mail.call("Email/set", update={id: {"receivedAt": mail.get(id, "receivedAt")["receivedAt"]}})["updated"]


def test_moves_and_destroys_keep_the_counters(mail: Mail) -> None:
    inbox, trash = mail.role("inbox"), mail.role("trash")
    ids = [mail.bring(message(n)) for n in range(4)]
    mail.call(
        "Email/set",
        update={
            ids[0]: {"mailboxIds": {trash: True}},
            ids[1]: {f"mailboxIds/{trash}": True},
            ids[2]: {"keywords/$seen": True},
        },
        destroy=[ids[3]],
    )
    counts = {
        box["id"]: (box["totalEmails"], box["unreadEmails"])
        for box in mail.call("Mailbox/get", ids=[inbox, trash])["list"]
    }
    assert counts == {inbox: (2, 1), trash: (2, 2)}
    answer = mail.call("Email/set", update={ids[1]: {f"mailboxIds/{inbox}": None, f"mailboxIds/{trash}": None}})
    assert answer["notUpdated"][ids[1]]["properties"] == ["mailboxIds"]
    mail.sound()
