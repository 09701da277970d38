"""The pages over the wire: two workers that know the same sessions, counts and changes; logs without secrets."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from guessing import Guesses
from visiting import forms
from workers import each_worker

from flaskmail.testing import PASSWORD, LiveServer, Reply, basic, live_server

from .conftest import ROOT, START

ALICE = "alice@example.org"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


class Browser:
    """Cookies and forms over connections that any worker may take. page: the last answer."""

    def __init__(self, live: LiveServer) -> None:
        self.live, self.cookies = live, {}
        self.page: Reply

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Reply:
        cookie = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        )
        self.page = self.live.send(method, path, cookie | dict(headers), body)
        for field in self.page.all("Set-Cookie"):
            self.cookies |= {name: one.value for name, one in SimpleCookie(field).items()}
        return self.page

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers)

    def send(self, action: str, /, **fields: str) -> Reply:
        [form] = [one for one in forms(self.page.body.decode()) if one.action == action]
        return self.ask("POST", action, FORM, urlencode(form.fields | fields).encode())

    def sign_in(self, name: str, password: str = PASSWORD) -> Reply:
        self.get("/login")
        return self.send("/login", name=name, password=password)

    def statuses(self) -> set[int]:
        """What each worker answers."""
        return {self.get("/account").status for _ in each_worker(self.live)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("pages")
    with live_server("[server]\nlog-level = 'debug'\n", folder=folder, arguments=START, python_path=ROOT) as server:
        server.account(ALICE)
        yield server


def test_every_worker_knows_a_session_and_its_end(live: LiveServer) -> None:
    browser = Browser(live)
    assert browser.sign_in(ALICE).status == 303
    assert browser.statuses() == {200}
    for change in (("disable", ALICE), ("set-password", ALICE, "--password-stdin")):
        assert live.cli("account", *change, input=PASSWORD + "\n").returncode == 0
        # At the next request of any worker.
        assert browser.statuses() == {303}
        assert live.cli("account", "enable", ALICE).returncode == 0
        assert browser.statuses() == {303}
        assert browser.sign_in(ALICE).status == 303
        assert browser.statuses() == {200}


def test_a_deleted_account_leaves_no_session(live: LiveServer) -> None:
    live.account("gone@example.org")
    browser = Browser(live)
    browser.sign_in("gone@example.org")
    assert browser.statuses() == {200}
    assert live.cli("account", "delete", "gone@example.org", "--yes").returncode == 0
    assert browser.statuses() == {303}
    live.account("gone@example.org")
    assert browser.statuses() == {303}


def test_the_cookie_is_for_pages_only(live: LiveServer) -> None:
    browser = Browser(live)
    browser.sign_in(ALICE)
    [value] = browser.cookies.values()
    for path in ("/jmap/session", "/.well-known/jmap", "/api/account/auth", "/api/principal"):
        assert browser.get(path).status == 401, path
        assert browser.get(path, Authorization=f"Bearer {value}").status == 401, path


def test_no_address_comes_from_the_host(live: LiveServer) -> None:
    browser = Browser(live)
    browser.sign_in(ALICE)
    for path in ("/login", "/account", "/account/password", "/authorize?client_id=x", "/device", "/logout"):
        for signed_in in (True, False):
            asked = browser if signed_in else Browser(live)
            answered = asked.get(path, Host="evil.example", **{"X-Forwarded-Host": "evil.example"})
            text = answered.body.decode() + "".join(f"{name}: {value}\n" for name, value in answered.headers)
            assert "evil.example" not in text, path
    assert browser.get("/login", Host="evil.example:x").status == 400


def test_large_forms_are_refused(live: LiveServer) -> None:
    browser = Browser(live)
    browser.get("/login")
    assert browser.send("/login", name=ALICE, password="x" * 1025).status == 400
    browser.get("/login")
    assert browser.send("/login", name=ALICE, password="x" * 100_000).status == 413


def seen_from(live: LiveServer, source: str) -> Browser:
    """A browser at another address."""
    return Browser(LiveServer(live.folder, live.process, live.port, None, source))


def test_tries_are_counted_by_all_workers_and_over_a_restart(tmp_path: Path) -> None:
    guesses = Guesses()
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as live:
        live.account(ALICE)
        guesses.use_up(lambda: seen_from(live, "127.0.0.2").sign_in(ALICE, "wrong").status)
        assert guesses.looked_at >= 10
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as live:
        # The account's count holds for other strangers, too, and for Basic.
        stranger = seen_from(live, "127.0.0.3")
        guesses.use_up(lambda: stranger.sign_in(ALICE, "wrong").status)
        assert int(stranger.page.header("Retry-After") or 0) > 0
        assert guesses.keep_out(
            lambda: stranger.get("/jmap/session", Authorization=basic(ALICE, "wrong")).status,
            lambda number: seen_from(live, f"127.0.1.{number}").get("/jmap/session", Authorization=basic(ALICE)).status,
        )
        # The owner, where the account was used before, gets in.
        assert Browser(live).sign_in(ALICE).status == 303


def test_no_secret_is_in_the_log(live: LiveServer) -> None:
    browser = Browser(live)
    browser.sign_in(ALICE, "canary-password-8c1")
    browser.sign_in(ALICE)
    first = browser.cookies["flaskmail"]
    browser.get("/account/password")
    browser.send("/account/password", old="canary-old-8c1", new="canary-new-8c1 words", again="canary-new-8c1 words")
    browser.get("/account/app-passwords")
    made = browser.send("/account/app-passwords", name="canary", days="30").body.decode()
    found = re.search(r'class="secret">([^<]+)<', made)
    assert found is not None
    browser.get("/authorize?client_id=x&state=canary-state-8c1&code_challenge=canary-challenge-8c1")
    browser.get("/device?user_code=canary-code-8c1")
    log = live.log()
    assert '"/account/password"' in log or " /account/password " in log
    token = forms(browser.page.body.decode())[0].fields["token"]
    for secret in (first, found[1], token, "canary-", PASSWORD):
        assert secret not in log, secret


def ranks(known: list[float], unknown: list[float]) -> float:
    """How many standard deviations the Mann-Whitney U of two samples lies from its mean."""
    order = sorted((value, whose) for whose, sample in enumerate((known, unknown)) for value in sample)
    total = sum(rank for rank, (_, whose) in enumerate(order, 1) if whose == 0)
    n, m = len(known), len(unknown)
    return abs(total - n * (n + 1) / 2 - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


@pytest.mark.long
def test_time_does_not_tell_who_exists(tmp_path: Path) -> None:
    config = "[server]\nworkers = 1\n\n[authentication]\nfail-rate = '100000/1m'\n"
    with live_server(config, folder=tmp_path, arguments=START, python_path=ROOT) as live:
        live.account(ALICE)
        browser = Browser(live)
        browser.get("/login")
        [form] = forms(browser.page.body.decode())

        def gap() -> tuple[float, float]:
            """Of the medians, and by ranks."""
            took: dict[bool, list[float]] = {True: [], False: []}
            for number in range(820):
                known = number % 2 == 0
                name = ALICE if known else f"nobody{number % 10}@example.org"
                fields = urlencode(form.fields | {"name": name, "password": "wrong"}).encode()
                began = time.perf_counter()
                assert browser.ask("POST", "/login", FORM, fields).status == 422
                # The first few warm the server up.
                if number >= 20:
                    took[known].append(time.perf_counter() - began)
            known, unknown = statistics.median(took[True]), statistics.median(took[False])
            return abs(known - unknown) / unknown, ranks(took[True], took[False])

        # p > 0.01 for two sides. Chance says otherwise once in a hundred times, and what can be told every time.
        found = []
        while len(found) < 3 and not (found and found[-1][0] <= 0.05 and found[-1][1] < 2.576):
            found.append(gap())
        assert found[-1][0] <= 0.05, found
        assert found[-1][1] < 2.576, found
