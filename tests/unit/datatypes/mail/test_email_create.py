from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realmail import Mail

from flaskmail.datatypes.mail.creating import compose
from flaskmail.datatypes.mail.creatingparts import MAX_DEPTH
from flaskmail.jmap.context import Limits

ANN = [{"name": "Ann Lee", "email": "ann@example.com"}]
TEXT = {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": "Hello"}}}


def headers(raw: bytes) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in email.message_from_bytes(raw).items()}


# ---- what is made


def test_a_text(mail: Mail) -> None:
    before = mail.call("Email/get", ids=[])["state"]
    drafts = mail.role("drafts")
    sent = {"mailboxIds": {drafts: True}, "keywords": {"$Draft": True}, "from": ANN, "subject": "Hi", **TEXT}
    answer = mail.call("Email/set", create={"k": sent})
    assert answer["oldState"] == before != answer["newState"]
    created = answer["created"]["k"]
    assert set(created) == {"id", "blobId", "threadId", "size"}
    found = mail.get(created["id"], fetchTextBodyValues=True)
    assert found["keywords"] == {"$draft": True}
    assert found["from"] == ANN
    assert found["subject"] == "Hi"
    assert [value["value"] for value in found["bodyValues"].values()] == ["Hello"]
    assert found["sentAt"] is not None
    assert found["to"] is None
    raw = mail.raw(created["id"])
    assert len(raw) == created["size"]
    fields = headers(raw)
    assert re.fullmatch(r"<m[a-z2-7]{24}@example\.com>", fields["message-id"])
    assert fields["mime-version"] == "1.0"
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert raw.endswith(b"\r\n\r\nHello")
    mail.sound()


def test_nothing_but_a_mailbox(mail: Mail) -> None:
    found = mail.get(mail.draft(), fetchAllBodyValues=True)
    assert [value["value"] for value in found["bodyValues"].values()] == [""]
    assert (found["subject"], found["from"], found["hasAttachment"]) == (None, None, False)


def test_every_convenient_property_comes_back(mail: Mail) -> None:
    people = [{"name": 'J. "Q" Öztürk, Dr.', "email": "j@example.com"}, {"name": None, "email": "x@example.org"}]
    sent: dict[str, Any] = dict.fromkeys(("from", "sender", "to", "cc", "bcc", "replyTo"), people)
    sent |= {
        "subject": "Grüße an alle – with a rather long tail of words so that it has to be folded somewhere, twice: 日本語",
        "sentAt": "2024-05-06T07:08:09+05:30",
        "messageId": ["own@example.com"],
        "inReplyTo": ["one@example.com"],
        "references": [f"{n}.some.longer.message.id@example.com" for n in range(20)],
        "receivedAt": "2024-05-06T07:08:10Z",
        "keywords": {},
    }
    id = mail.draft(**sent)
    assert mail.get(id, *sent) == {"id": id, **sent}
    assert all(len(line) <= 78 for line in mail.raw(id).split(b"\r\n"))


def test_alternatives_inline_images_and_attachments(mail: Mail) -> None:
    image, file = mail.upload(b"\x89PNG\r\n" * 9), mail.upload(b"%PDF" * 30)
    id = mail.draft(
        textBody=[{"partId": "t", "type": "text/plain"}],
        htmlBody=[{"partId": "h", "type": "text/html"}],
        attachments=[
            {"blobId": image, "type": "image/png", "cid": "pic@x", "disposition": "inline", "name": "p.png"},
            {"blobId": file, "type": "application/pdf", "name": "Übersicht 2024.pdf"},
            {"blobId": file, "type": "text/plain", "name": None, "size": 7},
        ],
        bodyValues={"t": {"value": "plain"}, "h": {"value": "<img src='cid:pic@x'>", "isTruncated": False}},
    )
    found = mail.get(id, "bodyStructure", "textBody", "htmlBody", "attachments", "hasAttachment")

    def tree(part: dict[str, Any]) -> Any:
        return {part["type"]: [tree(child) for child in part["subParts"]]} if "subParts" in part else part["type"]

    assert tree(found["bodyStructure"]) == {
        "multipart/mixed": [
            {
                "multipart/alternative": [
                    "text/plain",
                    {"multipart/related": ["text/html", "image/png"]},
                ]
            },
            "application/pdf",
            "text/plain",
        ]
    }
    picture, pdf, text = found["attachments"]
    assert (picture["cid"], picture["disposition"], picture["name"]) == ("pic@x", "inline", "p.png")
    assert (pdf["disposition"], pdf["name"], pdf["size"]) == ("attachment", "Übersicht 2024.pdf", 120)
    assert text["disposition"] == "attachment"
    assert mail.octets(pdf["blobId"]) == b"%PDF" * 30
    assert mail.octets(picture["blobId"]) == b"\x89PNG\r\n" * 9
    assert [part["type"] for part in found["textBody"]] == ["text/plain"]
    assert found["hasAttachment"] is True
    parts = list(email.message_from_bytes(mail.raw(id), policy=email.policy.default).walk())
    assert parts[6].get_filename() == "Übersicht 2024.pdf"


def test_body_structure_with_header_properties(mail: Mail) -> None:
    invitation = mail.upload(b"BEGIN:VCALENDAR\r\nSUMMARY:Gr\xc3\xbc\xc3\x9fe\r\n")
    id = mail.draft(
        subject="s",
        bodyStructure={
            "type": "multipart/mixed",
            "header:X-Root:asText": "root ü",
            "subParts": [
                {
                    "partId": "t",
                    "header:Content-Type": " text/plain; format=flowed; charset=latin1",
                    "language": ["de", "en"],
                    "location": "https://example.com/x",
                },
                {"blobId": invitation, "header:Content-Type": 'text/calendar; method="REQUEST"', "header:X-Part": " p"},
                {"blobId": invitation, "type": "text/plain", "charset": "iso-8859-1"},
            ],
        },
        bodyValues={"t": {"value": "Grüße\nzwei\r\ndrei"}, "unused": {"value": ""}},
    )
    wanted = ["type", "charset", "language", "location", "header:Content-Type", "header:X-Part", "partId", "blobId"]
    found = mail.get(
        id, "bodyStructure", "header:X-Root:asText", "bodyValues", bodyProperties=wanted, fetchAllBodyValues=True
    )
    assert found["header:X-Root:asText"] == "root ü"
    text, calendar, latin = found["bodyStructure"]["subParts"]
    assert (text["type"], text["charset"], text["language"]) == ("text/plain", "utf-8", ["de", "en"])
    assert text["location"] == "https://example.com/x"
    assert text["header:Content-Type"] == " text/plain; format=flowed; charset=utf-8"
    assert found["bodyValues"][text["partId"]]["value"] == "Grüße\nzwei\ndrei"
    assert calendar["header:Content-Type"] == " text/calendar; method=REQUEST; charset=utf-8"
    assert calendar["header:X-Part"] == " p"
    assert latin["charset"] == "iso-8859-1"


def test_header_properties_of_every_form(mail: Mail) -> None:
    sent = {
        "header:X-Raw": " as it is,\r\n folded",
        "header:X-Text:asText": "Ünicode",
        "header:Resent-To:asAddresses": ANN,
        "header:To:asGroupedAddresses": [
            {"name": None, "addresses": ANN},
            {"name": "Döne, Team", "addresses": [{"name": None, "email": "d@example.com"}]},
        ],
        "header:X-Ids:asMessageIds": ["a@b", "c@d"],
        "header:Resent-Date:asDate": "2024-01-02T03:04:05Z",
        "header:List-Post:asURLs": ["mailto:list@example.com", "https://example.com/?a=b&c"],
        "header:X-Many:asText:all": ["one", "zwölf"],
        "header:X-None:asText": None,
        "header:X-Empty:all": [],
    }
    id = mail.draft(**sent)
    assert mail.get(id, *sent) == {"id": id, **sent}


def test_a_message_is_attached_unchanged(mail: Mail) -> None:
    inner = mail.bring(b"From: x@example.com\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n")
    blob = mail.get(inner, "blobId")["blobId"]
    id = mail.draft(attachments=[{"blobId": blob, "type": "message/rfc822"}], **TEXT)
    (part,) = mail.get(id, "attachments")["attachments"]
    assert mail.octets(part["blobId"]) == mail.raw(inner)
    raw = mail.raw(id)
    assert b"Content-Transfer-Encoding: 8bit" in raw.partition(b"\r\n\r\n")[0]
    assert b"base64" not in raw
    # A part of a message may be attached to another.
    again = mail.draft(attachments=[{"blobId": f"{blob}-1", "type": "text/plain"}], **TEXT)
    (part,) = mail.get(again, "attachments")["attachments"]
    assert (part["charset"], mail.octets(part["blobId"])) == ("utf-8", "Grüße\r\n".encode())


def test_replies_join_the_thread(mail: Mail) -> None:
    first = mail.bring("From: a@b.example\nSubject: Plan\nMessage-ID: <p1@b.example>\n\nx\n")
    reply = mail.draft(subject="Re: Plan", inReplyTo=["p1@b.example"], references=["p1@b.example"])
    assert mail.get(first, "threadId")["threadId"] == mail.get(reply, "threadId")["threadId"]


def test_half_written_addresses_stay_one(mail: Mail) -> None:
    evil = [
        {"name": "x>, <evil@example.com", "email": "a@b.example"},
        {"name": None, "email": "half, <written"},
        {"name": "", "email": ""},
        {"name": "=?utf-8?q?x?=", "email": "c@b.example>, <d@b.example"},
    ]
    found = mail.get(mail.draft(to=evil), "to")["to"]
    assert len(found) == 4
    assert found[0] == evil[0]
    assert found[3]["name"] == evil[3]["name"]


# ---- what is refused


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ({"headers": []}, ["headers"]),
        ({"id": "x", "blobId": "b", "threadId": "t", "size": 1, "hasAttachment": False, "preview": ""}, None),
        ({"nothing": 1, "_parts": {}, "header:From:asDate": "x"}, None),
        ({"from": ANN, "header:From": " x"}, ["from", "header:From"]),
        ({"header:X-A": " x", "header:x-a:asText": "x"}, ["header:X-A", "header:x-a:asText"]),
        ({"header:Content-Type": " text/html"}, ["header:Content-Type"]),
        ({"header:content-disposition:asText": "inline"}, ["header:content-disposition:asText"]),
        ({"from": "ann@example.com"}, ["from"]),
        ({"from": [{"name": "x"}]}, ["from"]),
        ({"from": [{"email": "x@y.example", "more": 1}]}, ["from"]),
        ({"subject": 1}, ["subject"]),
        ({"sentAt": "yesterday"}, ["sentAt"]),
        ({"messageId": ["a b"]}, ["messageId"]),
        ({"references": [">x<"]}, ["references"]),
        ({"header:X:all": " x"}, ["header:X:all"]),
        ({"mailboxIds": {}}, ["mailboxIds"]),
        ({"mailboxIds": {"nowhere": True}}, ["mailboxIds"]),
        ({"keywords": {"a b": True}, "subject": 1}, ["keywords", "subject"]),
        ({"receivedAt": "2024-01-01T00:00:00+01:00"}, ["receivedAt"]),
        ({**TEXT, "bodyStructure": {"type": "text/plain", "partId": "t"}}, ["textBody", "bodyStructure"]),
        ({"textBody": []}, ["textBody"]),
        ({**TEXT, "textBody": TEXT["textBody"] * 2}, ["textBody"]),
        ({**TEXT, "textBody": [{"partId": "t", "type": "text/html"}]}, ["textBody/0/type"]),
        ({**TEXT, "textBody": None, "htmlBody": TEXT["textBody"]}, ["htmlBody/0/type"]),
        ({**TEXT, "bodyValues": {}}, ["textBody/0/partId"]),
        ({**TEXT, "bodyValues": None}, ["textBody/0/partId"]),
        ({**TEXT, "bodyValues": {"t": {"value": "x", "isTruncated": True}}}, ["bodyValues"]),
        ({**TEXT, "bodyValues": {"t": {"value": "x", "isEncodingProblem": True}}}, ["bodyValues"]),
        ({**TEXT, "bodyValues": {"t": {}}}, ["bodyValues"]),
        ({**TEXT, "textBody": [{"partId": "t", "charset": "utf-8"}]}, ["textBody/0/charset"]),
        ({**TEXT, "textBody": [{"partId": "t", "size": 5}]}, ["textBody/0/size"]),
        ({**TEXT, "textBody": [{"partId": "t", "blobId": "b"}]}, ["textBody/0"]),
        ({**TEXT, "textBody": [{"type": "text/plain"}]}, ["textBody/0"]),
        ({**TEXT, "textBody": [{"partId": "t", "headers": []}]}, ["textBody/0/headers"]),
        ({**TEXT, "textBody": [{"partId": "t", "foo": 1}]}, ["textBody/0/foo"]),
        ({**TEXT, "textBody": [{"partId": "t", "type": "text"}]}, ["textBody/0/type"]),
        ({**TEXT, "textBody": [{"partId": "t", "subParts": [{}]}]}, ["textBody/0/subParts"]),
        (
            {**TEXT, "textBody": [{"partId": "t", "header:Content-Transfer-Encoding": " 8bit"}]},
            ["textBody/0/header:Content-Transfer-Encoding"],
        ),
        (
            {**TEXT, "textBody": [{"partId": "t", "type": "text/plain", "header:Content-Type": " text/plain"}]},
            ["textBody/0/type", "textBody/0/header:Content-Type"],
        ),
        (
            {**TEXT, "textBody": [{"partId": "t", "cid": "x", "header:Content-ID": " <x>"}]},
            ["textBody/0/cid", "textBody/0/header:Content-ID"],
        ),
        ({"subject": "s", "bodyStructure": {"partId": "t", "header:Subject": " s"}}, ["bodyStructure/header:Subject"]),
        ({"bodyStructure": {"type": "multipart/mixed", "subParts": []}}, ["bodyStructure/subParts"]),
        ({"bodyStructure": {"type": "multipart/mixed", "partId": "t", "subParts": []}}, None),
        ({"bodyStructure": []}, ["bodyStructure"]),
        ({"bodyStructure": {"type": "multipart/mixed", "subParts": [1]}}, ["bodyStructure/subParts"]),
        ({"attachments": [1]}, ["attachments"]),
        ({"attachments": [{"partId": "t", "type": "message/rfc822"}], "bodyValues": TEXT["bodyValues"]}, None),
        ({"bodyValues": {"t": "x"}}, ["bodyValues"]),
    ],
)
def test_invalid_properties(mail: Mail, sent: dict[str, Any], names: list[str] | None) -> None:
    wrong = mail.wrong(**sent)
    if names is None:
        assert wrong
    else:
        assert sorted(wrong) == sorted(names)
    mail.sound()


INJECTIONS = ["x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: evil", "x\0y", "\r\n\r\nbody"]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize(
    "make",
    [
        lambda t: ("subject", {"subject": t}),
        lambda t: ("from", {"from": [{"name": t, "email": "a@example.com"}]}),
        lambda t: ("to", {"to": [{"name": "A", "email": t}]}),
        lambda t: ("cc", {"cc": [{"name": None, "email": f"{t}@example.com"}]}),
        lambda t: ("messageId", {"messageId": [t]}),
        lambda t: ("header:X-A", {"header:X-A": t}),
        lambda t: ("header:X-A:asText", {"header:X-A:asText": t}),
        lambda t: ("header:X-A:asURLs", {"header:X-A:asURLs": [t]}),
        lambda t: (
            "header:To:asGroupedAddresses",
            {"header:To:asGroupedAddresses": [{"name": t, "addresses": ANN}]},
        ),
        lambda t: (
            "attachments/0/name",
            {"attachments": [{"partId": "t", "name": t}], "bodyValues": {"t": {"value": ""}}},
        ),
        lambda t: ("textBody/0/name", {**TEXT, "textBody": [{"partId": "t", "name": t}]}),
        lambda t: ("textBody/0/cid", {**TEXT, "textBody": [{"partId": "t", "cid": t}]}),
        lambda t: ("textBody/0/type", {**TEXT, "textBody": [{"partId": "t", "type": f"text/{t}"}]}),
        lambda t: ("textBody/0/disposition", {**TEXT, "textBody": [{"partId": "t", "disposition": t}]}),
        lambda t: ("textBody/0/language", {**TEXT, "textBody": [{"partId": "t", "language": [t]}]}),
        lambda t: ("textBody/0/location", {**TEXT, "textBody": [{"partId": "t", "location": t}]}),
        lambda t: ("textBody/0/header:X-B", {**TEXT, "textBody": [{"partId": "t", "header:X-B": t}]}),
    ],
)
def test_no_value_begins_a_header_field(mail: Mail, text: str, make: Callable[[str], tuple[str, Any]]) -> None:
    name, sent = make(text)
    assert name in mail.wrong(**sent)


def test_blobs_that_are_not_there(mail: Mail) -> None:
    there = mail.upload(b"x")
    parts = [{"blobId": id, "type": "image/png"} for id in ("nowhere", there, "neither", "nowhere")]
    error = mail.refused(attachments=parts)
    assert (error["type"], error["notFound"]) == ("blobNotFound", ["nowhere", "neither"])
    foreign = {
        "mailboxIds": {mail.role("inbox", mail.other): True},
        "attachments": [{"blobId": there, "type": "image/png"}],
    }
    answer = mail.call("Email/set", accountId=mail.other, create={"k": foreign})
    assert answer["notCreated"]["k"]["type"] == "blobNotFound"


def test_what_is_too_large(new_mail: Callable[..., Mail]) -> None:
    mail = new_mail(limits=Limits(maxSizeAttachmentsPerEmail=100, maxSizeEmail=2000))
    blob = mail.upload(b"x" * 60)
    one = {"blobId": blob, "type": "image/png"}
    assert mail.refused(attachments=[one, one])["type"] == "tooLarge"
    assert mail.draft(attachments=[one])
    assert mail.refused(**{**TEXT, "bodyValues": {"t": {"value": "x" * 2000}}})["type"] == "tooLarge"


def test_nesting_is_bounded(mail: Mail) -> None:
    part: dict[str, Any] = {"partId": "t"}
    for _ in range(MAX_DEPTH - 1):
        part = {"type": "multipart/mixed", "subParts": [part]}
    found = mail.get(mail.draft(bodyStructure=part, bodyValues=TEXT["bodyValues"]), fetchAllBodyValues=True)
    assert [value["value"] for value in found["bodyValues"].values()] == ["Hello"]
    deeper = {"type": "multipart/mixed", "subParts": [part]}
    assert mail.wrong(bodyStructure=deeper, bodyValues=TEXT["bodyValues"])
    many = {"type": "multipart/mixed", "subParts": [{"partId": "t"}] * 2000}
    assert mail.wrong(bodyStructure=many, bodyValues=TEXT["bodyValues"])


def test_creation_ids_in_mailbox_ids(mail: Mail) -> None:
    answers = mail.request(
        ("Mailbox/set", {"create": {"box": {"name": "New", "parentId": None}}}),
        ("Email/set", {"create": {"k": {"mailboxIds": {"#box": True}, "subject": "s"}}}),
    )
    box = answers[0][1]["created"]["box"]["id"]
    assert mail.get(answers[1][1]["created"]["k"]["id"], "mailboxIds")["mailboxIds"] == {box: True}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "t", "text/plain", "b", "multipart/x", "\r\n"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "partId",
                    "blobId",
                    "type",
                    "subParts",
                    "name",
                    "cid",
                    "value",
                    "t",
                    "header:X",
                    "email",
                    "size",
                    "language",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
names = st.sampled_from(
    ["bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues", "from", "subject", "header:X:all", "sentAt"]
)


@given(st.dictionaries(names, json_values, max_size=6))
@settings(max_examples=300, deadline=None)
def test_anything_is_made_or_refused(sent: dict[str, Any]) -> None:
    from datetime import UTC, datetime

    from flaskmail.errors import SetError

    told = None
    try:
        raw = compose(sent, lambda id: None, Limits(), datetime.now(UTC), "example.com")
    except SetError as error:
        told = error.description
    assert told if told is not None else raw.count(b"MIME-Version: 1.0\r\n") == 1
