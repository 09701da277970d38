"""No message takes more than a second of CPU or 64 MB, and none raises; the guards stand at five times the bound of time."""

from __future__ import annotations

import tracemalloc

import pytest
from guarding import within
from hypothesis import given, settings
from hypothesis import strategies as st

from flaskmail.formats.mime import forms, structure, transfer
from flaskmail.formats.mime.structure import Part
from tests.unit.formats.mime.hostile import HOSTILE


def everything(raw: bytes) -> structure.Message:
    """Reads all there is to read of a message, in every form."""
    message = structure.parse(raw)
    for name, value in message.root.headers:
        for form in forms.allowed_forms(name):
            forms.FORMS[form](value)
    for part in message.root.walk():
        if not part.multipart:
            assert transfer.decoded_size(raw, part) >= 0
            text, _, _ = transfer.decode_text(raw, part)
            text.encode("utf-8")
    return message


def check_places(part: Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.header_end <= part.body_start <= part.body_end <= end
    at = part.body_start
    for child in part.parts:
        check_places(child, at, part.body_end)
        at = child.body_end


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_bounded(name: str) -> None:
    raw = HOSTILE[name]()
    message = within(5, lambda: everything(raw))
    assert message.raw is raw
    check_places(message.root, 0, len(raw))


# Tracing makes these take seconds; what they pile up is bounded by addresses.MAX_WORDS and params.MAX_VALUE.
SLOW_TO_TRACE = {
    "900,000 open comments",
    "at signs",
    "300,000 comments",
    "parameters that never are",
    "dots",
    "quotation marks in parameters",
    "open brackets",
    "open angle brackets",
    "quotation marks and backslashes",
    "open angle brackets and strings",
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in SLOW_TO_TRACE])
def test_memory_is_bounded(name: str) -> None:
    raw = HOSTILE[name]()
    tracemalloc.start()
    try:
        everything(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b" ",
        b"--b",
        b"--b--",
        b"--bb",
        b"--",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/digest; boundary=bb",
        b"Content-Type: text/plain; charset=",
        b"Content-Type: message/rfc822",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: uuencode",
        b"begin 644 x",
        b"Subject: ",
        b"=?utf-8?b?",
        b"?=",
        b"To: ",
        b'"',
        b"<",
        b">",
        b"(",
        b")",
        b"@",
        b",",
        b":",
        b";",
        b"\\",
        b"Date: ",
        b"1 Jan 2020 1:2",
        b"filename*0*=",
        b"%",
        b"'",
        b"=",
        b"=41",
        b"utf-7",
        b"\xff",
        "é".encode(),
    ]
)


@given(st.one_of(st.binary(max_size=400), st.lists(PIECES, max_size=60).map(b"".join)))
@settings(max_examples=400, deadline=None)
def test_any_octets_are_a_message(raw: bytes) -> None:
    message = everything(raw)
    assert message.raw == raw
    check_places(message.root, 0, len(raw))


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(b"".join)))
@settings(max_examples=300, deadline=None)
def test_any_octets_have_every_form(value: bytes) -> None:
    for form in forms.FORMS.values():
        form(value)


@given(
    st.lists(st.tuples(st.from_regex(r"[!-9;-~]{1,20}", fullmatch=True), st.from_regex(r"[ -~]{0,40}", fullmatch=True)))
)
def test_fields_come_back_as_they_were(fields: list[tuple[str, str]]) -> None:
    for end in ("\n", "\r\n", "\r"):
        raw = "".join(f"{name}:{value}{end}" for name, value in fields) + end + "body"
        root = structure.parse(raw.encode()).root
        if fields or end != "\r":
            assert [(name, value.decode()) for name, value in root.headers] == fields
            assert raw[root.body_start : root.body_end] == "body"
            assert raw[root.header_start : root.header_end] == raw[: -len(end) - 4]
