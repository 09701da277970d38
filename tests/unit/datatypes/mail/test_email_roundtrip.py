"""What a client sends to Email/set comes back from Email/get, and another library reads the same message."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flaskmail.datatypes.mail import showing
from flaskmail.datatypes.mail.creating import compose
from flaskmail.datatypes.mail.importing import message_record, name_blobs
from flaskmail.formats.mime import structure, transfer
from flaskmail.formats.mime.words import nfc
from flaskmail.jmap.context import BlobContent, Limits
from flaskmail.jmap.storage import Record

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=90).map(lambda t: nfc(t.strip()))
name = line.map(lambda text: text or None)
atom = st.text(st.sampled_from("abcXYZ019-_+é日"), min_size=1, max_size=12)
person = st.fixed_dictionaries({"name": st.none() | name, "email": st.builds("{}@{}".format, atom, atom)})
people = st.lists(person, min_size=1, max_size=4)
ids = st.lists(
    st.builds("{}@example.org".format, st.text(st.sampled_from("aZ0.-_+"), min_size=1)), min_size=1, max_size=5
)
moment = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.strftime("%Y-%m-%dT%H:%M:%SZ"))
body_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=300)
octets = st.binary(max_size=200) | body_text.map(str.encode)

head = st.fixed_dictionaries(
    {},
    optional={
        "from": people,
        "to": people,
        "cc": people,
        "bcc": people,
        "replyTo": people,
        "sender": st.lists(person, min_size=1, max_size=1),
        "subject": line,
        "messageId": ids.map(lambda found: found[:1]),
        "inReplyTo": ids,
        "references": ids,
        "sentAt": moment,
        "header:X-Note:asText": line,
        "header:X-Many:asText:all": st.lists(line, max_size=3),
        "header:List-Post:asURLs": st.just(["mailto:list@example.org", "https://example.org/?a=(b)"]),
        "header:X-People:asAddresses": people,
    },
)

file_name = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="/\\"), min_size=1, max_size=80
)
described = {
    "name": file_name.map(nfc),
    "cid": st.text(st.sampled_from("abc.@-"), min_size=1, max_size=40),
    "disposition": st.sampled_from(["attachment", "inline"]),
    "language": st.lists(st.sampled_from(["de", "en-GB", "ja"]), min_size=1, max_size=2),
    "location": st.just("https://example.org/a%20b"),
    "header:X-Part:asText": line,
}
text_leaf = st.fixed_dictionaries(
    {"type": st.sampled_from(["text/plain", "text/html", "text/csv"]), "value": body_text}, optional=described
)
blob_leaf = st.fixed_dictionaries(
    {"type": st.sampled_from(["application/pdf", "image/png", "application/octet-stream"]), "content": octets},
    optional=described,
)
tree = st.recursive(
    text_leaf | blob_leaf,
    lambda parts: st.builds(
        lambda kind, children: {"type": kind, "subParts": children},
        st.sampled_from(["multipart/mixed", "multipart/alternative", "multipart/related"]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def sendable(part: Record, values: dict[str, Any], blobs: dict[str, bytes]) -> Record:
    """The EmailBodyPart of a generated tree; its contents go into ``values`` and ``blobs``."""
    sent = {key: value for key, value in part.items() if key not in ("value", "content", "subParts")}
    if "subParts" in part:
        sent["subParts"] = [sendable(child, values, blobs) for child in part["subParts"]]
    elif "value" in part:
        sent["partId"] = f"p{len(values)}"
        values[sent["partId"]] = {"value": part["value"]}
    else:
        sent["blobId"] = f"b{len(blobs)}"
        blobs[sent["blobId"]] = part["content"]
    return sent


def made(sent: Record, blobs: dict[str, bytes]) -> bytes:
    def find(id: str) -> BlobContent | None:
        return BlobContent(id, len(blobs[id]), lambda: blobs[id]) if id in blobs else None

    raw = compose(sent, find, Limits(), NOW, "example.org")
    assert all(len(one) <= 998 and b"\r" not in one and b"\n" not in one for one in raw.split(b"\r\n"))
    assert b"\0" not in raw
    return raw


def seen(raw: bytes, names: list[str]) -> Record:
    """As Email/get shows it."""
    record, _ = message_record(raw, NOW, (), ())
    name_blobs(record, "gblob")
    wanted = [*names, "bodyStructure", "bodyValues"]
    properties = [
        "partId",
        "type",
        "charset",
        "name",
        "cid",
        "disposition",
        "language",
        "location",
        "header:X-Part:asText",
    ]
    showing.show(
        record, lambda start, end: raw[start:end], wanted, {"fetchAllBodyValues": True, "bodyProperties": properties}
    )
    return record


@given(head)
def test_header_fields_come_back(sent: Record) -> None:
    raw = made(sent, {})
    email = seen(raw, list(sent))
    assert {key: email[key] for key in sent} == sent
    assert email["sentAt"] == sent.get("sentAt", "2024-05-06T07:08:09Z")
    assert len(email["messageId"]) == 1


@given(head)
def test_the_standard_library_reads_the_same_header_fields(sent: Record) -> None:
    raw = made(sent, {})
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    if "=?" not in sent.get("subject", ""):
        assert nfc(str(message["subject"] or "")) == sent.get("subject", "")
    for key in ("from", "to", "cc", "bcc"):
        wanted = [one["email"] for one in sent.get(key, ())]
        if "".join(wanted).isascii() and not any("=?" in (one["name"] or "") for one in sent.get(key, ())):
            found = message[key].addresses if message[key] is not None else ()
            assert [one.addr_spec for one in found] == wanted
    old = email.message_from_bytes(raw)
    # Each field is there as often as it was sent, however its value looks.
    assert [old.get_all(field) is not None for field in ("from", "to", "bcc")] == [
        key in sent for key in ("from", "to", "bcc")
    ]
    assert len(old.get_all("date")) == len(old.get_all("message-id")) == len(old.get_all("mime-version")) == 1
    assert len(old.get_all("x-many", [])) == len(sent.get("header:X-Many:asText:all", []))


def check_part(part: Record, shown: Record, values: Record, raw: bytes, parts: list[structure.Part]) -> None:
    if "subParts" in part:
        assert shown["type"] == part["type"]
        for child, inner in zip(part["subParts"], shown["subParts"], strict=True):
            check_part(child, inner, values, raw, parts)
        return
    leaf = parts.pop(0)
    for key, value in part.items():
        if key == "content":
            assert transfer.decode_body(raw[leaf.body_start : leaf.body_end], leaf.encoding) == (value, False)
        elif key == "value":
            assert values[shown["partId"]] == {"value": value, "isEncodingProblem": False, "isTruncated": False}
            assert shown["charset"] == "utf-8"
        else:
            assert shown[key] == value, key


@given(tree, head)
def test_bodies_come_back(root: Record, fields: Record) -> None:
    values: dict[str, Any] = {}
    blobs: dict[str, bytes] = {}
    sent = {**fields, "bodyStructure": sendable(root, values, blobs), "bodyValues": values}
    raw = made(sent, blobs)
    email = seen(raw, list(fields))
    assert {key: email[key] for key in fields} == fields
    leaves = [part for part in structure.parse(raw).root.walk() if not part.multipart]
    check_part(root, email["bodyStructure"], email["bodyValues"], raw, leaves)


def contents(part: Record) -> list[tuple[str, bytes, str | None]]:
    if "subParts" in part:
        return [found for child in part["subParts"] for found in contents(child)]
    octets = part["content"] if "content" in part else part["value"].replace("\n", "\r\n").encode()
    return [(part["type"], octets, part.get("name"))]


@given(tree)
def test_the_standard_library_reads_the_same_bodies(root: Record) -> None:
    values: dict[str, Any] = {}
    blobs: dict[str, bytes] = {}
    raw = made({"bodyStructure": sendable(root, values, blobs), "bodyValues": values}, blobs)
    message = email.message_from_bytes(raw)
    found = [
        (part.get_content_type(), part.get_payload(decode=True), part.get_filename())
        for part in message.walk()
        if not part.is_multipart()
    ]
    assert found == contents(root)
    modern = email.message_from_bytes(raw, policy=email.policy.default)
    assert [defect for part in modern.walk() for defect in part.defects] == []


@given(
    st.none() | body_text,
    st.none() | body_text,
    st.lists(st.tuples(octets, st.booleans(), file_name), max_size=3),
)
def test_flat_bodies_come_back(text: str | None, html: str | None, files: list[tuple[bytes, bool, str]]) -> None:
    sent: Record = {"bodyValues": {"t": {"value": text or ""}, "h": {"value": html or ""}}}
    if text is not None:
        sent["textBody"] = [{"partId": "t", "type": "text/plain"}]
    if html is not None:
        sent["htmlBody"] = [{"partId": "h"}]
    blobs = {f"b{n}": content for n, (content, _, _) in enumerate(files)}
    if files:
        sent["attachments"] = [
            {"blobId": f"b{n}", "type": "application/x-thing", "name": name}
            | ({"cid": f"c{n}@x", "disposition": "inline"} if inline else {})
            for n, (_, inline, name) in enumerate(files)
        ]
    email = seen(made(sent, blobs), ["textBody", "htmlBody", "attachments"])
    shown = {
        key: [(part["type"], email["bodyValues"][part["partId"]]["value"]) for part in email[key]]
        for key in ("textBody", "htmlBody")
    }
    plain, rich = [("text/plain", text)] * (text is not None), [("text/html", html)] * (html is not None)
    if text is None and html is None and not files:
        plain = [("text/plain", "")]
    assert shown == {"textBody": plain or rich, "htmlBody": rich or plain}
    # Pictures and the like that the HTML shows lie beside it, before the rest.
    related = [one for one in files if one[1] and html is not None]
    rest = [one for one in files if one not in related]
    assert [part["name"] for part in email["attachments"]] == [nfc(one[2]) for one in (*related, *rest)]
    assert email["hasAttachment"] is any(not inline for _, inline, _ in files)
