from __future__ import annotations

import io
import mailbox
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Command = Callable[..., Result]

TO = ("--account", "ann@example.org")


def message(n: int | str) -> bytes:
    return f"From: bob@example.org\nSubject: number {n}\nMessage-ID: <{n}@example.org>\n\nHello.\n".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three messages, one of them twice, an mbox with two more, and a file that is empty."""
    where = tmp_path / "mail"
    (where / "below").mkdir(parents=True)
    for name, n in (("a.eml", 1), ("b.eml", 2), ("c.eml", 2), ("below/d.txt", 3)):
        (where / name).write_bytes(message(n))
    (where / "e.eml").write_bytes(b"")
    (where / "f.mbox").write_bytes(
        b"".join(b"From x@y Mon Jan  1 00:00:00 2024\n" + message(n) + b"\n" for n in (4, 5))
    )
    return where


def test_figures_as_json(told: Callable[..., Any], folder: Path) -> None:
    first = told("import", folder, *TO)
    assert first.pop("seconds") >= 0
    problems = first.pop("problems")
    assert first == {"found": 7, "imported": 5, "duplicate": 1, "skipped": 1}
    assert [problem["source"] for problem in problems] == [str(folder / "e.eml")]
    assert problems[0]["reason"] == "the message is empty"
    again = told("import", folder, *TO)
    assert (again["found"], again["imported"], again["duplicate"], again["skipped"]) == (7, 0, 6, 1)


def test_what_people_read(flaskmail: Command, folder: Path) -> None:
    done = flaskmail("import", folder, *TO)
    assert done.exit_code == 1
    assert "Found 7: 5 imported, 1 already there, 1 skipped" in done.stdout
    assert f"skipped: {folder / 'e.eml'}: the message is empty" in done.stderr
    (folder / "e.eml").unlink()
    assert flaskmail("import", folder, *TO).exit_code == 0


def test_several_paths_and_a_damaged_archive(told: Callable[..., Any], flaskmail: Command, tmp_path: Path) -> None:
    archive = tmp_path / "damaged.tar"
    with tarfile.open(archive, "w") as tar:
        for n in range(6):
            member = tarfile.TarInfo(f"{n}.eml")
            member.size = len(message(n))
            tar.addfile(member, io.BytesIO(message(n)))
    octets = bytearray(archive.read_bytes())
    octets[3 * 1024 : 3 * 1024 + 512] = b"\xff" * 512
    archive.write_bytes(octets)
    (tmp_path / "good.eml").write_bytes(message("good"))
    figures = told("import", archive, tmp_path / "good.eml", *TO)
    assert (figures["found"], figures["imported"], figures["skipped"]) == (4, 4, 0)
    (problem,) = figures["problems"]
    assert problem["source"] == str(archive)
    assert "damaged" in problem["reason"]
    assert flaskmail("import", archive, *TO).exit_code == 1


def test_a_maildir(told: Callable[..., Any], tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "Maildir")
    one = mailbox.MaildirMessage(message(1))
    one.set_subdir("cur")
    one.set_flags("S")
    box.add(one)
    box.add_folder("Sent").add(message(2))
    box.close()
    figures = told("import", tmp_path / "Maildir", *TO)
    assert (figures["found"], figures["imported"]) == (2, 2)


@pytest.mark.parametrize("where", ["Archive", "archive", "inbox"])
def test_a_mailbox_by_path_or_role(told: Callable[..., Any], folder: Path, where: str) -> None:
    assert told("import", folder / "a.eml", *TO, "--mailbox", where)["imported"] == 1


def test_what_cannot_be_done_is_said(flaskmail: Command, folder: Path) -> None:
    done = flaskmail("import", folder, "--account", "nobody@example.org")
    assert done.exit_code == 1
    assert "nobody@example.org" in done.stderr
    done = flaskmail("import", folder, *TO, "--mailbox", "Nowhere/2024")
    assert done.exit_code == 2
    assert "Nowhere/2024" in done.stderr
    assert "Inbox" in done.stderr
    assert flaskmail("import", folder / "missing", *TO).exit_code == 2
    assert flaskmail("import", *TO).exit_code == 2


def test_a_full_account_keeps_what_fits(flaskmail: Command, told: Callable[..., Any], tmp_path: Path) -> None:
    size = len(message(1))
    flaskmail("account", "set-quota", "ann@example.org", f"{2 * size} B")
    for n in range(4):
        (tmp_path / f"{n}.eml").write_bytes(message(n))
    done = flaskmail("import", *sorted(tmp_path.glob("*.eml")), *TO)
    assert done.exit_code == 1
    assert "octets" in done.stderr
    figures = told("import", tmp_path / "0.eml", tmp_path / "1.eml", *TO)
    assert (figures["duplicate"], figures["skipped"]) == (2, 0)
    assert told("verify")["findings"] == []
