"""Guessing against two workers: passwords, codes of a second factor, codes of devices, client secrets, tokens.

Counts are shared by the workers and outlive a restart, and nobody can keep an owner out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from secrets import randbelow, token_hex
from urllib.parse import urlencode

import pytest
from guessing import Guesses, enrol, most
from workers import each_worker

from flaskmail.accounts.directory import Directory
from flaskmail.oauth.clients import GRANT_TYPES, Client
from flaskmail.testing import PASSWORD, LiveServer, Reply, basic, live_server

from ..conftest import ROOT, START
from ..test_pages import Browser

ANN, BOB = "ann@example.org", "bob@example.org"
HOME = "192.0.2.1"
CONFIG = """
[server.http]
use-x-forwarded = true
[server.http.rate-limit]
anonymous = "100/1h"
account = false
[authentication.argon2]
memory = 8192
time-cost = 1
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-Proto": "https"}


class Seen(LiveServer):
    """The server, as a proxy's client at an address sees it."""

    def __init__(self, live: LiveServer, address: str) -> None:
        super().__init__(live.folder, live.process, live.port, None)
        self.address = address

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        return super().send(method, path, {"X-Forwarded-For": self.address, **headers}, body)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guessing")


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[LiveServer]:
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as server:
        for name in (ANN, BOB):
            done = server.cli("account", "create", name, "--password-stdin", input=PASSWORD + "\n")
            assert done.returncode == 0, done
        directory = Directory(folder / "data")
        enrol(directory, ANN)
        directory.close()
        yield server


def guess(live: LiveServer, address: str, name: str, password: str = "wrong") -> Reply:
    return Seen(live, address).send("GET", "/jmap/session", {"Authorization": basic(name, password)}, b"")


def test_200_wrong_passwords_from_one_address(live: LiveServer) -> None:
    got: list[Reply] = []

    def some() -> None:
        got.extend(guess(live, "198.51.100.1", f"nobody{number}@example.org") for number in range(50))

    began = time.monotonic()
    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [reply.status for reply in got]
    assert len(statuses) == 200
    assert set(statuses) == {401, 429}
    assert 10 <= statuses.count(401) <= most(began)
    assert all(int(reply.header("Retry-After") or "0") > 0 for reply in got if reply.status == 429)
    # The pages count with the same.
    Guesses().use_up(lambda: Browser(Seen(live, "198.51.100.1")).sign_in("somebody@example.org", "wrong").status)


def test_20_addresses_on_one_account_do_not_keep_its_owner_out(live: LiveServer) -> None:
    assert guess(live, HOME, BOB, PASSWORD).status == 200
    began = time.monotonic()
    statuses = [guess(live, f"198.51.{100 + number}.7", BOB).status for number in range(20) for _ in range(3)]
    assert 10 <= statuses.count(401) <= most(began)
    assert set(statuses) == {401, 429}
    # From elsewhere not even the right one is looked at; at home it is, in every worker and on the pages.
    assert Guesses().keep_out(
        lambda: guess(live, "198.51.100.98", BOB).status,
        lambda number: guess(live, f"198.51.99.{number}", BOB, PASSWORD).status,
    )
    assert {guess(live, HOME, BOB, PASSWORD).status for _ in each_worker(live)} == {200}
    assert Browser(Seen(live, HOME)).sign_in(BOB).status == 303


def second_factor(live: LiveServer) -> Reply:
    """The answer to a wrong code of Ann's."""
    browser = Browser(Seen(live, "192.0.2.77"))
    assert browser.sign_in(ANN).status == 303
    browser.get("/login")
    return browser.send("/login/code", code="000000")


def test_codes_of_a_second_factor(live: LiveServer) -> None:
    got: list[Reply] = []

    def tried() -> int:
        got.append(second_factor(live))
        return got[-1].status

    # After five the first wait is of half a minute, and each that follows is longer.
    guesses = Guesses(5, 30)
    guesses.use_up(tried)
    assert guesses.looked_at >= 3
    assert {reply.status for reply in got} == {422, 429}
    assert int(got[-1].header("Retry-After") or "0") > 0


def test_codes_of_devices(live: LiveServer) -> None:
    browser = Browser(Seen(live, HOME))
    assert browser.sign_in(BOB).status == 303
    letters, statuses = cycle("BCDFGHJKLMNPQRST"), set()

    def tried() -> int:
        browser.get("/device")
        statuses.add(status := browser.send("/device", user_code=f"BCDF-GHJ{next(letters)}").status)
        return status

    guesses = Guesses()
    guesses.use_up(tried)
    assert guesses.looked_at >= 10
    assert statuses == {422, 429}


def test_secrets_of_clients(live: LiveServer) -> None:
    directory = Directory(live.folder / "data")
    _, secret = directory.oauth_clients.add(Client("web", "Web", (), GRANT_TYPES, "client_secret_basic"))
    directory.close()
    body = urlencode({"grant_type": "refresh_token", "refresh_token": "x"}).encode()

    def tried(address: str, given: str) -> Reply:
        return Seen(live, address).send("POST", "/auth/token", FORM | {"Authorization": basic("web", given)}, body)

    guesses = Guesses()
    guesses.use_up(lambda: tried("198.51.100.40", f"fms_{token_hex(8)}").status)
    assert guesses.looked_at >= 10
    assert secret is not None
    # Its owner, elsewhere, does not notice.
    assert tried("198.51.100.41", secret).json()["error"] == "invalid_grant"


def wrong_token(live: LiveServer) -> int:
    wrong = {"Authorization": f"Bearer fmt_{token_hex(8)}"}
    return Seen(live, "198.51.100.50").send("GET", "/jmap/session", wrong, b"").status


def test_tokens(live: LiveServer) -> None:
    guesses = Guesses(100, 36)
    guesses.use_up(lambda: wrong_token(live))
    assert guesses.looked_at >= 100
    directory = Directory(live.folder / "data")
    _, token = directory.tokens.create(directory.principals.get(BOB))
    directory.close()
    right = {"Authorization": f"Bearer {token}"}
    stranger = Seen(live, "198.51.100.50")
    assert {stranger.send("GET", "/jmap/session", right, b"").status for _ in each_worker(live)} == {200}


def client_secret(live: LiveServer) -> int:
    body = b"grant_type=refresh_token&refresh_token=x"
    sent = FORM | {"Authorization": basic("web", "fms_wrong")}
    return Seen(live, "198.51.100.40").send("POST", "/auth/token", sent, body).status


def test_counts_outlive_a_restart(live: LiveServer) -> None:
    # The last of this module: it ends the server that the others asked.
    bob = Browser(Seen(live, HOME))
    assert bob.sign_in(BOB).status == 303

    def device_code(live: LiveServer) -> int:
        bob.live = Seen(live, HOME)
        bob.get("/device")
        return bob.send("/device", user_code="BCDF-GHJK").status

    # What is tried, how often at once, and in how many seconds once more.
    limits: Sequence[tuple[Callable[[LiveServer], int], int, float]] = (
        (lambda live: guess(live, "198.51.100.60", f"{token_hex(4)}@example.org").status, 10, 6),
        (lambda live: guess(live, f"198.51.98.{randbelow(256)}", BOB).status, 10, 6),
        (device_code, 10, 6),
        (client_secret, 10, 6),
        (wrong_token, 100, 36),
        (lambda live: second_factor(live).status, 5, 30),
    )
    counts = [(ask, Guesses(at_once, every)) for ask, at_once, every in limits]
    for ask, guesses in counts:
        guesses.use_up(partial(ask, live))
    live.stop()
    with live_server(CONFIG, folder=live.folder, arguments=START, python_path=ROOT) as again:
        for ask, guesses in counts:
            guesses.use_up(partial(ask, again))
        assert guess(again, HOME, BOB, PASSWORD).status == 200
