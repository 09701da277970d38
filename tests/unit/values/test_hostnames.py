from __future__ import annotations

import pytest

from flaskmail.values.hostnames import to_ascii


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.ORG.", "example.org"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a" * 63 + ".org", "a" * 63 + ".org"),
    ],
)
def test_names_as_the_dns_has_them(text, expected):
    assert to_ascii(text) == expected
    assert to_ascii(expected) == expected


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", ".a", "-a.org", "a-.org", "a_b.org", "*.org", "192.0.2.1", "[::1]", "a b.org", "a" * 64 + ".org",
     "☃☃.example\n.org", "\u0301a.org", "xn--ü.org", "ü" * 64 + ".org", "a." * 127 + "org", "a\0b.org", "\ud800.org"],
)  # fmt: skip
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match=r"name|label"):
        to_ascii(text)
