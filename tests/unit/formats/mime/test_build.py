from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime, timedelta, timezone
from email.message import Message as StdlibMessage
from typing import Any

import pytest
from guarding import within
from hypothesis import assume, given
from hypothesis import strategies as st

from flaskmail.formats.mime import build, forms, structure, transfer
from flaskmail.formats.mime.build import Entity, Unwritable
from flaskmail.formats.mime.structure import Part
from flaskmail.formats.mime.words import nfc

CONTROLS = [chr(n) for n in (*range(9), *range(10, 32), 127)]

# What can stand in a header field: no control characters, no surrogates.
line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)
word = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100)
prose = st.lists(st.one_of(word, line, st.sampled_from(["=?utf-8?q?x?=", "ü", "日本語", "=?", "?=", " ", "\t"]))).map(
    " ".join
)
atom = st.text(st.sampled_from("abcXYZ019-_+!#é日"), min_size=1, max_size=20)
mailbox = st.builds("{}@{}".format, st.lists(atom, min_size=1, max_size=3).map(".".join), atom)
person = st.fixed_dictionaries({"name": st.none() | line, "email": mailbox})
identifier = word.filter(lambda text: not set("<>()") & set(text))


def written(name: str, value: str) -> tuple[bytes, bytes]:
    """(the field as it stands in a message, its value as the parser finds it)."""
    octets = build.field_line(name, value)
    root = structure.parse(octets + b"\r\nbody").root
    ((found, read),) = list(root.headers)
    assert found == name
    return octets, read


def lines_fit(octets: bytes) -> bool:
    lines = octets.split(b"\r\n")
    return all(len(one) <= 998 and b"\n" not in one and b"\r" not in one and b"\0" not in one for one in lines)


# ---- header fields


@given(prose)
def test_text_reads_back_as_it_was(value: str) -> None:
    octets, read = written("Subject", build.text(value))
    assert lines_fit(octets)
    assert octets.isascii()
    # A tab within encoded words is a space.
    assert forms.as_text(read).replace("\t", " ") == nfc(value).replace("\t", " ")


@given(prose)
def test_another_library_reads_the_same_text(value: str) -> None:
    assume("=?" not in value and "\t" not in value and value == value.strip())
    octets = build.field_line("Subject", build.text(value))
    found = email.message_from_bytes(octets + b"\r\n", policy=email.policy.default)["subject"]
    assert str(found) == value


@given(st.lists(person, max_size=8))
def test_addresses_read_back_as_they_were(people: list[dict[str, Any]]) -> None:
    octets, read = written("To", build.addresses(people))
    assert lines_fit(octets)
    # Readers take white space of any kind off both ends of a name.
    expected = [(nfc((one["name"] or "").strip()) or None, one["email"]) for one in people]
    assert [(a["name"] and nfc(a["name"].strip()), a["email"]) for a in forms.as_addresses(read)] == expected


@given(
    st.lists(st.fixed_dictionaries({"name": st.none() | word, "addresses": st.lists(person, max_size=3)}), max_size=4)
)
def test_groups_read_back_as_they_were(groups: list[dict[str, Any]]) -> None:
    _, read = written("To", build.grouped_addresses(groups))
    expected: list[tuple[str | None, list[str]]] = []
    for group in groups:
        emails = [one["email"] for one in group["addresses"]]
        if group["name"] is not None:
            expected.append((group["name"], emails))
        elif emails and expected and expected[-1][0] is None:
            expected[-1][1].extend(emails)
        elif emails:
            expected.append((None, emails))
    found = [
        (group["name"], [one["email"] for one in group["addresses"]]) for group in forms.as_grouped_addresses(read)
    ]
    assert found == expected


@pytest.mark.parametrize(
    "half_written",
    ["bob", "bob@", "@example.com", "a b@example.com", "<x>", "a,b@example.com", '"', "a\\", "x@y@z", "a;b", "(c)", ""],
)
def test_half_written_addresses_stay_one_address_each(half_written: str) -> None:
    people = [{"name": None, "email": "a@b.example"}, {"name": "B", "email": half_written}, {"email": "c@d.example"}]
    _, read = written("To", build.addresses(people))
    found = forms.as_addresses(read)
    assert [one["email"] for one in (found[0], found[-1])] == ["a@b.example", "c@d.example"]
    assert len(found) == 3 or (half_written == "" and len(found) == 2)


@given(st.lists(identifier, min_size=1, max_size=40))
def test_message_ids_and_urls_read_back(values: list[str]) -> None:
    octets, read = written("References", build.message_ids(values))
    assert lines_fit(octets)
    assert forms.as_message_ids(read) == values
    assert forms.as_urls(written("List-Post", build.urls(values))[1]) == values


@pytest.mark.parametrize("value", ["", "a b", "a>", "<a", "a\r\nb", "a\0", "x" * 901, "ü" * 451])
def test_what_is_no_message_id_is_refused(value: str) -> None:
    with pytest.raises(Unwritable):
        build.message_ids([value])


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 30)),
    st.integers(-23 * 60, 23 * 60),
)
def test_dates_read_back_to_the_second(moment: datetime, minutes: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    _, read = written("Date", build.date(moment))
    found = forms.as_date(read)
    assert found is not None
    assert datetime.fromisoformat(found) == moment
    assert email.utils.parsedate_to_datetime(read.decode().strip()) == moment


def test_a_date_that_no_field_can_hold_is_refused() -> None:
    with pytest.raises(Unwritable):
        build.date(datetime(1899, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize("control", CONTROLS)
def test_no_value_begins_another_field(control: str) -> None:
    nasty = f"x{control}Bcc: eve@example.com"
    for write in (
        build.text,
        build.phrase,
        lambda value: build.addresses([{"name": value, "email": "a@b.c"}]),
        lambda value: build.addresses([{"name": None, "email": value}]),
        lambda value: build.grouped_addresses([{"name": value, "addresses": []}]),
        lambda value: build.message_ids([value]),
        lambda value: build.urls([value]),
        lambda value: build.parameters([("name", value)]),
        lambda value: build.parameters([(value, "x")]),
        build.content_id,
    ):
        with pytest.raises(Unwritable):
            write(nasty)
    assert not build.is_token(nasty)


@pytest.mark.parametrize(
    "value", ["a\r\nBcc: x", "a\nb", "a\rb", "a\0", "a\r\n", "a\r\n \r\nb", "a\r\n\r\nb", "a\n b", "\r\n", "a\r\n \t "]
)
def test_raw_values_hold_folds_and_no_other_line_breaks(value: str) -> None:
    with pytest.raises(Unwritable):
        build.raw(value)


@pytest.mark.parametrize("value", ["plain", " leading", "a\r\n b", " a\r\n\tb\r\n  c", "ünïcode", "tab\there", ""])
def test_raw_values_are_kept(value: str) -> None:
    _, read = written("X-Raw", build.raw(value))
    assert forms.as_raw(read).removeprefix(" ") == value.removeprefix(" ")
    if value.startswith(" ") or "\n" in value:
        assert forms.as_raw(read) == value


@given(st.text(st.sampled_from("ab \t\r\n\0:é"), max_size=60))
def test_a_raw_value_is_one_field_or_refused(value: str) -> None:
    try:
        octets = build.field_line("X-Raw", build.raw(value))
    except Unwritable:
        return
    assert len(structure.parse(octets + b"\r\n").root.headers) == 1
    assert octets.endswith(b"\r\n")


def test_a_line_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(Unwritable):
        build.field_line("X-Long", build.raw("x" * 1000))
    octets = build.field_line("X-Long", build.raw("x " * 5000))
    assert lines_fit(octets)


# ---- parameters


@given(st.lists(st.tuples(st.just("filename"), line.filter(bool)), min_size=1, max_size=1))
def test_parameters_read_back_by_both(pairs: list[tuple[str, str]]) -> None:
    value = "attachment" + build.parameters(pairs)
    octets = build.field_line("Content-Disposition", value)
    assert lines_fit(octets)
    assert octets.isascii()
    message = email.message_from_bytes(octets + b"\r\n")
    assert message.get_filename() == pairs[0][1].strip()


@given(line.filter(bool))
def test_our_parser_reads_any_parameter_back(value: str) -> None:
    from flaskmail.formats.mime import params

    octets = build.field_line("Content-Type", "text/plain" + build.parameters([("x-note", value)]))
    _, found = params.parse(octets.partition(b":")[2])
    assert found["x-note"] == value


# ---- bodies


@given(st.binary(max_size=300), st.sampled_from(["text/plain", "application/pdf", "image/png"]), st.booleans())
def test_any_content_comes_back_octet_for_octet(content: bytes, kind: str, text: bool) -> None:
    encoding, octets = build.encode(content, kind, text=text)
    assert transfer.decode_body(octets, encoding) == (content, False)
    assert octets.isascii()
    assert lines_fit(octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 76 or encoding == "7bit"


@given(
    st.lists(st.sampled_from([b"From me", b".", b"a" * 997, b"a" * 1200, b"=", b" ", b"\t", "ü".encode() * 40, b"\r"]))
)
def test_awkward_lines_come_back(lines: list[bytes]) -> None:
    content = b"\r\n".join(lines)
    encoding, octets = build.encode(content, "text/plain", text=True)
    assert transfer.decode_body(octets, encoding) == (content, False)
    assert lines_fit(octets)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"Subject: x\r\n\r\nplain\r\n", "7bit"),
        ("Subject: ü\r\n\r\nx\r\n".encode(), "8bit"),
        (b"Subject: x\r\n\r\n\0", "binary"),
        (b"a" * 2000, "binary"),
    ],
)
def test_a_message_is_never_encoded(content: bytes, encoding: str) -> None:
    assert build.encode(content, "message/rfc822", text=False) == (encoding, content)


# ---- whole messages


leaf = st.builds(
    lambda kind, params, content: Entity(kind, params, content=content, text=kind.startswith("text/")),
    st.sampled_from(["text/plain", "text/html", "text/calendar", "application/pdf", "image/jpeg"]),
    st.lists(st.tuples(st.sampled_from(["name", "x-a"]), line.filter(bool)), max_size=1),
    st.binary(max_size=200) | st.text(max_size=80).map(lambda t: t.encode("utf-8", "replace")),
)
tree = st.recursive(
    leaf,
    lambda children: st.builds(
        lambda kind, parts: Entity(kind, children=parts),
        st.sampled_from(["multipart/mixed", "multipart/alternative", "multipart/related"]),
        st.lists(children, min_size=1, max_size=4),
    ),
    max_leaves=8,
)


def ours(raw: bytes, part: Part) -> Any:
    if part.multipart:
        return (part.type, [ours(raw, child) for child in part.parts])
    return (part.type, transfer.decode_body(raw[part.body_start : part.body_end], part.encoding)[0])


def theirs(part: StdlibMessage) -> Any:
    if part.is_multipart():
        return (part.get_content_type(), [theirs(child) for child in part.get_payload()])
    return (part.get_content_type(), part.get_payload(decode=True))


def meant(entity: Entity) -> Any:
    if entity.content is None:
        return (entity.type, [meant(child) for child in entity.children])
    return (entity.type, entity.content)


@given(tree)
def test_what_is_built_is_what_is_read(root: Entity) -> None:
    raw = build.message([("Subject", "x"), ("MIME-Version", "1.0")], root)
    assert raw.isascii()
    assert lines_fit(raw)
    assert ours(raw, structure.parse(raw).root) == meant(root)


@given(tree)
def test_the_standard_library_reads_the_same(root: Entity) -> None:
    raw = build.message([("Subject", "x"), ("MIME-Version", "1.0")], root)
    assert theirs(email.message_from_bytes(raw)) == meant(root)
    modern = email.message_from_bytes(raw, policy=email.policy.default)
    assert theirs(modern) == meant(root)
    assert [defect for part in modern.walk() for defect in part.defects] == []


def test_a_boundary_cannot_be_foreseen() -> None:
    root = Entity("multipart/mixed", children=[Entity("text/plain", content=b"x")])
    boundaries = {re.search(rb'boundary="?([^";\r]+)', build.message([], root))[1] for _ in range(3)}  # type: ignore[index]
    assert len(boundaries) == 3


def test_composites_are_labelled_with_what_their_parts_need() -> None:
    forwarded = Entity("message/rfc822", content="Subject: ü\r\n\r\nx".encode())
    raw = build.message([], Entity("multipart/mixed", children=[Entity("text/plain", content=b"x"), forwarded]))
    assert raw.count(b"Content-Transfer-Encoding: 8bit") == 2


@pytest.mark.parametrize("value", ["ä" * 300, "word ä " * 60, "日本語" * 100, "plain words first and then ä " * 9])
def test_lines_with_encoded_words_are_short(value: str) -> None:
    octets, read = written("Subject", build.text(value))
    # RFC 2047 section 2.
    assert all(len(one) <= 76 for one in octets.split(b"\r\n")), octets
    assert forms.as_text(read) == value


def test_large_content_is_cheap() -> None:
    def build_it() -> None:
        build.encode(bytes(range(256)) * 40_000, "application/pdf", text=False)
        build.encode(("zwölf Boxkämpfer\r\n" * 200_000).encode(), "text/plain", text=True)
        build.field_line("Subject", build.text("ä b " * 50_000))
        build.field_line("To", build.addresses([{"name": "Ä", "email": "a@b.example"}] * 20_000))

    within(10, build_it)
