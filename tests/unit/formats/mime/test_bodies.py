from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.formats.mime import charsets, params, structure, transfer, words


def body(head: str, octets: bytes, max_bytes: int | None = None) -> tuple[str, bool, bool]:
    raw = head.encode() + b"\n\n" + octets
    return transfer.decode_text(raw, structure.parse(raw).root, max_bytes)


@pytest.mark.parametrize("codec", sorted(set(charsets._CODECS.values())))
def test_every_charset_is_a_codec_for_text(codec: str) -> None:
    assert codecs.lookup(codec)._is_text_encoding
    assert charsets.decode(bytes(range(256)) * 2, codec)[0].encode("utf-8")


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("utf-8", "ä€".encode(), "ä€"),
        ("UTF8", b"\xef\xbb\xbfx", "x"),
        ("iso-8859-1", b"\x80\xe4\x81", "€ä\x81"),
        (" ISO-8859-1 ", b"\x93x\x94", "“x”"),
        ("us-ascii", b"x", "x"),
        ("gb2312", "中文镕".encode("gbk"), "中文镕"),
        ("ks_c_5601-1987", "한글똠".encode("cp949"), "한글똠"),
        ("euc-kr", "한글".encode("euc-kr"), "한글"),
        ("shift_jis", "①日本".encode("cp932"), "①日本"),
        ("x-sjis", "日本".encode("cp932"), "日本"),
        ("iso-2022-jp", "日本".encode("iso2022_jp"), "日本"),
        ("euc-jp", "日本".encode("euc_jp"), "日本"),
        ("big5", "中文".encode("big5"), "中文"),
        ("hz-gb-2312", "中文".encode("hz"), "中文"),
        ("iso-2022-kr", "한글".encode("iso2022_kr"), "한글"),
        ("koi8-r", "привет".encode("koi8-r"), "привет"),
        ("windows-1251", "привет".encode("cp1251"), "привет"),
        ("unicode-1-1-utf-7", "ä+".encode("utf-7"), "ä+"),
        ("utf-16", "ä".encode("utf-16-le"), "ä"),
        ("utf-16", b"\xfe\xff\x00\xe4", "ä"),
        ("ibm850", "ä".encode("cp850"), "ä"),
        ("iso-8859-9", "ğ".encode("iso8859-9"), "ğ"),
        ("unknown-8bit", "ä".encode(), "ä"),
        ("unknown-8bit", b"\xe4\x80", "ä€"),
        (None, "ä".encode(), "ä"),
    ],
)
def test_charsets_by_label(label: str | None, data: bytes, text: str) -> None:
    assert charsets.decode(data, label) == (text, False)


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("utf-8", b"a\xffb", "a\ufffdb"),
        ("us-ascii", b"\xe4", "ä"),
        (None, b"\xe4", "ä"),
        ("x-nobody-knows", "ä".encode(), "ä"),
        ("x-nobody-knows", b"\xe4", "ä"),
        ("zlib", b"x\x9c\x03\x00\x00\x00\x00\x01", "xœ\x03\x00\x00\x00\x00\x01"),
        ("rot13", b"abc", "abc"),
        ("base64", b"abc", "abc"),
        ("idna", b"abc", "abc"),
        ("unicode_escape", b"\\x41", "\\x41"),
        ("utf-7", b"+2AA-", "\ufffd"),
        ("euc-kr", b"\xff\xff", "\ufffd\ufffd"),
    ],
)
def test_charset_problems(label: str | None, data: bytes, text: str) -> None:
    assert charsets.decode(data, label) == (text, True)


@given(st.binary(max_size=200), st.sampled_from([None, *charsets._CODECS]))
def test_no_octets_and_no_label_fail(data: bytes, label: str | None) -> None:
    charsets.decode(data, label)[0].encode("utf-8")


@pytest.mark.parametrize(
    ("encoding", "data", "decoded", "problem"),
    [
        ("base64", b"aGVsbG8=", b"hello", False),
        ("Base64", b"aGVs\r\nbG8=\r\n", b"hello", False),
        ("base64", b"aGVsbG8", b"hello", False),
        ("base64", b"aGVsbG8=\r\n____\r\nlist footer\r\n", b"hello", True),
        ("base64", b"aGVsbG8=\r\nIHdvcmxk\r\n", b"hello world", False),
        ("base64", b"aGV*sb!G8=", b"hello", True),
        ("base64", b"aGVsbG8hI", b"hello!", True),
        ("base64", b"", b"", False),
        ("quoted-printable", b"a=3Db=\r\nc=\nd", b"a=bcd", False),
        ("quoted-printable", b"a=3db= \t\r\nc", b"a=bc", False),
        ("quoted-printable", b"a=ZZ b=", b"a=ZZ b", True),
        ("quoted-printable", b"a=\rb=\rc", b"abc", False),
        ("x-uuencode", b"\nbegin 644 f\n%:&5L;&\\ \n`\nend\n", b"hello", False),
        ("x-uuencode", b"nothing", b"nothing", True),
        ("x-uuencode", b"begin 644 f\n" + b"M!\n" * 100, None, True),
        ("8bit", b"\xff\0", b"\xff\0", False),
        ("7-bit", b"x", b"x", False),
        ("x-martian", b"x", b"x", True),
    ],
)
def test_transfer_encodings(encoding: str, data: bytes, decoded: bytes | None, problem: bool) -> None:
    got, flagged = transfer.decode_body(data, encoding)
    if decoded is None:
        assert len(got) <= len(data) + 45
    else:
        assert got == decoded
    assert flagged == problem
    raw = b"Content-Transfer-Encoding: " + encoding.encode() + b"\n\n" + data
    assert transfer.decoded_size(raw, structure.parse(raw).root) == len(got)


def test_text_has_line_feeds_only() -> None:
    assert body("A: b", b"one\r\ntwo\nthree\r\n") == ("one\ntwo\nthree\n", False, False)
    assert body("A: b", b"one\r\r\ntwo\r\r\r\n\r\n") == ("one\ntwo\n\n", False, False)
    assert body("Content-Type: text/plain; charset=utf-8", b"one\rtwo\rthree") == ("one\ntwo\nthree", False, False)


def test_text_problems() -> None:
    assert body("Content-Type: text/plain; charset=utf-8", b"\xff") == ("\ufffd", True, False)
    assert body("Content-Type: text/plain; charset=nobody", b"x") == ("x", True, False)
    assert body("Content-Transfer-Encoding: martian", b"x") == ("x", True, False)


def test_truncation_keeps_characters_and_tags() -> None:
    head = "Content-Type: text/plain; charset=utf-8"
    assert body(head, "ä€😀x".encode(), 5) == ("ä€", False, True)
    assert body(head, "ä€😀x".encode(), 8) == ("ä€", False, True)
    assert body(head, "ä€😀x".encode(), 9) == ("ä€😀", False, True)
    assert body(head, "ä€😀x".encode(), 10) == ("ä€😀x", False, False)
    assert body(head, b"abc", 0) == ("abc", False, False)
    html = "Content-Type: text/html; charset=utf-8"
    assert body(html, b'ab<a href="x">c</a>', 8) == ("ab", False, True)
    assert body(html, b'ab<a href="x">c</a>', 15) == ('ab<a href="x">c', False, True)
    assert body(html, b"1 < 2 and so on", 8) == ("1 < 2 an", False, True)
    assert body(head, b"ab<a href", 5) == ("ab<a ", False, True)


@given(st.text(), st.integers(1, 60), st.booleans())
def test_truncation_bounds_octets(text: str, limit: int, html: bool) -> None:
    short, cut = transfer.truncate(text, limit, html=html)
    assert len(short.encode("utf-8")) <= limit
    assert text.startswith(short)
    assert cut == (len(text.encode("utf-8")) > limit)


@pytest.mark.parametrize(
    ("value", "word", "expected"),
    [
        (b" text/plain; charset=us-ascii", "text/plain", {"charset": "us-ascii"}),
        (b' TEXT/Plain;CHARSET="a b;c" ; format = flowed', "text/plain", {"charset": "a b;c", "format": "flowed"}),
        (b" a/b; x=1; X=2", "a/b", {"x": "1"}),
        (b" a/b; x=y z.txt; w=1", "a/b", {"x": "y z.txt", "w": "1"}),
        (b" a/b; x=us-ascii (comment)", "a/b", {"x": "us-ascii"}),
        (b" (c) a/b (d; e=f) ; g=h", "a/b", {"g": "h"}),
        (b' a; f="C:\\TEMP\\n.txt"', "a", {"f": "C:\\TEMP\\n.txt"}),
        (b' a; f="b\\"c\\\\d"', "a", {"f": 'b"c\\d'}),
        (b' a; f="open', "a", {"f": "open"}),
        (b" a; rubbish; f=g;;", "a", {"f": "g"}),
        (b" a; f*=utf-8'en'%e2%82%ac%20rates", "a", {"f": "€ rates"}),
        (b" a; f*=''%e4; g*=iso-8859-1''%A3", "a", {"f": "ä", "g": "£"}),
        (b" a; f=plain; f*=utf-8''ext%C3%A4nded", "a", {"f": "extänded"}),
        (b" a; f*0*=utf-8''a%C3; f*1*=%A4; f*2=\"b%41\"", "a", {"f": "aäb%41"}),
        (b' a; f*1="b"; f*0="a"; f*3="lost"', "a", {"f": "ab"}),
        (b" a; f*1=b", "a", {}),
        (b" a; f*=x-nobody''%E4", "a", {"f": "ä"}),
        (b" a; f=\xc3\xa4", "a", {"f": "ä"}),
        (b" a; f=\xe4", "a", {"f": "ä"}),
        (b' a;\r\n f="x\r\n y"', "a", {"f": "x y"}),
        (b"", "", {}),
    ],
)
def test_parameters(value: bytes, word: str, expected: dict[str, str]) -> None:
    assert params.parse(value) == (word, expected)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a.txt", "a.txt"),
        ("=?utf-8?q?=C3=A4?=.txt", "ä.txt"),
        ("=?utf-8?b?w6Q=?= =?utf-8?q?b?=", "äb"),
        ("a\r\nb\0c\x1bd", "abcd"),
        ("e\u0301", "é"),
        ("\0", None),
        ("", None),
    ],
)
def test_file_names(value: str, name: str | None) -> None:
    assert params.file_name(value) == name


def test_long_text_is_normalised_too() -> None:
    assert words.nfc("e\u0301 " * 1000) == "é " * 1000
