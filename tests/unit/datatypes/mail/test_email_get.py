from __future__ import annotations

from typing import Any

import pytest
from realmail import Mail

from flaskmail.datatypes.mail.bodies import describe
from flaskmail.datatypes.mail.properties import BODY_PROPERTIES, DEFAULT_PROPERTIES
from flaskmail.formats.mime import structure
from flaskmail.jmap.storage import Record

PLAIN = """From: Ann Lee <ann@example.com>
To: "Bob, the builder" <bob@example.com>, Friends: cat@example.com, =?utf-8?q?D=C3=A4n?= <dan@example.com>;
Subject: =?utf-8?b?R3LDvMOfZQ==?= from
 afar
Date: Tue, 2 Jan 2024 03:04:05 +0100
Message-ID: <one@example.com>
References: <zero@example.com> <half@example.com>
List-Unsubscribe: <https://example.com/unsub>, <mailto:u@example.com>
X-Tag: first
X-Tag: second
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe!
This is the second line.
"""

ALTERNATIVE = """From: ann@example.com
Subject: both
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

The plain text.
--inner
Content-Type: text/html

<p>The <b>rich</b> text with a <a href="https://example.com">link</a>.</p>
--inner--
--outer
Content-Type: application/pdf; name="=?utf-8?q?r=C3=A9sum=C3=A9.pdf?="
Content-Disposition: attachment
Content-Transfer-Encoding: base64
X-Scan: clean

SGVsbG8sIHdvcmxkIQ==
--outer--
"""


def test_default_properties(mail: Mail) -> None:
    id = mail.bring(PLAIN, keywords={"$Seen": True}, receivedAt="2024-01-02T02:04:06Z")
    email = mail.get(id)
    assert set(email) == set(DEFAULT_PROPERTIES)
    assert email["mailboxIds"] == {mail.role("inbox"): True}
    assert email["keywords"] == {"$seen": True}
    assert email["size"] == len(PLAIN.replace("\n", "\r\n").encode())
    assert email["receivedAt"] == "2024-01-02T02:04:06Z"
    assert email["from"] == [{"name": "Ann Lee", "email": "ann@example.com"}]
    assert [one["name"] for one in email["to"]] == ["Bob, the builder", None, "Dän"]
    assert email["cc"] is email["bcc"] is email["sender"] is email["replyTo"] is email["inReplyTo"] is None
    assert email["subject"] == "Grüße from afar"
    assert email["sentAt"] == "2024-01-02T03:04:05+01:00"
    assert email["messageId"] == ["one@example.com"]
    assert email["references"] == ["zero@example.com", "half@example.com"]
    assert email["hasAttachment"] is False
    assert email["preview"] == "Grüße! This is the second line."
    assert email["bodyValues"] == {}
    assert email["textBody"] == email["htmlBody"]
    assert email["attachments"] == []
    (part,) = email["textBody"]
    assert list(part) == list(BODY_PROPERTIES)
    assert part["blobId"] == f"{email['blobId']}-{part['partId']}"
    content = "Grüße!\r\nThis is the second line.\r\n".encode()
    assert mail.octets(part["blobId"]) == content
    assert part["size"] == len(content)


def test_header_properties(mail: Mail) -> None:
    id = mail.bring(PLAIN)
    names = {
        "header:subject": " =?utf-8?b?R3LDvMOfZQ==?= from\r\n afar",
        "header:SUBJECT:asText": "Grüße from afar",
        "header:x-tag": " second",
        "header:X-Tag:all": [" first", " second"],
        "header:X-Tag:asText:all": ["first", "second"],
        "header:X-None": None,
        "header:X-None:asAddresses:all": [],
        "header:From:asAddresses": [{"name": "Ann Lee", "email": "ann@example.com"}],
        "header:Date:asDate": "2024-01-02T03:04:05+01:00",
        "header:Message-ID:asMessageIds": ["one@example.com"],
        "header:List-Unsubscribe:asURLs": ["https://example.com/unsub", "mailto:u@example.com"],
    }
    email = mail.get(id, *names)
    assert email.pop("id") == id
    assert email == names
    groups = mail.get(id, "header:To:asGroupedAddresses")["header:To:asGroupedAddresses"]
    assert [(group["name"], len(group["addresses"])) for group in groups] == [(None, 1), ("Friends", 2)]


def test_all_headers(mail: Mail) -> None:
    headers = mail.get(mail.bring(PLAIN), "headers")["headers"]
    assert headers[0] == {"name": "From", "value": " Ann Lee <ann@example.com>"}
    assert [one["value"] for one in headers if one["name"] == "X-Tag"] == [" first", " second"]
    assert len(headers) == 11


@pytest.mark.parametrize(
    "name",
    [
        "header:From:asDate",
        "header:Date:asText",
        "header:Received:asText",
        "header:Subject:asRaW",
        "header:Subject:all:asText",
        "header:Sub ject",
        "header:",
        "header:Ü",
        "Header:Subject",
        "_parts",
        "nothing",
    ],
)
def test_unknown_properties_and_forbidden_forms(mail: Mail, name: str) -> None:
    assert mail.error("Email/get", ids=[], properties=[name]) == "invalidArguments"
    assert mail.error("Email/parse", blobIds=[], properties=[name]) == "invalidArguments"
    assert mail.error("Email/get", ids=[], bodyProperties=[name]) == "invalidArguments"


def test_structure_and_lists(mail: Mail) -> None:
    email = mail.get(mail.bring(ALTERNATIVE), "bodyStructure", "textBody", "htmlBody", "attachments", "hasAttachment")
    structure = email["bodyStructure"]
    assert (structure["type"], structure["partId"], structure["blobId"]) == ("multipart/mixed", None, None)
    assert [part["type"] for part in structure["subParts"]] == ["multipart/alternative", "application/pdf"]
    (text,), (html,), (pdf,) = email["textBody"], email["htmlBody"], email["attachments"]
    assert (text["type"], html["type"], pdf["type"]) == ("text/plain", "text/html", "application/pdf")
    assert (pdf["name"], pdf["disposition"], pdf["size"]) == ("résumé.pdf", "attachment", 13)
    assert mail.octets(pdf["blobId"]) == b"Hello, world!"
    assert (text["charset"], pdf["charset"]) == ("us-ascii", None)
    assert email["hasAttachment"] is True


def test_body_properties(mail: Mail) -> None:
    id = mail.bring(ALTERNATIVE)
    wanted = ["type", "header:X-Scan:asText", "headers"]
    email = mail.get(id, "bodyStructure", "attachments", bodyProperties=wanted)
    assert email["attachments"][0]["header:X-Scan:asText"] == "clean"
    assert set(email["attachments"][0]) == set(wanted)
    root = email["bodyStructure"]
    assert root["headers"][0] == {"name": "From", "value": " ann@example.com"}
    inner = root["subParts"][0]
    assert [one["name"] for one in inner["headers"]] == ["Content-Type"]
    assert inner["subParts"][1]["type"] == "text/html"
    assert mail.get(id, "textBody", bodyProperties=[])["textBody"] == [{}]
    assert mail.get(id, "textBody", bodyProperties=["partId"])["textBody"] == [{"partId": "1"}]


def test_body_values(mail: Mail) -> None:
    id = mail.bring(ALTERNATIVE)
    email = mail.get(id, "bodyValues", fetchTextBodyValues=True)
    assert set(email) == {"id", "bodyValues"}
    (text,) = email["bodyValues"].values()
    assert text == {"value": "The plain text.", "isEncodingProblem": False, "isTruncated": False}
    (html,) = mail.get(id, "bodyValues", fetchHTMLBodyValues=True)["bodyValues"].values()
    assert html["value"].startswith("<p>The <b>rich</b>")
    assert len(mail.get(id, "bodyValues", fetchAllBodyValues=True)["bodyValues"]) == 2
    assert "bodyValues" not in mail.get(id, "textBody", fetchAllBodyValues=True)


def test_truncated_values(mail: Mail) -> None:
    id = mail.bring(PLAIN)
    (value,) = mail.get(id, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=3)["bodyValues"].values()
    # "Grü" is four octets.
    assert value == {"value": "Gr", "isEncodingProblem": False, "isTruncated": True}
    id = mail.bring(ALTERNATIVE)
    html = '<p>The <b>rich</b> text with a <a href="https'
    values = mail.get(id, "bodyValues", fetchHTMLBodyValues=True, maxBodyValueBytes=len(html))["bodyValues"]
    assert values["2"]["value"] == "<p>The <b>rich</b> text with a "
    whole = mail.get(id, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=0)["bodyValues"]
    assert whole["1"]["isTruncated"] is False


@pytest.mark.parametrize(
    ("encoding", "charset"), [("8bit", "utf-8"), ("base64", "utf-16le"), ("quoted-printable", "euc-jp")]
)
def test_the_beginning_of_a_large_value(mail: Mail, encoding: str, charset: str) -> None:
    import base64
    import quopri

    text = "こんにちは世界 one two three\n" * 40_000
    octets = text.replace("\n", "\r\n").encode(charset)
    coded = {"8bit": lambda o: o, "base64": base64.encodebytes, "quoted-printable": quopri.encodestring}[encoding](
        octets
    )
    head = f"From: a@b.example\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    id = mail.bring(head.encode() + coded)
    (value,) = mail.get(id, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=1000)["bodyValues"].values()
    assert value["value"] == text.encode()[:1000].decode(errors="ignore")
    assert (value["isEncodingProblem"], value["isTruncated"]) == (False, True)
    (whole,) = mail.get(id, "bodyValues", fetchTextBodyValues=True)["bodyValues"].values()
    assert whole["value"].rstrip("\n") == text.rstrip("\n")


def test_values_far_from_each_other_are_read_apart(mail: Mail) -> None:
    big = "A" * 76 + "\n"
    raw = (
        "From: a@b.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nfirst\n--x\n"
        "Content-Type: application/octet-stream\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n"
        + big * 6000
        + "--x\n\nlast\n--x--\n"
    )
    values = mail.get(mail.bring(raw), "bodyValues", fetchTextBodyValues=True)["bodyValues"]
    assert [value["value"] for value in values.values()] == ["first", "last"]


@pytest.mark.parametrize(
    ("fields", "body", "value"),
    [
        ("Content-Type: text/plain; charset=no-such", "abc", "abc"),
        ("Content-Type: text/plain; charset=utf-8", "a\udcffb", "a\ufffdb"),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: rot13", "abc", "abc"),
    ],
)
def test_encoding_problems(mail: Mail, fields: str, body: str, value: str) -> None:
    raw = f"From: a@b.example\n{fields}\n\n{body}".replace("\n", "\r\n").encode("utf-8", "surrogateescape")
    (found,) = mail.get(mail.bring(raw), "bodyValues", fetchTextBodyValues=True)["bodyValues"].values()
    assert found == {"value": value, "isEncodingProblem": True, "isTruncated": False}


def _types(leaves: list[Any]) -> list[str]:
    return [leaf.part.cid for leaf in leaves]


def _leaf(kind: str, name: str, extra: str = "") -> str:
    return f"Content-Type: {kind}\nContent-ID: <{name}>\n{extra}\nbody {name}\n"


def _multipart(kind: str, boundary: str, *parts: str) -> str:
    inner = "".join(f"--{boundary}\n{part}" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inner}--{boundary}--\n"


INLINE, ATTACHED = "Content-Disposition: inline\n", "Content-Disposition: attachment\n"


def test_the_example_of_the_rfc() -> None:
    # RFC 8621 section 4.1.4.
    raw = _multipart(
        "mixed",
        "b1",
        _leaf("text/plain", "A", INLINE),
        _multipart(
            "mixed",
            "b2",
            _multipart(
                "alternative",
                "b3",
                _multipart(
                    "mixed",
                    "b4",
                    _leaf("text/plain", "B", INLINE),
                    _leaf("image/jpeg", "C", INLINE),
                    _leaf("text/plain", "D", INLINE),
                ),
                _multipart("related", "b5", _leaf("text/html", "E"), _leaf("image/jpeg", "F")),
            ),
            _leaf("image/jpeg", "G", ATTACHED),
            _leaf("application/x-excel", "H"),
            _leaf("message/rfc822", "J"),
        ),
        _leaf("text/plain", "K", INLINE),
    )
    body = describe(structure.parse(b"From: a@b.example\n" + raw.encode()))
    assert _types(body.text) == ["A", "B", "C", "D", "K"]
    assert _types(body.html) == ["A", "E", "K"]
    assert _types(body.attachments) == ["C", "F", "G", "H", "J"]
    assert [leaf.id for leaf in body.leaves] == [str(n) for n in range(1, 11)]
    assert body.has_attachment()


@pytest.mark.parametrize(
    ("raw", "text", "html", "attachments"),
    [
        (_leaf("text/html", "A"), "A", "A", ""),
        (_leaf("image/png", "A"), "A", "A", ""),
        (_leaf("application/pdf", "A"), "", "", "A"),
        (_leaf("text/plain", "A", ATTACHED), "", "", "A"),
        (_multipart("alternative", "x", _leaf("text/html", "A")), "A", "A", ""),
        (_multipart("alternative", "x", _leaf("text/plain", "A"), _leaf("text/calendar", "B")), "A", "A", "B"),
        (_multipart("mixed", "x", _leaf("text/plain", "A"), _leaf("text/plain; name=n", "B")), "A", "A", "B"),
        (_multipart("mixed", "x", _leaf("text/plain; name=n", "A"), _leaf("text/plain", "B")), "AB", "AB", ""),
        (_multipart("related", "x", _leaf("text/html", "A"), _leaf("image/gif", "B")), "A", "A", "B"),
        (
            _multipart(
                "alternative",
                "x",
                _leaf("text/plain", "A"),
                _multipart(
                    "mixed",
                    "y",
                    _leaf("text/html", "B"),
                    _multipart("alternative", "z", _leaf("text/plain", "C"), _leaf("text/html", "D")),
                ),
            ),
            "A",
            "BD",
            "C",
        ),
    ],
)
def test_flat_lists(raw: str, text: str, html: str, attachments: str) -> None:
    body = describe(structure.parse(b"From: a@b.example\n" + raw.encode()))
    found = ["".join(_types(leaves)) for leaves in (body.text, body.html, body.attachments)]
    assert found == [text, html, attachments]


def _related(html: str, *parts: str) -> bytes:
    page = f"Content-Type: text/html\n\n{html}\n"
    return b"From: a@b.example\n" + _multipart("related", "x", page, *parts).encode()


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (_related("<img src='cid:pic'>", _leaf("image/png", "pic")), False),
        (_related("<p>no picture</p>", _leaf("image/png", "pic")), True),
        (_related("<img src='cid:pic'>", _leaf("image/png", "pic", ATTACHED)), True),
        (_related("<img src='cid:pic'>", _leaf("image/png", "pic"), _leaf("application/zip", "z")), True),
        (_related("x", _leaf("application/zip", "z", INLINE)), False),
        (_related("x", _leaf("application/pgp-signature", "s")), False),
    ],
)
def test_has_attachment(raw: bytes, wanted: bool) -> None:
    assert describe(structure.parse(raw)).has_attachment() is wanted


def _search(mail: Mail, **condition: Any) -> list[str]:
    return list(mail.call("Email/query", filter=condition)["ids"])


def test_what_the_search_finds(mail: Mail) -> None:
    forwarded = "Content-Type: message/rfc822\n\nSubject: inner subject\n\nnutmeg\n"
    text = "Content-Type: text/plain\n\ncinnamon rolls\n"
    html = "Content-Type: text/html\n\n<style>cardamom</style><p>cinnamon rolls</p><p>saffron &amp; ginger</p>\n"
    pdf = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=anise.pdf\n\nturmeric\n"
    body = _multipart("mixed", "o", _multipart("alternative", "i", text, html), forwarded, pdf)
    id = mail.bring("From: Clove Pepper <c@salt.example>\nTo: b@b.example\nSubject: sumac\n" + body)
    for word in ("cinnamon", "saffron ginger", "nutmeg", '"inner subject"', "anise", "sumac", "clove", "salt"):
        assert _search(mail, text=word) == [id], word
    for word in ("cardamom", "turmeric"):
        assert _search(mail, text=word) == [], word
    assert _search(mail, body="sumac") == []
    assert _search(mail, **{"from": "pepper"}) == [id]
    assert _search(mail, subject="saffron") == []
    # Said in both alternatives, kept once.
    parsed = describe(structure.parse(("From: a@b.example\n" + body).encode()))
    assert parsed.search_text().count("cinnamon") == 1


def test_the_header_filter(mail: Mail) -> None:
    id = mail.bring(PLAIN)
    mail.bring("From: x@example.com\n\nbody with X-Tag: first\n")
    for test, found in {
        ("X-Tag",): True,
        ("x-TAG", "FIRST"): True,
        ("Subject", "GRÜßE FROM A"): True,
        ("X-Tag", "third"): False,
        ("X-None",): False,
        ("Content-Disposition",): False,
    }.items():
        assert _search(mail, header=list(test)) == ([id] if found else []), test


def test_parts_of_parts(mail: Mail) -> None:
    part = b"Content-Type: message/rfc822\r\n\r\n"
    inner = b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\nZGVlcA==\r\n"
    middle = b"From: m@example.com\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nhi\r\n--y\r\n" + part
    middle += inner + b"\r\n--y--\r\n"
    raw = b"From: o@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part
    blob = mail.get(mail.bring(raw + middle + b"\r\n--x--\r\n"), "blobId")["blobId"]
    assert mail.octets(f"{blob}-1") == middle
    assert mail.octets(f"{blob}-1-2") == inner
    assert mail.octets(f"{blob}-1-2-1") == b"deep"
    for wrong in ("-3", "-0", "-01", "-1-9", "-", "-1-", "-x", "-１", "-1-2-1-1-1"):
        assert not mail.has_blob(blob + wrong), wrong
    assert not mail.has_blob(f"{blob}-1", mail.other)
    parsed = mail.call(
        "Email/parse", blobIds=[f"{blob}-1", f"{blob}-1-2"], properties=["blobId", "subject", "attachments"]
    )
    assert parsed["notParsable"] is parsed["notFound"] is None
    assert parsed["parsed"][f"{blob}-1"]["attachments"][0]["blobId"] == f"{blob}-1-2"
    assert parsed["parsed"][f"{blob}-1-2"]["subject"] == "inner"


def test_hot_properties_are_ready_json(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    id = mail.bring(PLAIN)
    email = mail.server.types["Email"]

    def compute(*_: Any) -> None:
        raise AssertionError("nothing is computed for a list of messages")

    monkeypatch.setattr(type(email), "compute", compute)
    names = [n for n in DEFAULT_PROPERTIES if n not in ("id", "bodyValues")]
    assert set(mail.get(id, *names)) == {"id", *names}


def test_offsets_agree_with_the_structure(mail: Mail) -> None:
    id = mail.bring(ALTERNATIVE)
    raw = mail.raw(id)
    with mail.server.store.read(mail.id) as reader:
        (record,) = reader.get("Email", [id], ("_parts", "_head"))
    record: Record
    assert raw[: record["_head"]].endswith(b"boundary=outer\r\n")
    start, end, encoding, charset, kind = record["_parts"]["3"]
    assert raw[start:end] == b"SGVsbG8sIHdvcmxkIQ=="
    assert (encoding, charset, kind) == ("base64", None, "application/pdf")
