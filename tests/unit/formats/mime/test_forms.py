from __future__ import annotations

import pytest

from flaskmail.formats.mime import addresses, forms


def one(name: str | None, email: str) -> dict[str, str | None]:
    return {"name": name, "email": email}


def test_raw() -> None:
    assert forms.as_raw(b" a\r\n b\0\xff") == " a\r\n b\ufffd"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" plain", "plain"),
        (b"\r\n  folded\r\n\ttwice", "folded\ttwice"),
        (b" =?UTF-8?Q?J=C3=B6rg_M?= =?utf-8?b?w7xsbGVy?=", "Jörg Müller"),
        (b" =?utf-8?q?=C3?=\r\n =?UTF-8?Q?=A4?=", "ä"),
        (b" =?iso-8859-1*de?q?=E4?= x", "ä x"),
        (b" =?iso-8859-1?q?a?= =?koi8-r?b?1M8=?=", "aто"),
        (b" =?x-nobody?q?a?= =?utf-8?q?b?=", "=?x-nobody?q?a?= b"),
        (b" =?zlib?b?eJw=?=", "=?zlib?b?eJw=?="),
        (b" Re:=?utf-8?q?a?=", "Re:=?utf-8?q?a?="),
        (b" (=?utf-8?q?a?=)", "(=?utf-8?q?a?=)"),
        (b" =?utf-8?q?a b?=", "=?utf-8?q?a b?="),
        (b" =?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b" =?utf-8?q?a=00=0D=0A=1Bb=7F?=", "ab"),
        (b" =?utf-8?b?w7?=", "\ufffd"),
        (b" =?utf-8?q??= x", " x"),
        (b" e\xcc\x81", "é"),
        (b" \xc3\xa4 \xe4", "ä \ufffd"),
        (b" =?iso-8859-1?Q?Fr\xc3\xb6_sche?=", "Frö sche"),
        (b"", ""),
    ],
)
def test_text(value: bytes, text: str) -> None:
    assert forms.as_text(value) == text


ADDRESSES = [
    (b" james@example.com", [one(None, "james@example.com")]),
    (b' "  James Smythe" <james@example.com>', [one("James Smythe", "james@example.com")]),
    (b" James Smythe <james@example.com>", [one("James Smythe", "james@example.com")]),
    (b" james@example.com (James Smythe)", [one("James Smythe", "james@example.com")]),
    (b" james@example.com (James (Jim) \\(x)", [one("James (Jim) (x", "james@example.com")]),
    (b" J <james@example.com> (work)", [one("J", "james@example.com")]),
    (b" (c) <james@example.com>", [one(None, "james@example.com")]),
    (b' "a\\"b\\\\" <x@y>', [one('a"b\\', "x@y")]),
    (b" =?utf-8?q?J=C3=B6?= =?utf-8?q?rg,_M?= <x@y>", [one("Jörg, M", "x@y")]),
    (b' "=?utf-8?q?J=C3=B6?=" <x@y>', [one("=?utf-8?q?J=C3=B6?=", "x@y")]),
    (b' "John Q" Public <x@y>', [one("John Q Public", "x@y")]),
    (b" J. R. Doe <x@y>,z@w", [one("J. R. Doe", "x@y"), one(None, "z@w")]),
    (b' "joe smith"@example.com', [one(None, '"joe smith"@example.com')]),
    (b' <"joe>smith"@example.com>', [one(None, '"joe>smith"@example.com')]),
    (b" <@a.org,@b.org:joe@c.org>", [one(None, "joe@c.org")]),
    (b" joe @ example . com", [one(None, "joe@example.com")]),
    (b" Joe Smith joe@example.com", [one("Joe Smith", "joe@example.com")]),
    (b" joe@[127.0.0.1], a@[IPv6:::1]", [one(None, "joe@[127.0.0.1]"), one(None, "a@[IPv6:::1]")]),
    (b" Joe <joe@example.com", [one("Joe", "joe@example.com")]),
    (b' "Joe <joe@example.com>', [one("Joe", "joe@example.com")]),
    (b" Joe (x <joe@example.com>", [one("Joe x", "joe@example.com")]),
    (b" root", [one(None, "root")]),
    (b" undisclosed recipients", [one(None, "undisclosed recipients")]),
    (b" a@b;c@d", [one(None, "a@b"), one(None, "c@d")]),
    (b" , a@b, ,", [one(None, "a@b")]),
    (b" <>", []),
    (b" Nobody <>", [one("Nobody", "")]),
    (b" \xc3\xa4 <\xc3\xa4@\xc3\xb6.org>", [one("ä", "ä@ö.org")]),
    (b"", []),
    (b" \r\n ", []),
]


@pytest.mark.parametrize(("value", "expected"), ADDRESSES)
def test_addresses(value: bytes, expected: list[dict[str, str | None]]) -> None:
    assert forms.as_addresses(value) == expected


def test_groups_as_in_the_rfc() -> None:
    value = (
        b'"  James Smythe" <james@example.com>, Friends:\r\n  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n'
        b"  <john@example.com>;"
    )
    friends = [one(None, "jane@example.com"), one("John Smîth", "john@example.com")]
    assert forms.as_grouped_addresses(value) == [
        {"name": None, "addresses": [one("James Smythe", "james@example.com")]},
        {"name": "Friends", "addresses": friends},
    ]
    assert forms.as_addresses(value) == [one("James Smythe", "james@example.com"), *friends]


def test_groups() -> None:
    assert forms.as_grouped_addresses(b"Undisclosed recipients:;") == [
        {"name": "Undisclosed recipients", "addresses": []}
    ]
    assert forms.as_grouped_addresses(b'a@b, "G 1": c@d;, e@f, g@h') == [
        {"name": None, "addresses": [one(None, "a@b")]},
        {"name": "G 1", "addresses": [one(None, "c@d")]},
        {"name": None, "addresses": [one(None, "e@f"), one(None, "g@h")]},
    ]


def test_addresses_are_bounded() -> None:
    assert len(forms.as_addresses(b"a@b," * (addresses.MAX_ADDRESSES + 5))) == addresses.MAX_ADDRESSES
    [huge] = forms.as_addresses(b"x " * (10 * addresses.MAX_WORDS))
    assert len(huge["email"]) <= addresses.MAX_WORDS


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b" <a@b>", ["a@b"]),
        (b" <a@b>\r\n\t<c@d>(x)<e@f>", ["a@b", "c@d", "e@f"]),
        (b' Your message of "Friday" <a@b>', ["a@b"]),
        (b" <a\r\n b@c>", ["ab@c"]),
        (b" <1234 @ local(blah) .machine .example>", ["1234@local.machine.example"]),
        (b" a@b", ["a@b"]),
        (b" nothing here", None),
        (b" <>", None),
        (b"", None),
    ],
)
def test_message_ids(value: bytes, ids: list[str] | None) -> None:
    assert forms.as_message_ids(value) == ids


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        (b" <mailto:list@host.com?subject=help> (List Instructions)", ["mailto:list@host.com?subject=help"]),
        (b" <http://a/>,\r\n <mailto:b> (x <no>)", ["http://a/", "mailto:b"]),
        (b" <http://a/(x)>", ["http://a/(x)"]),
        (b" <http://a/\r\n b>", ["http://a/b"]),
        (b" NO (posting not allowed)", None),
        (b" http://a/", None),
        (b"", None),
    ],
)
def test_urls(value: bytes, urls: list[str] | None) -> None:
    assert forms.as_urls(value) == urls


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b" Thu, 22 Aug 2002 12:46:18 +0100", "2002-08-22T12:46:18+01:00"),
        (b" 22 Aug 2002 12:46 -0330", "2002-08-22T12:46:00-03:30"),
        (b" Thu, 22 Aug 2002 12:46:18 GMT", "2002-08-22T12:46:18Z"),
        (b" Thu, 22 Aug 02 12:46:18 EDT (comment)", "2002-08-22T12:46:18-04:00"),
        (b" 21 Nov 97 09:55:06 PST", "1997-11-21T09:55:06-08:00"),
        (b" 21 Nov 102 09:55:06 +0000", "2002-11-21T09:55:06Z"),
        (b" Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        (b" Fri,\r\n 21 Nov 1997\r\n 09:55:06 -0000", "1997-11-21T09:55:06Z"),
        (b" 21 Nov 1997 09:55:06 A", "1997-11-21T09:55:06Z"),
        (b" 21 Nov 1997 09:55:06", "1997-11-21T09:55:06Z"),
        (b" 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59Z"),
        (b" Thu Aug 22 12:46:18 2002", "2002-08-22T12:46:18Z"),
        (b" 21 November 1997 9:5:6 +0200", "1997-11-21T09:05:06+02:00"),
        (b" 31 Feb 2002 12:00:00 +0000", None),
        (b" 1 Foo 2002 12:00:00 +0000", None),
        (b" 1 Jan 2002 25:00:00 +0000", None),
        (b" 1 Jan 0000 12:00:00 +0000", None),
        (b" yesterday", None),
        (b" \xff\0", None),
        (b"", None),
    ],
)
def test_date(value: bytes, date: str | None) -> None:
    assert forms.as_date(value) == date


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("Subject", {"Raw", "Text"}),
        ("KEYWORDS", {"Raw", "Text"}),
        ("from", {"Raw", "Addresses", "GroupedAddresses"}),
        ("Resent-Bcc", {"Raw", "Addresses", "GroupedAddresses"}),
        ("References", {"Raw", "MessageIds"}),
        ("Resent-Message-ID", {"Raw", "MessageIds"}),
        ("Resent-Date", {"Raw", "Date"}),
        ("List-Unsubscribe", {"Raw", "URLs"}),
        ("Received", {"Raw"}),
        ("List-Id", set(forms.FORMS)),
        ("X-Anything", set(forms.FORMS)),
    ],
)
def test_allowed_forms(field: str, allowed: set[str]) -> None:
    assert forms.allowed_forms(field) == allowed
