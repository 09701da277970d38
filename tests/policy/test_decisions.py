"""The decisions alone: rates, redirects, headers, networks, URLs."""

from __future__ import annotations

import pytest

from flaskmail.decisions.access import access_status
from flaskmail.decisions.addresses import is_host_header, read_authority, read_networks
from flaskmail.decisions.headers import Outgoing, joined_vary, read_header, read_vary
from flaskmail.decisions.hsts import read_hsts
from flaskmail.decisions.mistakes import Mistake
from flaskmail.decisions.rates import Limit, client_of, spend
from flaskmail.decisions.redirect import carries_credentials, location
from flaskmail.decisions.url import read_base_url


class TestRates:
    LIMIT = Limit("anonymous", 3, 60)

    def test_as_many_as_the_limit_at_once_then_at_its_pace(self) -> None:
        due, now, lefts = 0.0, 1000.0, []
        for _ in range(3):
            spent = spend(self.LIMIT, due, now)
            due = spent.due
            lefts.append(spent.left)
        assert lefts == [2, 1, 0]
        refused = spend(self.LIMIT, due, now)
        assert (refused.wait, refused.left, refused.due) == (20, 0, due)
        assert spend(self.LIMIT, due, now + 19.9).wait == 1
        assert spend(self.LIMIT, due, now + 20).wait == 0

    def test_never_more_than_the_limit_in_a_period_that_starts_full(self) -> None:
        due, passed = 0.0, 0
        for tenth in range(600):
            spent = spend(self.LIMIT, due, 1000 + tenth / 10)
            due, passed = spent.due, passed + (not spent.wait)
        assert passed == 3 + 2

    def test_a_clock_set_back_or_a_damaged_count_locks_nobody_out_for_long(self) -> None:
        assert spend(self.LIMIT, 1e18, 1000.0).wait <= 60
        assert spend(self.LIMIT, float("nan"), 1000.0).wait == 0
        assert spend(self.LIMIT, float("inf"), 1000.0).wait <= 60

    def test_the_fields(self) -> None:
        spent = spend(self.LIMIT, 0, 1000)
        assert spent.headers(self.LIMIT) == (
            ("RateLimit-Policy", '"anonymous";q=3;w=60'),
            ("RateLimit", '"anonymous";r=2;t=20'),
        )
        assert spend(self.LIMIT, 2000, 1000).headers(self.LIMIT)[2] == ("Retry-After", "20")

    def test_who_is_one_client(self) -> None:
        assert client_of(None) == "unidentified"
        assert client_of("192.0.2.1") == "192.0.2.1"
        assert client_of("2001:db8:1:2::1") == client_of("2001:db8:1:2:ffff::9") != client_of("2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("value", "status"),
    [(200, 200), ("200", 200), (404, 404), (404.0, 404), (599, 599), (600, 403), (100, 403), (301, 403), (0, 403), ("", 403),
     ("no", 403), (None, 403), (True, 403), ((), 403), ("²00", 403), (1e400, 403)],
)  # fmt: skip
def test_an_endpoint_is_closed_by_whatever_is_no_status(value: object, status: int) -> None:
    assert access_status(value) == status


def test_where_a_redirect_leads() -> None:
    assert location("https://h", "/a b/\xc3\xbc", "q=1&r=%20") == "https://h/a%20b/%C3%BC?q=1&r=%20"
    assert location("https://h", "//evil.example/\r\nX: y", "") == "https://h//evil.example/%0D%0AX:%20y"
    assert location("https://h", "/", "a\r\nb") == "https://h/?a%0D%0Ab"
    # Nothing of a path that begins without a slash may become a part of the host.
    assert location("https://h", ".evil.example/", "") == "https://h/.evil.example/"
    assert location("https://h", "@evil.example", "") == "https://h/@evil.example"
    assert location("https://h", "*", "") == location("https://h", "", "") == "https://h/"


def test_credentials_are_recognised() -> None:
    assert carries_credentials({"HTTP_AUTHORIZATION": ""})
    assert carries_credentials({"QUERY_STRING": "a=b&access_token=c"})
    assert not carries_credentials({"QUERY_STRING": "xaccess_token=c"})
    form = {"CONTENT_TYPE": "Application/x-www-form-urlencoded; charset=utf-8"}
    assert carries_credentials(form | {"PATH_INFO": "/auth/token"})
    assert carries_credentials(form | {"PATH_INFO": "/login"}, ["/login"])
    assert carries_credentials({"CONTENT_TYPE": "multipart/form-data", "PATH_INFO": "/login/x"}, ["/login"])
    assert not carries_credentials(form | {"PATH_INFO": "/contact"}, ["/login"])
    assert not carries_credentials({"CONTENT_TYPE": "application/json", "PATH_INFO": "/login"}, ["/login"])


@pytest.mark.parametrize(
    "members",
    [["0.0.0.0/0"], ["::/0"], ["10.0.0.1/8"], ["::ffff:10.0.0.0/104"], ["privat"], ["10.0.0.0/33"], ["10.0.0"], ["mail.example"],
     [""],     ["010.0.0.1"], ["1"]],
)  # fmt: skip
def test_networks_that_are_none(members: list[str]) -> None:
    assert [index for index, _ in read_networks(members)[1]] == [0]


def test_the_nearest_name_of_networks() -> None:
    [(_, mistake)] = read_networks(["loopback", "Privat"])[1]
    assert mistake.hint == "private"


@pytest.mark.parametrize(
    "text", ["mail.example", "Mail.Example:80", "192.0.2.1:1", "[2001:DB8::1]:8443", "a_b", "xn--a"]
)
def test_hosts(text: str) -> None:
    host, _ = read_authority(text)
    assert host == host.lower()
    assert is_host_header(text)


@pytest.mark.parametrize(
    "text", ["", "a b", "a@b", "a/b", "a:0", "a:65536", "[::1", "::1", "1.2.3", "256.1.1.1", "a..b", "ü", "-", "a:"]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_authority(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [("HTTPS://Mail.Example:443/", "https://mail.example"), ("http://h:80/a/b/", "http://h/a/b"), ("http://h:443", "http://h:443"),
     ("https://[::1]:8443", "https://[::1]:8443")],
)  # fmt: skip
def test_base_urls(text: str, url: str) -> None:
    assert read_base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h",
        "https://",
        "https://h:0",
        "https://h?q",
        "https://h#f",
        "https://u@h",
        "//h",
        "https://h/../x",
        "https://h//x",
        "https://h\n",
    ],
)
def test_what_is_no_base_url(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        read_base_url(text)


@pytest.mark.parametrize(
    "line",
    ["X", ": x", "X Y: a", "X: a\nb", "X: a\x00", "Vary: a", "content-length: 1", "Access-Control-Foo: a",
     "ETag: x", "Retry-After: 1",     "Strict-Transport-Security: max-age=1", "Set-Cookie: a", "RateLimit: a", "X: €"],
)  # fmt: skip
def test_headers_that_must_not_be_sent(line: str) -> None:
    with pytest.raises(Mistake):
        read_header(line)


def test_hsts() -> None:
    assert read_hsts(False) == (None, [])
    assert read_hsts({"max-age": 5, "include-subdomains": True}) == ("max-age=5; includeSubDomains", [])
    for table in ({"max-age": -1}, {"max_age": 1}, {"preload": True}, {"max-age": True}, {"include-subdomains": "yes"}):
        assert len(read_hsts(table)[1]) == 1
    _, wrong = read_hsts({"max_age": 1, "max-age": -1, "include-subdomains": "yes", "preload": True})
    assert [one.found for one in wrong] == ["'max_age'", "-1", "'yes'"]


class TestOutgoing:
    OUT = Outgoing(
        (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "max-age=9"), ("Link", "a"), ("Link", "b")),
        frozenset({"x-content-type-options"}),
        frozenset({"access-control-allow-origin"}),
        vary=("Origin",),
    )

    def test_nothing_there(self) -> None:
        assert self.OUT.added([("Content-Type", "a")]) == self.OUT.items

    def test_merged_twice_is_merged_once(self) -> None:
        there = [("cache-control", "no-store"), ("LINK", "c"), ("Vary", "Cookie"), ("X-Content-Type-Options", "x")]
        there.append(("Access-Control-Allow-Origin", "*"))
        once = self.OUT.merged(there)
        assert once == [
            ("cache-control", "no-store"),
            ("X-Content-Type-Options", "x"),
            ("Link", "a"),
            ("Link", "b"),
            ("Vary", "Cookie, Origin"),
        ]
        assert sorted(self.OUT.merged(once)) == sorted(once)

    def test_vary(self) -> None:
        assert joined_vary(["Origin"]) == ("Origin",)
        assert joined_vary(["Accept, origin", "Cookie,, Accept", "Origin"]) == ("Accept", "origin", "Cookie")
        assert joined_vary(["Accept", "*"]) == ("*",)
        assert read_vary("Accept,  Cookie") == ("Accept", "Cookie")
        for value in ("", ",", "a b", "a\n", "a: b"):
            with pytest.raises(Mistake):
                read_vary(value)

    def test_a_vary_in_place_of_others_joins_them(self) -> None:
        found = self.OUT.instead((("VARY", "Accept"), ("Link", "c"), ("Vary", "Cookie")))
        assert [pair for pair in found.items if pair[0] in ("Vary", "VARY", "Link")] == [
            ("Link", "c"),
            ("Vary", "Origin, Accept, Cookie"),
        ]
        assert found.merged([("vary", "Authorization"), ("X", "y")])[-1] == (
            "Vary",
            "Authorization, Origin, Accept, Cookie",
        )
        assert Outgoing(()).instead((("Vary", "Accept"),)).items == (("Vary", "Accept"),)
