"""Where pages may lead, and whose forms they take."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.decisions.pages import (
    browser_name,
    content_security_policy,
    cross_site,
    form_source,
    form_token,
    local_path,
)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/account",
        "/account/password",
        "/authorize?client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2F",
        "/a?b=https://c.d/e",
    ],
)
def test_paths_of_this_server_are_followed(path: str) -> None:
    assert local_path(path) == path


EVIL = [
    "",
    "account",
    "https://evil.example/",
    "HTTPS://evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\x00/evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/account/..//evil.example",
    "/a//evil.example",
    "javascript:alert(1)",
    "/\u2215/evil.example",
    "/\uff0fevil.example",
    "/evil\u3002example",
    "data:text/html,x",
    "https:evil.example",
    "https:/evil.example",
    "//evil.example@localhost",
    "//localhost@evil.example",
    "/account\r\nSet-Cookie: a=b",
    "?next=//evil.example",
    "#//evil.example",
    "./account",
    "../account",
    "/" + "a" * 8190,
    "/\x7f",
    "/\ud800",
    "http://localhost:8080/account",
]


@pytest.mark.parametrize("path", EVIL)
def test_whatever_else_is_not(path: str) -> None:
    assert local_path(path) is None


def test_nothing_is_nothing() -> None:
    assert local_path(None) is None


@given(st.text(alphabet="/\\.?#@:ab%25 \t\n\r", max_size=12).map(lambda text: "/" + text))
def test_no_path_leaves_the_host(text: str) -> None:
    path = local_path(text)
    if path is not None:
        # As browsers do (URL Standard, basic URL parser).
        seen = path.replace("\t", "").replace("\n", "").replace("\r", "").replace("\\", "/")
        assert urlsplit(urljoin("https://mail.example.org/login", seen)).netloc == "mail.example.org"


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://app.example/cb?x=1", "https://app.example"),
        ("https://app.example:8443/cb", "https://app.example:8443"),
        ("HTTPS://App.Example/cb", "https://app.example"),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000"),
        ("http://localhost/cb", "http://localhost"),
        ("http://[::1]:5000/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://cb", "com.example.app:"),
        ("https://app.example;script-src/cb", "https:"),
        ("https://user@app.example/cb", "https:"),
        ("nothing", None),
    ],
)
def test_a_form_may_end_where_the_application_is(uri: str, source: str | None) -> None:
    assert form_source(uri) == source


def test_the_policy_of_a_page() -> None:
    assert content_security_policy(["https://app.example"]) == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' https://app.example; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


OWN = ("https://mail.example.org", "http://127.0.0.1:8080")


@pytest.mark.parametrize(
    ("site", "origin", "refused"),
    [
        (None, None, False),
        ("same-origin", None, False),
        ("same-origin", "null", False),
        (None, "null", False),
        (None, "https://mail.example.org", False),
        ("same-origin", "http://127.0.0.1:8080", False),
        ("cross-site", None, True),
        ("same-site", None, True),
        ("none", None, True),
        ("", None, True),
        ("cross-site", "https://mail.example.org", True),
        ("same-origin", "https://evil.example", True),
        (None, "https://evil.example", True),
        (None, "https://mail.example.org.evil.example", True),
        (None, "http://mail.example.org", True),
        (None, "https://mail.example.org:8443", True),
        (None, "", True),
    ],
)
def test_forms_of_other_sites_are_refused(site: str | None, origin: str | None, refused: bool) -> None:
    assert bool(cross_site(site, origin, OWN)) is refused


def test_a_token_follows_from_the_cookie_and_does_not_tell_it() -> None:
    assert form_token("a" * 43) == form_token("a" * 43)
    assert form_token("a" * 43) != form_token("b" * 43)
    assert "aaa" not in form_token("a" * 43)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
            "Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.1", "A browser"),
        ("", "A browser"),
    ],
)
def test_browsers_have_names(agent: str, name: str) -> None:
    assert browser_name(agent) == name
