from __future__ import annotations

import textwrap

import pytest

from flaskmail.formats.mime import headers, structure
from flaskmail.formats.mime.structure import Part


def part(text: str | bytes) -> Part:
    return structure.parse(text.encode() if isinstance(text, str) else text).root


def shape(one: Part) -> object:
    return [one.type, *map(shape, one.parts)] if one.parts else one.type


def bodies(raw: bytes) -> list[bytes]:
    return [raw[p.body_start : p.body_end] for p in structure.parse(raw).root.walk() if not p.multipart]


NESTED = textwrap.dedent("""\
    Subject: nested
    Content-Type: multipart/mixed; boundary="outer"

    preamble
    --outer
    Content-Type: multipart/alternative; boundary="outer.inner"

    --outer.inner

    plain
    --outer.inner
    Content-Type: text/html; charset=utf-8

    <p>html
    --outer.inner--
    inner epilogue
    --outer
    Content-Type: message/rfc822

    Subject: inside
    Content-Type: multipart/mixed; boundary=x

    --x

    y
    --x--

    --outer--
    epilogue
    """).encode()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
def test_nested_multiparts_with_any_line_end(end: bytes) -> None:
    raw = NESTED.replace(b"\n", end)
    root = part(raw)
    assert shape(root) == ["multipart/mixed", ["multipart/alternative", "text/plain", "text/html"], "message/rfc822"]
    assert [body.rstrip(b"\r\n") for body in bodies(raw)][:2] == [b"plain", b"<p>html"]
    if end in (b"\n", b"\r\n"):
        assert bodies(raw)[:2] == [b"plain", b"<p>html"]
        assert bodies(raw)[2] == NESTED[NESTED.index(b"Subject: inside") : NESTED.index(b"\n--outer--")].replace(
            b"\n", end
        )


def test_offsets_of_a_simple_message() -> None:
    root = part(b"A: b\r\nC: d\r\n\r\nbody\r\n")
    assert (root.header_start, root.header_end, root.body_start, root.body_end) == (0, 12, 14, 20)
    assert root.headers.fields == [("A", b" b"), ("C", b" d")]


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\n", b"\0", b"\r", b"no header at all", b"\xff\xfe\n\n\x80"])
def test_next_to_nothing_is_text(raw: bytes) -> None:
    root = part(raw)
    assert root.type == "text/plain"
    assert root.parts == ()
    assert len(root.headers) == 0


def test_defaults() -> None:
    root = part("Subject: x\n\n")
    assert (root.type, root.charset, root.implied_charset, root.encoding) == ("text/plain", None, "us-ascii", "7bit")
    assert (root.disposition, root.name, root.cid, root.language, root.location) == (None, None, None, None, None)
    assert part("Content-Type: image/png\n\n").implied_charset is None
    assert part("Content-Type: text\n\n").type == "text/plain"
    assert part("Content-Type: text/html charset=utf-8\n\n").type == "text/html"
    assert part("Content-Type: image (x) / (y) png\n\n").type == "image/png"


def test_digest_holds_messages() -> None:
    root = part(
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b\nContent-Type: text/html\n\n--b--"
    )
    assert shape(root) == ["multipart/digest", "message/rfc822", "text/html"]


def test_the_fields_of_a_part() -> None:
    root = part(
        'Content-Type: Text/HTML (really); charset="UTF-8" (of course); name=other\n'
        'Content-Disposition: Attachment ; filename="a \\"b\\".txt"\n'
        "Content-Transfer-Encoding: (not) Base64\n"
        "Content-ID: (comment) <part@example.org>\n"
        "Content-Language: de, en-GB (British)\n"
        "Content-Location:\n http://example.org/\n  a.html\n\n"
    )
    assert (root.type, root.charset, root.encoding) == ("text/html", "UTF-8", "base64")
    assert (root.disposition, root.name, root.cid) == ("attachment", 'a "b".txt', "part@example.org")
    assert root.language == ["de", "en-GB"]
    assert root.location == "http://example.org/a.html"


def test_name_falls_back_to_content_type() -> None:
    assert part('Content-Type: a/b; name="=?utf-8?q?=C3=A4?=.txt"\nContent-Disposition: inline\n\n').name == "ä.txt"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed",
        'multipart/mixed; boundary=""',
        "multipart/mixed; boundary=absent",
        "multipart/mixed; boundary=" + "x" * 999,
    ],
)
def test_a_multipart_without_parts_can_be_read(content_type: str) -> None:
    root = part(f"Content-Type: {content_type}\n\n--b\n\ntext\n--b--\n")
    assert root.type == "text/plain"
    assert root.parts == ()


def test_what_comes_after_a_missing_closing_delimiter() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"
    assert bodies(raw) == [b"one", b"two\n"]


def test_an_outer_delimiter_ends_inner_parts() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n"
        b"--a\n\ntwo\n--b\n\nnot a delimiter here\n--a--\n"
    )
    assert bodies(raw) == [b"one", b"two\n--b\n\nnot a delimiter here"]


def test_a_boundary_that_begins_like_another() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bb\nstill one\n--b \t\n\ntwo\n--b--\n"
    assert bodies(raw) == [b"one\n--bb\nstill one", b"two"]


def test_an_empty_part_counts_and_repeated_delimiters_do_not() -> None:
    assert len(part("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\n\nx\n--b--\n").parts) == 2
    assert len(part("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nx\n--b--\n").parts) == 1


def test_lines_that_are_no_fields() -> None:
    root = part("From a@b Mon Jan  1 00:00:00 2020\nSubject: x\nlost its fold\nTo: y\n\nbody")
    assert [name for name, _ in root.headers] == ["Subject", "To"]
    raw = b"Subject: x\nThe empty line is missing.\nSecond line\n\nmore"
    assert raw[part(raw).body_start :] == b"The empty line is missing.\nSecond line\n\nmore"
    raw = b"Content-Type: multipart/mixed; boundary=b\n--b\nContent-Type: text/html\n\nx\n--b--\n"
    assert shape(part(raw)) == ["multipart/mixed", "text/html"]


def test_a_bare_cr_among_line_feeds_is_an_ordinary_octet() -> None:
    root = part(b"Subject: a\rBcc: b\r\n\r\nx\ry")
    assert root.headers.fields == [("Subject", b" a\rBcc: b")]


def test_the_last_part_keeps_what_is_too_much() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        + b"".join(b"--b\n\n%d\n" % n for n in range(2000))
        + b"--b--\n"
    )
    root = part(raw)
    assert sum(1 for _ in root.walk()) == structure.MAX_PARTS
    assert raw[root.parts[-1].body_start : root.parts[-1].body_end].endswith(b"\n1999\n--b--\n")


def test_what_lies_too_deep_is_text() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(60)) + b"\nx"
    leaves = [one for one in part(raw).walk() if not one.multipart]
    assert [one.type for one in leaves] == ["text/plain"]
    assert raw[leaves[0].body_start :].endswith(b"--59\n\nx")
    assert sum(1 for _ in part(raw).walk()) == structure.MAX_DEPTH + 1


def test_field_values_are_kept_octet_for_octet() -> None:
    fields = part(b"Subject:  a\r\n\t b \r\nX-Odd :\xe4\0\r\nsubject:2\r\n\r\n").headers
    assert fields.fields == [("Subject", b"  a\r\n\t b "), ("X-Odd", b"\xe4\0"), ("subject", b"2")]
    assert fields.all("SUBJECT") == [b"  a\r\n\t b ", b"2"]
    assert (fields.first("Subject"), fields.last("sUbject"), fields.last("none")) == (b"  a\r\n\t b ", b"2", None)


def test_header_fields_are_bounded() -> None:
    root = part(b"".join(b"X: %d\n" % n for n in range(headers.MAX_FIELDS + 5)) + b"\nbody")
    assert len(root.headers) == headers.MAX_FIELDS
    assert root.body_end - root.body_start == 4
    root = part(b"A: b\nSubject: " + b"x" * (2 * headers.MAX_OCTETS) + b"\n\nbody")
    assert sum(len(value) for _, value in root.headers) <= headers.MAX_OCTETS
    assert root.body_end - root.body_start == 4
