"""Messages made to be expensive, through all that is done with one: no second of CPU (the guard is at five), no 64 MB."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from guarding import within

from flaskmail.datatypes.mail import showing
from flaskmail.datatypes.mail.importing import message_record, name_blobs
from flaskmail.datatypes.mail.properties import BODY_PROPERTIES, DEFAULT_PROPERTIES
from flaskmail.jmap.storage import Record
from tests.unit.formats.mime.hostile import HOSTILE

HEAD = b"From: a@b.example\r\n"


def _leaf(kind: bytes, content: bytes, *fields: bytes) -> bytes:
    return (
        b"--b\r\nContent-Type: " + kind + b"\r\n" + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + content + b"\r\n"
    )


def _multipart(kind: bytes, *parts: bytes) -> bytes:
    return HEAD + b"Content-Type: multipart/" + kind + b"; boundary=b\r\n\r\n" + b"".join(parts) + b"--b--\r\n"


def _pictures() -> bytes:
    images = b"".join(b"<img src=cid:p%d@x>" % n for n in range(900))
    html = _leaf(b"text/html", b"<img src=cid:nothing>" * 350_000 + images)
    return _multipart(b"related", html, *[_leaf(b"image/png", b"x", b"Content-ID: <p%d@x>" % n) for n in range(900)])


def _forwarded(depth: int) -> bytes:
    raw = HEAD + b"\r\n" + b"word " * 1_000_000
    for _ in range(depth):
        raw = HEAD + b"Content-Type: message/rfc822\r\n\r\n" + raw
    return raw


EXPENSIVE: dict[str, Callable[[], bytes]] = {
    "900 pictures that are shown at the end": _pictures,
    "many blank texts before the first word": lambda: _multipart(
        b"mixed", *[_leaf(b"text/html", b" <p>" * 3000)] * 900, _leaf(b"text/plain", b"word")
    ),
    "900 alternatives": lambda: _multipart(
        b"alternative", *[_leaf(b"text/plain", b"x\r\n" * 3000), _leaf(b"text/html", b"y<br>" * 2000)] * 450
    ),
    "10 MB of tags": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a><b><i>" * 1_100_000,
    "10 MB of open tags": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 10_000_000,
    "10 MB of entities": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"&#x" * 3_300_000,
    "10 MB of open comments": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<!--" * 2_500_000,
    "messages in messages": lambda: _forwarded(20),
    "900 messages": lambda: _multipart(b"digest", *[_leaf(b"message/rfc822", HEAD + b"\r\n" + b"x" * 5000)] * 900),
    "900 long file names": lambda: _multipart(
        b"mixed", *[_leaf(b"a/b", b"x", b"Content-Disposition: attachment; filename=" + b"n" * 5000)] * 900
    ),
    "10 MB of attribution": lambda: HEAD + b"\r\n" + b"On a day " * 1_100_000 + b":\r\n",
}

MESSAGES = HOSTILE | EXPENSIVE


def everything(raw: bytes) -> Record:
    """What an import and an Email/get of all there is do with a message."""
    record, _ = message_record(raw, None, (), ())
    name_blobs(record, "gblob")
    names = [name for name in DEFAULT_PROPERTIES if name != "id"] + [
        "bodyStructure",
        "headers",
        "header:Subject:asText",
    ]
    arguments = {
        "fetchAllBodyValues": True,
        "bodyProperties": [*BODY_PROPERTIES, "headers"],
        "maxBodyValueBytes": 100_000,
    }
    showing.show(record, lambda start, end: raw[start:end], names, arguments)
    return record


@pytest.mark.parametrize("name", MESSAGES)
def test_time_is_bounded(name: str) -> None:
    raw = MESSAGES[name]()
    record = within(5, lambda: everything(raw))
    assert record["size"] == len(raw)
    assert len(record["preview"]) <= 256


@pytest.mark.parametrize("name", EXPENSIVE)
def test_memory_is_bounded(name: str) -> None:
    raw = EXPENSIVE[name]()
    tracemalloc.start()
    try:
        record, text = message_record(raw, None, (), ())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
    assert record["size"] == len(raw)
    assert sum(map(len, text.values())) < 2_000_000
