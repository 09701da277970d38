"""What the command says when something is wrong, missing or interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest

from flaskmail.testing import PASSWORD, commands, live_server

from .conftest import ROOT, START

FLASKMAIL = [sys.executable, "-c", "from flaskmail.cli import main; main()"]
MESSAGE = (
    b"From: a@example.org\r\nSubject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n" + b"words and words " * 200 + b"\r\n"
)


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")}
    return kept | {"FLASKMAIL_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)}


def run(folder: Path, *arguments: str, input: str = "", close_stdin: bool = False) -> subprocess.CompletedProcess[str]:
    if not close_stdin:
        return commands.run(arguments, folder=folder, environment=environment(folder), input=input)
    return subprocess.run(
        FLASKMAIL + list(arguments),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=180,
        preexec_fn=lambda: os.close(0),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("acount", "list"), "Did you mean 'account'"),
        (("account", "lst"), "Did you mean 'list'"),
        (("account", "list", "--jsn"), "Did you mean '--json'"),
        (("import",), "Missing argument"),
        (("import", "/nowhere", "--account", "a@example.org"), "does not exist"),
    ],
)
def test_what_is_misspelt_is_said_with_what_was_meant(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_whole_sentences(tmp_path: Path) -> None:
    for group in ((), ("account",), ("domain",), ("token",), ("config",)):
        done = run(tmp_path, *group, "--help")
        assert done.returncode == 0
        # click cuts a summary that does not fit its line.
        assert "..." not in done.stdout.partition("Commands:")[2], done.stdout


def test_a_closed_standard_input_is_no_password(tmp_path: Path) -> None:
    done = run(tmp_path, "account", "create", "a@example.org", "--password-stdin", close_stdin=True)
    assert done.returncode == 1
    assert "standard input is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_at_a_terminal_the_password_is_not_shown_and_a_deletion_is_confirmed(tmp_path: Path) -> None:
    # PASSWORD and PASSWORD again; then no, then yes.
    assert "correct horse" not in typed(
        tmp_path, ["account", "create", "a@example.org", "--password-stdin"], [PASSWORD, PASSWORD]
    )
    assert "for good?" in typed(tmp_path, ["account", "delete", "a@example.org"], ["n"])
    assert run(tmp_path, "account", "show", "a@example.org").returncode == 0
    typed(tmp_path, ["account", "delete", "a@example.org"], ["y"])
    assert run(tmp_path, "account", "show", "a@example.org").returncode == 1


def typed(folder: Path, arguments: list[str], lines: list[str]) -> str:
    """What a terminal shows when ``lines`` are typed, one at each prompt."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        FLASKMAIL + arguments,
        cwd=folder,
        env=environment(folder),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        left = [line.encode() + b"\n" for line in lines]
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            if left and shown.rstrip(b" ").endswith(b":"):
                os.write(ours, left.pop(0))
    finally:
        os.close(ours)
        process.wait(60)
    return shown.decode()


def test_an_import_that_is_interrupted_can_be_run_again(tmp_path: Path) -> None:
    source = tmp_path / "fifo.mbox"
    files = tmp_path / "mail"
    files.mkdir()
    for number in range(1500):
        (files / f"{number:05}.eml").write_bytes(MESSAGE % (number, number))
    # The last file of the folder keeps the import waiting until it is interrupted.
    os.mkfifo(source)
    assert (
        run(tmp_path, "account", "create", "a@example.org", "--password-stdin", input=PASSWORD + "\n").returncode == 0
    )
    process = subprocess.Popen(
        [*FLASKMAIL, "import", str(files), str(source), "--account", "a@example.org"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 180
    while count(tmp_path) < 250 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert "Run the same command again" in err
    assert "Traceback" not in err
    stored = count(tmp_path)
    assert f"{stored:,} messages" in err
    again = run(tmp_path, "import", str(files), "--account", "a@example.org", "--json")
    summary = json.loads(again.stdout)
    assert (summary["found"], summary["duplicate"], summary["imported"]) == (1500, stored, 1500 - stored)
    assert "nothing is wrong" in run(tmp_path, "verify").stdout


def count(folder: Path) -> int:
    """How many Emails the only account holds."""
    [file] = (folder / "data" / "accounts").glob("*/mail.db")
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    # Whoever opens the file first, or closes it last, has it alone for a moment.
    connection.set_busy_timeout(60_000)
    try:
        [[found]] = connection.execute('SELECT count(*) FROM "r_Email"')
        return int(found)
    finally:
        connection.close()


def test_a_command_of_a_test_is_killed_when_it_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        commands.run(["logs", "--follow"], folder=tmp_path, environment=environment(tmp_path), patience=0.5)
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stderr, done.stdout.split()[:2]) == (0, "", ["flaskmail,", "version"])
    assert run(tmp_path, "--nothing").returncode == 2


def test_files_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    for name in ("a@example.org", "b@example.org"):
        run(tmp_path, "account", "create", name)
    broken = json.loads(run(tmp_path, "account", "show", "a@example.org", "--json").stdout)["id"]
    file = tmp_path / "data" / "accounts" / broken / "mail.db"
    connection = apsw.Connection(str(file))
    connection.pragma("user_version", 99)
    connection.close()
    done = run(tmp_path, "account", "show", "a@example.org")
    assert done.returncode == 1
    assert f"{file} was written by a newer flaskmail" in done.stderr
    # The other account is checked all the same.
    done = run(tmp_path, "verify")
    assert done.returncode == 1
    assert "a@example.org: " in done.stdout
    assert "Checked 2 accounts: 1 found, 0 mended." in done.stdout


def test_an_address_that_is_taken_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(RuntimeError, match="name another address"),
            live_server(folder=tmp_path, arguments=("-b", f"127.0.0.1:{port}", *START), python_path=ROOT),
        ):
            pass
    # No administrator was made, whose password nobody would have seen; the log says why.
    assert not (tmp_path / "data" / "control.db").exists()
