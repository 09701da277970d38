from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from flaskmail import config
from flaskmail.jmap.storage import Txn
from flaskmail.server import Server

Command = Callable[..., Result]


@pytest.fixture
def filled(flaskmail: Command, tmp_path: Path) -> Command:
    """The account has three messages in two threads."""
    for n, subject in enumerate(("one", "Re: one", "other")):
        text = f"From: b@example.org\nSubject: {subject}\nMessage-ID: <{n}@x>\nReferences: <0@x>\n\nHello {n}.\n"
        (tmp_path / f"{n}.eml").write_text(text)
    done = flaskmail("import", *sorted(tmp_path.glob("*.eml")), "--account", "ann@example.org")
    assert done.exit_code == 0, done.output
    return flaskmail


def damage(spoil: Callable[[Txn], None]) -> None:
    """Changes the account behind the back of the rules."""
    server = Server(config.load())
    try:
        (account,) = server.store.accounts()
        with server.store.write(account) as txn:
            spoil(txn)
    finally:
        server.close()


def counter_off(txn: Txn) -> None:
    (inbox,) = txn.grouped("Mailbox", "role", ["inbox"])["inbox"]
    txn.update("Mailbox", inbox, {"totalEmails": 4, "unreadThreads": 0})


def tally_off(txn: Txn) -> None:
    (inbox,) = txn.grouped("Mailbox", "role", ["inbox"])["inbox"]
    txn.tally("thread", txn.ids("Thread")[0], inbox, 1)


def thread_missing(txn: Txn) -> None:
    txn.destroy("Thread", txn.ids("Thread")[0])


def thread_empty(txn: Txn) -> None:
    txn.create("Thread", {"id": txn.new_id("Thread")})


def mailbox_missing(txn: Txn) -> None:
    txn.update("Email", txn.ids("Email")[0], {"mailboxIds": {"fgone": True}})


DAMAGES = [
    (counter_off, "recount"),
    (tally_off, "tally"),
    (thread_missing, "thread"),
    (thread_empty, "has no email"),
    (mailbox_missing, "Mailbox that is not there"),
]


def test_nothing_is_wrong_with_what_was_imported(filled: Command, told: Callable[..., Any]) -> None:
    assert told("verify") == {"accounts": 1, "findings": [], "swept": 0}
    done = filled("verify")
    assert done.exit_code == 0
    assert done.stdout == "Checked 1 account: nothing is wrong.\n"


@pytest.mark.parametrize(("spoil", "words"), DAMAGES)
def test_damage_is_found_told_and_mended(
    filled: Command, told: Callable[..., Any], spoil: Callable[[Txn], None], words: str
) -> None:
    damage(spoil)
    done = filled("verify", "ann@example.org")
    assert done.exit_code == 1
    assert words in done.stdout
    assert "--repair" in done.stderr
    findings = told("verify")["findings"]
    assert findings
    assert all(set(finding) == {"account", "what", "mended"} for finding in findings)
    assert {finding["account"] for finding in findings} == {"ann@example.org"}
    assert not any(finding["mended"] for finding in findings)
    repaired = filled("verify", "--repair")
    assert repaired.exit_code == 0, repaired.output
    assert "(mended)" in repaired.stdout
    assert told("verify")["findings"] == []
    # Every message is still to be read, in one of the mailboxes.
    again = told("import", *sorted(Path().glob("*.eml")), "--account", "ann@example.org")
    assert (again["imported"], again["duplicate"]) == (0, 3)


def test_all_damage_at_once_is_mended_at_once(filled: Command, told: Callable[..., Any]) -> None:
    for spoil, _ in DAMAGES:
        damage(spoil)
    assert filled("verify", "--repair").exit_code == 0
    assert told("verify")["findings"] == []


def test_what_is_lost_stays_a_finding(filled: Command, told: Callable[..., Any]) -> None:
    def wrong_size(txn: Txn) -> None:
        txn.update("Email", txn.ids("Email")[0], {"size": 1})

    damage(wrong_size)
    done = filled("verify", "--repair")
    assert done.exit_code == 1
    assert "octets, not 1" in done.stdout
    assert [finding["mended"] for finding in told("verify", "--repair")["findings"]] == [False]


def test_an_account_that_is_not_there(flaskmail: Command) -> None:
    done = flaskmail("verify", "nobody@example.org")
    assert done.exit_code == 1
    assert "nobody@example.org" in done.stderr
