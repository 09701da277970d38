from __future__ import annotations

import logging
import re

import pytest

from flaskmail.testing import Jmap, MadeServer
from flaskmail.web.accesslog import line, printable


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "-"),
        ("/jmap/", "/jmap/"),
        ("a b", "a\\x20b"),
        ("a\r\nb\x1b[1m", "a\\x0d\\x0ab\\x1b[1m"),
        ('q"\\', "q\\x22\\x5c"),
        ("é\u2028\U0001f600", "\\xe9\\u2028\\U0001f600"),
    ],
)
def test_words(text: str, word: str) -> None:
    assert printable(text) == word


def test_a_line_has_its_ten_words() -> None:
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/a\r\nb c\u00c3\u00a9",
        "QUERY_STRING": "token=canary",
        "wsgi.url_scheme": "http",
        "flaskmail.account": "alice@example.org",
    }
    words = line(environ, 200, 17, 0.0123).split(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", words[0])
    assert words[1:] == [
        "192.0.2.1",
        "192.0.2.1",
        "http",
        "GET",
        "/a\\x0d\\x0ab\\x20c\\xe9",
        "200",
        "17",
        "12.3ms",
        "alice@example.org",
    ]
    assert line({}, 400, None, 0).split(" ")[1:] == ["-", "-", "-", "-", "-", "400", "-", "0.0ms", "-"]


def test_no_secret_is_logged(made: MadeServer, alice: Jmap, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        alice.http("GET", "/jmap/session?token=canary-query", headers={"X-Thing": "canary-header"})
        alice.http("GET", "/jmap/session", headers={"Authorization": "Bearer canary-token"})
        alice.http("POST", "/jmap/", b'"canary-body', {"Content-Type": "application/json"})
        alice.http("GET", "/nowhere")
    assert "canary" not in caplog.text
    lines = [record.getMessage() for record in caplog.records if record.name == "flaskmail.access"]
    assert [one.split(" ")[6] for one in lines] == ["200", "401", "400", "404"]
    assert [one.split(" ")[9] for one in lines] == ["alice@example.org", "-", "alice@example.org", "-"]
