"""Real mail, when there is some: FLASKMAIL_TEST_CORPUS names a directory of tar archives, one message in each file of them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarding import within

from flaskmail.formats.html import to_text
from flaskmail.formats.mime import transfer
from flaskmail.formats.preview import preview
from tests.unit.formats.mime.test_hostile import check_places, everything

CORPUS = os.environ.get("FLASKMAIL_TEST_CORPUS", "")


def messages(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            stream = opened.extractfile(member) if member.isfile() else None
            if stream is not None:
                raw = stream.read()
                first, _, rest = raw.partition(b"\n")
                yield member.name, rest if first.startswith(b"From ") and b":" not in first.split()[1] else raw


@pytest.mark.skipif(not CORPUS, reason="FLASKMAIL_TEST_CORPUS names no directory of *.tar.gz with real mail")
def test_every_real_message_is_read() -> None:
    archives = sorted(Path(CORPUS).glob("*.tar.gz"))
    assert archives
    for archive in archives:
        for name, raw in messages(archive):
            try:
                within(5, lambda octets=raw: read(octets))
            except AssertionError as error:
                raise AssertionError(f"{archive.name}: {name}") from error


def read(raw: bytes) -> None:
    message = everything(raw)
    check_places(message.root, 0, len(raw))
    for part in message.root.walk():
        if part.type == "text/html":
            assert len(preview(to_text(transfer.decode_text(raw, part)[0]))) <= 256
