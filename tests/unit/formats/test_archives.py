"""Archives on disk become messages; what is damaged is told and the rest goes on."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.formats.archives import Found, Skipped, read_path, size_of
from flaskmail.formats.archives.maildir import folder_name
from flaskmail.formats.archives.mbox import from_line_date, read_mbox, without_from_line

ONE = b"Subject: one\n\nbody one\n"
TWO = b"Subject: two\nStatus: RO\nX-Status: F\n\nbody two\n>From here it was quoted\nFrom here it was not\n"


def mbox(*messages: bytes) -> bytes:
    return b"".join(b"From a@example.org Fri Feb 22 17:06:23 2008\n" + m + b"\n" for m in messages)


def found(path: Path, max_size: int = 10_000) -> list[Found]:
    items = list(read_path(path, max_size=max_size))
    assert not [i for i in items if isinstance(i, Skipped)]
    return [i for i in items if isinstance(i, Found)]


def test_an_mbox_is_split_at_separators_only(tmp_path: Path) -> None:
    path = tmp_path / "mail.mbox"
    path.write_bytes(mbox(ONE, TWO))
    one, two = found(path)
    assert one.raw == ONE
    assert one.received == "2008-02-22T17:06:23Z"
    assert two.raw == TWO.replace(b">From here", b"From here")
    assert two.keywords == {"$seen", "$flagged"}


def test_an_mbox_without_ending_is_known_by_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "INBOX"
    path.write_bytes(mbox(ONE, ONE))
    assert len(found(path)) == 2
    path.write_bytes(ONE)
    assert len(found(path)) == 1


@given(st.lists(st.binary(min_size=1, max_size=60).filter(lambda b: b"From " not in b and b.strip() != b"")))
def test_every_message_of_an_mbox_comes_back(bodies: list[bytes]) -> None:
    messages = [b"X: 1\n\n" + b.replace(b"\r", b"") + b"\n" for b in bodies]
    items = list(read_mbox(io.BytesIO(mbox(*messages)), "m", (), 1000))
    assert [i.raw for i in items if isinstance(i, Found)] == messages


def test_one_message_in_a_file_may_begin_with_a_from_line(tmp_path: Path) -> None:
    path = tmp_path / "x.eml"
    path.write_bytes(mbox(ONE))
    assert found(path)[0].raw == ONE + b"\n"
    assert without_from_line(b"From nobody") == (b"From nobody", None)
    assert without_from_line(b"From  : a@b\n\nx") == (b"From  : a@b\n\nx", None)


@pytest.mark.parametrize(
    ("line", "date"),
    [
        (b"From a@b Fri Feb 22 17:06:23 2008\n", "2008-02-22T17:06:23Z"),
        (b"From a@b Fri Feb  2 17:06 2008\n", "2008-02-02T17:06:00Z"),
        (b"From a@b Fri Feb 22 17:06:23 +0200 2008\n", "2008-02-22T15:06:23Z"),
        (b"From a@b Fri Feb 22 17:06:23 2008 remote from x\n", "2008-02-22T17:06:23Z"),
        (b"From a@b Fri Feb 22 99:06:23 2008\n", None),
        (b"From a@b\n", None),
    ],
)
def test_dates_of_from_lines(line: bytes, date: str | None) -> None:
    assert from_line_date(line) == date


def test_a_maildir_gives_flags_keywords_folders_and_dates(tmp_path: Path) -> None:
    for folder in ("", ".Sent", ".Archive.2024", ".Entw&APw-rfe"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / folder / part).mkdir(parents=True)
    (tmp_path / "dovecot-keywords").write_text("0 $Forwarded\n1 work\n")
    message = tmp_path / "cur" / "1.a:2,FSRb"
    message.write_bytes(ONE)
    os.utime(message, (1_000_000_000, 1_000_000_000))
    (tmp_path / "new" / "2.b").write_bytes(TWO)
    (tmp_path / ".Archive.2024" / "cur" / "3.c:2,S").write_bytes(TWO)
    (tmp_path / ".Entw&APw-rfe" / "cur" / "4.d:2,D").write_bytes(TWO)
    (tmp_path / "tmp" / "5.e").write_bytes(b"unfinished")
    by_name = {Path(f.source).name: f for f in found(tmp_path)}
    assert by_name["1.a:2,FSRb"].keywords == {"$flagged", "$seen", "$answered", "work"}
    assert by_name["1.a:2,FSRb"].received == "2001-09-09T01:46:40Z"
    assert by_name["2.b"].keywords == frozenset()
    assert by_name["3.c:2,S"].folder == ("Archive", "2024")
    assert by_name["4.d:2,D"].folder == ("Entwürfe",)
    assert len(by_name) == 4


def test_modified_utf7_that_is_broken_stays_as_it_is() -> None:
    assert folder_name("A&-B") == "A&B"
    assert folder_name("A&!!-B") == "A&!!-B"


def test_a_tar_archive_is_read_file_by_file(tmp_path: Path) -> None:
    path = tmp_path / "mail.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("a/1.eml", ONE), ("a/2", mbox(TWO)), ("a/3.mbox", mbox(ONE, TWO)), ("a/4.eml", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    items = list(read_path(path, max_size=10_000))
    assert [type(i).__name__ for i in items] == ["Found", "Found", "Found", "Found", "Skipped"]
    assert isinstance(items[1], Found)
    assert items[1].raw.startswith(b"Subject: two")


def test_a_damaged_archive_is_told_and_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "mail.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for n in range(200):
            data = ONE + os.urandom(500)
            info = tarfile.TarInfo(f"{n}.eml")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(path.read_bytes()[:60_000])
    items = list(read_path(path, max_size=10_000))
    assert len([i for i in items if isinstance(i, Found)]) > 50
    last = items[-1]
    assert isinstance(last, Skipped)
    assert not last.counts
    assert "damaged" in last.reason


def test_what_is_too_long_or_missing_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "big.eml").write_bytes(ONE + b"x" * 200)
    (tmp_path / "m.mbox").write_bytes(mbox(ONE + b"x" * 200 + b"\n", ONE))
    kinds = [type(i).__name__ for i in read_path(tmp_path, max_size=100)]
    assert kinds == ["Skipped", "Skipped", "Found"]
    gone = list(read_path(tmp_path / "gone.eml", max_size=100))
    assert isinstance(gone[0], Skipped)
    assert "No such file" in gone[0].reason


def test_progress_adds_up_to_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(ONE)
    (tmp_path / "b.mbox").write_bytes(mbox(ONE, TWO))
    seen: list[int] = []
    list(read_path(tmp_path, max_size=10_000, progress=seen.append))
    assert sum(seen) == size_of(tmp_path)
