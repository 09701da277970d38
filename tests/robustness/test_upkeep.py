"""`flaskmail verify`: what nobody wants any more goes, what somebody might want stays and is named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flaskmail.cli import main
from flaskmail.config import Settings
from flaskmail.config.settings import Storage
from flaskmail.server import Server

HOUR = 3600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(Settings(storage=Storage(path=tmp_path / "data")))
    made.create_account("ann@example.org", "correct horse battery")
    yield made
    made.close()


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("FLASKMAIL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("FLASKMAIL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *options: CliRunner().invoke(main, ["verify", *options])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock forward by so many seconds."""
    now = time.time
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: now() + seconds)


def test_an_account_that_was_never_finished_is_removed_after_an_hour(
    server: Server, verify: Callable[..., Result], later: Callable[[float], None], tmp_path: Path
) -> None:
    server.store.create_account("aorphan")
    folder = tmp_path / "data/accounts/aorphan"
    # It may be being made right now.
    assert verify("--repair").exit_code == 0
    assert folder.exists()
    later(2 * HOUR)
    told = verify()
    assert (told.exit_code, "aorphan: belongs to nobody" in told.output) == (1, True)
    assert folder.exists()
    # Looking is no writing.
    assert server.store.untouched("aorphan") > HOUR
    told = verify("--repair")
    assert (told.exit_code, "(mended)" in told.output) == (0, True)
    assert not folder.exists()
    assert verify().exit_code == 0
    assert len(server.store.accounts()) == 1


def test_mail_that_belongs_to_nobody_is_named_and_stays(
    server: Server, verify: Callable[..., Result], later: Callable[[float], None], tmp_path: Path
) -> None:
    server.store.create_account("aorphan")
    server.store.put_blob("aorphan", b"Subject: x\r\n\r\n", 14)
    later(2 * HOUR)
    for options in ((), ("--repair",)):
        told = verify(*options, "--json")
        assert told.exit_code == 1
        [finding] = json.loads(told.stdout)["findings"]
        assert "14 octets" in finding["what"]
        assert not finding["mended"]
    assert (tmp_path / "data/accounts/aorphan/mail.db").exists()


def test_what_is_left_of_accounts_is_removed(
    server: Server, verify: Callable[..., Result], later: Callable[[float], None], tmp_path: Path
) -> None:
    accounts = tmp_path / "data/accounts"
    for name in (".making-0", ".deleted-0"):
        (accounts / name / "blobs").mkdir(parents=True)
        (accounts / name / "mail.db").write_bytes(b"")
    assert verify("--repair").exit_code == 0
    assert len(list(accounts.glob(".*-0"))) == 2
    later(2 * HOUR)
    assert verify().exit_code == 0
    assert len(list(accounts.glob(".*-0"))) == 2
    assert verify("--repair").exit_code == 0
    assert list(accounts.glob(".*-0")) == []


def test_an_account_without_its_data_is_named(server: Server, verify: Callable[..., Result], tmp_path: Path) -> None:
    [id] = server.store.accounts()
    (tmp_path / "data/accounts" / id).rename(tmp_path / "elsewhere")
    told = verify("--repair")
    assert told.exit_code == 1
    assert "ann@example.org: its data is not there" in told.output


def test_uploads_that_nothing_refers_to_go_after_a_day(
    server: Server, verify: Callable[..., Result], later: Callable[[float], None]
) -> None:
    [id] = server.store.accounts()
    server.store.put_blob(id, b"x" * 10, 10)
    server.store.put_blob(id, b"y" * 200_000, 200_000)
    assert json.loads(verify("--repair", "--json").stdout)["swept"] == 0
    later(25 * HOUR)
    assert json.loads(verify("--json").stdout)["swept"] == 0
    assert "Removed 2 uploads" in verify("--repair").output
    with server.store.read(id) as reader:
        assert reader.used() == 0
