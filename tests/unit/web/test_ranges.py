from __future__ import annotations

import pytest

from flaskmail.web.ranges import Unsatisfiable, disposition, matches, media_type, query_value, wanted_range


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        (None, 10, None),
        ("", 10, None),
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=2-4", 10, (2, 5)),
        ("Bytes=2-4", 10, (2, 5)),
        ("bytes=2-", 10, (2, 10)),
        ("bytes=2-99", 10, (2, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=4-2", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=", 10, None),
        ("bytes=-", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=" + "9" * 5000 + "-", 10, None),
    ],
)
def test_ranges(header: str | None, size: int, span: tuple[int, int] | None) -> None:
    assert wanted_range(header, size) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_ranges_outside(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_range(header, size)


@pytest.mark.parametrize("text", ["text/plain", "text/html; charset=utf-8", 'a/b;x="y \\" z"', "image/svg+xml"])
def test_media_types(text: str) -> None:
    assert media_type(text) == text


@pytest.mark.parametrize(
    "text", [None, "", "text", "text/", "/plain", "a/b c", "a/b\r\nX: y", "a/b;", "a/ü", 'a/b;x="\n"', "a/" + "b" * 300]
)
def test_what_is_no_media_type(text: str | None) -> None:
    assert media_type(text) is None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("accept=image/svg+xml", "image/svg+xml"),
        ("accept=image%2Fsvg%2Bxml", "image/svg+xml"),
        ("x=1&accept=a/b&accept=c/d", "a/b"),
        ("acc%65pt=a/b", "a/b"),
        ("", None),
        ("accept", ""),
    ],
)
def test_query_values(query: str, value: str | None) -> None:
    assert query_value(query, "accept") == value


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("", "attachment"),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("../../etc/passwd", 'attachment; filename="../../etc/passwd"'),
        ("é.txt", "attachment; filename=\"e_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a\\b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
        ("50%", "attachment; filename=\"50_\"; filename*=UTF-8''50%25"),
        ("a\r\nSet-Cookie: x", 'attachment; filename="aSet-Cookie: x"'),
        ("\0\x1b", "attachment"),
        ("\u202egnp.exe", "attachment; filename=\"_gnp.exe\"; filename*=UTF-8''%E2%80%AEgnp.exe"),
    ],
)
def test_dispositions(name: str, header: str) -> None:
    assert disposition(name) == header


def test_entity_tags() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"b"')
    assert not matches('"a"', '"b"')
    assert not matches(None, '"b"')
