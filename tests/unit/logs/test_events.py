"""Events: what may stand in a line, and what never does."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from flaskmail.logs.events import LONGEST_LINE, MOST_MEMBERS, event, line, read_line, timestamp
from flaskmail.logs.handler import event_of, level_of
from flaskmail.logs.secrets import is_secret, without_secrets

HOSTILE = "a\r\nb\x1b[31m\x00\x7f\x85\u2028\u2029\u202e\x9b é \U0001f600 \udc80"


def test_a_line_is_one_line_of_printable_ascii_whatever_is_in_it() -> None:
    octets = line(event(0, "INFO", HOSTILE, HOSTILE, {HOSTILE: HOSTILE, "more": [HOSTILE, {"a": HOSTILE}]}))
    assert octets.endswith(b"\n")
    assert all(0x20 <= octet < 0x7F for octet in octets[:-1])
    found = read_line(octets[:-1])
    assert found is not None
    assert found.event.startswith("a\r\nb\x1b[31m\x00\x7f")
    assert found.timestamp == "1970-01-01T00:00:00.000Z"
    assert json.loads(octets)["details"]["more"][1]["a"] == found.event


def test_values_that_json_does_not_have_become_texts() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    found = event(
        1.5, "INFO", "x", "y", {"nan": float("nan"), "big": 2**70, "set": {1}, "loop": loop, "object": Exception("e")}
    )
    assert found.details["nan"] == "nan"
    assert found.details["big"] == str(2**70)
    assert found.details["set"] == [1]
    assert found.details["object"] == "e"
    assert read_line(line(found)[:-1]) == found


def test_a_line_has_a_bounded_length() -> None:
    huge = {f"name{i}" * 50: "\x1b" * 20_000 for i in range(500)}
    octets = line(event(0, "ERROR", "\x1b" * 100_000, "i" * 9000, huge))
    assert len(octets) <= LONGEST_LINE
    assert read_line(octets[:-1]) is not None
    assert len(event(0, "INFO", "", "", {str(i): i for i in range(500)}).details) == MOST_MEMBERS + 1


def test_what_was_cut_short_before_a_line_does_not_hide_it() -> None:
    good = event(0, "INFO", 'it says {"timestamp":" too', "x")
    octets = line(good)[:-1]
    assert read_line(octets[:40] + octets) == good
    assert read_line(octets[:40]) is None
    assert read_line(b"[2026] gunicorn") is None
    assert read_line(b"\xff\xfe" + octets[:-1]) is None


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary-9f8e7d6c5b4a",
        "authorization=Basic Y2FuYXJ5OmNhbmFyeQ==",
        "fmt_canary9f8e7d6c5b4a3210",
        "api_canary9f8e7d6c5b4a3210==",
        "password=canary",
        "password: 'canary two'",
        '{"password": "canary"}',
        "client_secret=canary&x=1",
        "Cookie: canary",
        "eyJhbGciOiJub25lIn0.canarycanary.canary",
        "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    assert "canary" not in without_secrets(text)
    assert "Y2FuYXJ5" not in without_secrets(text)
    assert b"canary" not in line(event(0, "INFO", text, "x", {"a": text, "b": [{"c": text}]}))


@pytest.mark.parametrize(
    "text",
    [
        "the basic idea",
        "Listening at: http://127.0.0.1:8080 (17)",
        "a token was made",
        "x=1, y: 2",
        "config.toml: server.tls.private-key: found the key of another certificate, expected the key of the certificate",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert without_secrets(text) == text


def test_names_of_secrets() -> None:
    assert all(
        is_secret(name)
        for name in ("password", "Authorization", "new-password", "client_secret", "tokens", "Set-Cookie")
    )
    assert not any(is_secret(name) for name in ("name", "tokenizer", "status", "key"))
    assert event(0, "INFO", "", "", {"password": "canary", "a": {"token": b"canary"}}).told().count("canary") == 0


def test_records_become_events() -> None:
    try:
        raise ValueError("password=canary")
    except ValueError:
        record = logging.LogRecord("flaskmail.web", logging.ERROR, __file__, 1, "%s\r\nforged", ("x",), sys.exc_info())
    record.event_id, record.details = "http.error", {"status": 500}
    found = event_of(record)
    assert (found.level, found.event, found.event_id) == ("ERROR", "x\r\nforged", "http.error")
    assert found.details["status"] == 500
    assert "ValueError" in found.details["exception"]
    assert "canary" not in found.details["exception"]
    assert event_of(logging.LogRecord("flaskmail.web", 30, "", 1, "x", None, None)).event_id == "web"
    assert [level_of(n) for n in (5, 10, 20, 30, 40, 50)] == ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"]


def test_timestamps_sort_by_time() -> None:
    times = [0.0, 0.0015, 1.0, 1e9, 1763734800.999]
    assert sorted(timestamp(one) for one in times) == [timestamp(one) for one in times]
