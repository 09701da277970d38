from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable

import pytest
from guarding import within

from flaskmail.accounts import authentication
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.passwords import Passwords
from flaskmail.accounts.principals import Principal
from flaskmail.config.settings import Argon2
from flaskmail.errors import RequestError

from .conftest import CHEAP, add, basic

HOME = "192.0.2.7"


def refusal(directory: Directory, header: str | None, address: str = HOME) -> RequestError:
    with pytest.raises(RequestError) as caught:
        directory.authenticator.authenticate(header, address)
    return caught.value


@pytest.fixture
def alice(directory: Directory) -> Principal:
    return add(directory, "alice@example.org", "secret")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Which stored hashes were verified; None for nobody's."""
    seen: list[str | None] = []
    verify = Passwords.verify

    def counted(self: Passwords, stored: str | None, octets: bytes) -> bool:
        seen.append(stored)
        return verify(self, stored, octets)

    monkeypatch.setattr(Passwords, "verify", counted)
    return seen


def test_the_right_password_lets_in_and_is_hashed_once(
    directory: Directory, alice: Principal, hashes: list[str | None]
) -> None:
    for name in ("alice@example.org", "Alice@Example.ORG"):
        for _ in range(3):
            assert directory.authenticator.authenticate(basic(name), HOME).id == alice.id
    assert len(hashes) == 2


def test_the_scheme_is_compared_without_case(directory: Directory, alice: Principal) -> None:
    header = basic(alice.name)
    assert directory.authenticator.authenticate(header.replace("Basic ", "bAsIc "), HOME).id == alice.id


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Bearer",
        "Bearer nonsense",
        "Bearer \udcff",
        "Digest x=y",
        basic("alice@example.org", "wrong"),
        basic("alice@example.org", ""),
        basic("alice@example.org", "sec\x00ret"),
        basic("nobody@example.org"),
        basic("' OR 1=1 --"),
    ],
)
def test_wrong_credentials_are_401(directory: Directory, alice: Principal, header: str | None) -> None:
    assert refusal(directory, header).status == 401


def test_known_and_unknown_names_are_refused_alike(
    directory: Directory, alice: Principal, hashes: list[str | None]
) -> None:
    known, unknown = refusal(directory, basic(alice.name, "wrong")), refusal(directory, basic("nobody@example.org"))
    assert (known.detail, known.headers) == (unknown.detail, unknown.headers)
    assert len(hashes) == 2


def test_the_hash_of_nobody_costs_what_a_real_one_costs(directory: Directory) -> None:
    passwords = directory.passwords
    assert passwords.nobody.split("$")[:4] == passwords.hash("x").split("$")[:4]
    assert not passwords.outdated(passwords.nobody)
    assert not passwords.verify(None, b"anything")


def test_too_long_a_password_is_400_before_it_is_hashed(
    directory: Directory, alice: Principal, hashes: list[str | None]
) -> None:
    assert refusal(directory, basic(alice.name, "x" * 1025)).status == 400
    assert refusal(directory, basic(alice.name, "x" * 1_000_000)).status == 400
    assert hashes == []


def test_passwords_are_compared_in_normal_form(directory: Directory) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    bob = add(directory, "bob@example.org", decomposed)
    assert directory.authenticator.authenticate(basic(bob.name, composed), HOME).id == bob.id


def test_a_new_password_ends_the_old_one_in_every_process(
    directory: Directory, open_directory: Callable[[], Directory], alice: Principal
) -> None:
    other = open_directory()
    for each in (directory, other):
        assert each.authenticator.authenticate(basic(alice.name), HOME)
    other.principals.set_password(alice.name, other.passwords.hash("new"))
    for each in (directory, other):
        assert refusal(each, basic(alice.name)).status == 401
        assert each.authenticator.authenticate(basic(alice.name, "new"), HOME)


def test_a_disabled_account_ends_at_once_and_comes_back(
    directory: Directory, open_directory: Callable[[], Directory], alice: Principal
) -> None:
    other = open_directory()
    _, token = directory.tokens.create(alice)
    for header in (basic(alice.name), f"Bearer {token}"):
        assert directory.authenticator.authenticate(header, HOME).id == alice.id
    other.principals.set_disabled(alice.name, True)
    for header in (basic(alice.name), f"Bearer {token}"):
        assert refusal(directory, header).status == 401
    other.principals.set_disabled(alice.name, False)
    for header in (basic(alice.name), f"Bearer {token}"):
        assert directory.authenticator.authenticate(header, HOME).id == alice.id


def test_a_deleted_and_recreated_account_is_another_one(
    directory: Directory, open_directory: Callable[[], Directory], alice: Principal
) -> None:
    _, token = directory.tokens.create(alice)
    for header in (basic(alice.name), f"Bearer {token}"):
        assert directory.authenticator.authenticate(header, HOME).id == alice.id
    other = open_directory()
    other.principals.delete(alice.name)
    for header in (basic(alice.name), f"Bearer {token}"):
        assert refusal(directory, header).status == 401
    again = add(other, alice.name, "secret")
    assert again.id != alice.id
    assert directory.authenticator.authenticate(basic(alice.name), HOME).id == again.id
    assert refusal(directory, f"Bearer {token}").status == 401


def test_a_change_elsewhere_costs_no_hash(
    directory: Directory, open_directory: Callable[[], Directory], alice: Principal, hashes: list[str | None]
) -> None:
    directory.authenticator.authenticate(basic(alice.name), HOME)
    add(open_directory(), "bob@example.org")
    open_directory().principals.set_quota(alice.name, 77)
    assert directory.authenticator.authenticate(basic(alice.name), HOME).quota == 77
    assert len(hashes) == 1


def test_a_password_changed_while_it_is_checked_is_not_remembered(
    directory: Directory, open_directory: Callable[[], Directory], alice: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    def slow(self: Passwords, stored: str | None, octets: bytes) -> bool:
        other = open_directory()
        other.principals.set_password(alice.name, other.passwords.hash("new"))
        return verify(self, stored, octets)

    monkeypatch.setattr(Passwords, "verify", slow)
    directory.authenticator.authenticate(basic(alice.name), HOME)
    monkeypatch.undo()
    assert refusal(directory, basic(alice.name)).status == 401


def test_a_token_expires(directory: Directory, alice: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = directory.tokens.create(alice, expires=int(time.time()) + 1000)
    assert directory.authenticator.authenticate(f"Bearer {token}", HOME).id == alice.id
    later, tick = time.time() + 1001, time.monotonic() + 1001
    monkeypatch.setattr(authentication.time, "time", lambda: later)
    monkeypatch.setattr(directory.authenticator, "_clock", lambda: tick)
    assert refusal(directory, f"Bearer {token}").status == 401


def test_a_remembered_credential_is_checked_again_after_its_time(
    directory: Directory, alice: Principal, hashes: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.authenticator.authenticate(basic(alice.name), HOME)
    later = time.monotonic() + CHEAP.cache_ttl + 1
    monkeypatch.setattr(directory.authenticator, "_clock", lambda: later)
    directory.authenticator.authenticate(basic(alice.name), HOME)
    assert len(hashes) == 2


def test_what_is_remembered_is_bounded_and_no_credential(
    directory: Directory, alice: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "REMEMBERED", 3)
    tokens = [directory.tokens.create(alice)[1] for _ in range(6)]
    for token in tokens:
        directory.authenticator.authenticate(f"Bearer {token}", HOME)
    kept = directory.authenticator._verified
    assert len(kept) == 3
    assert not any(token.encode() in repr(kept).encode() for token in tokens)


def test_connections_opened_together_hash_once(
    directory: Directory, alice: Principal, hashes: list[str | None]
) -> None:
    failures: list[BaseException] = []

    def sign_in() -> None:
        try:
            directory.authenticator.authenticate(basic(alice.name), HOME)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sign_in) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(hashes) == 1


def test_many_at_once_are_told_to_come_back(directory: Directory) -> None:
    passwords = directory.passwords
    entered = []
    release = threading.Event()

    def hold() -> None:
        try:
            with passwords.turn():
                entered.append(True)
                release.wait(60)
        except RequestError as error:
            entered.append(error.status)

    threads = [threading.Thread(target=hold) for _ in range(40)]
    for thread in threads:
        thread.start()
    while len(entered) < 40 - 8:
        time.sleep(0.005)
    assert entered.count(True) == CHEAP.argon2.concurrency
    assert set(entered) == {True, 503}
    release.set()
    for thread in threads:
        thread.join()


def test_bearer_alone_when_passwords_are_off(open_directory: Callable[[], Directory], alice: Principal) -> None:
    directory = open_directory()
    directory.authenticator.basic = False
    assert refusal(directory, basic(alice.name)).status == 401
    _, token = directory.tokens.create(alice)
    assert directory.authenticator.authenticate(f"Bearer {token}", HOME).id == alice.id


def test_a_password_of_older_cost_is_hashed_anew(open_directory: Callable[[], Directory]) -> None:
    directory = open_directory()
    old = Passwords(Argon2(memory=16384, time_cost=1)).hash("secret")
    directory.principals.add("a1", "alice@example.org", old)
    directory.authenticator.authenticate(basic("alice@example.org"), HOME)
    secret = directory.principals.secret("alice@example.org")
    assert secret is not None
    assert secret.password != old
    assert not directory.passwords.outdated(secret.password)
    assert open_directory().authenticator.authenticate(basic("alice@example.org"), HOME)


def test_a_remembered_credential_costs_microseconds(directory: Directory, alice: Principal) -> None:
    header = basic(alice.name)
    directory.authenticator.authenticate(header, HOME)

    def ask() -> None:
        for _ in range(2000):
            directory.authenticator.authenticate(header, HOME)

    within(2000 * 5 * 10e-6, ask)


def test_what_one_client_proved_lets_no_other_guess(directory: Directory, alice: Principal) -> None:
    right, stranger = basic(alice.name), "198.51.100.1"
    assert directory.authenticator.authenticate(right, HOME).id == alice.id
    tries = 0
    while refusal(directory, basic(alice.name, "wrong"), stranger).status != 429:
        tries += 1
        assert tries < 50
    assert refusal(directory, right, stranger).status == 429, "a right guess must look like any other"
    assert directory.authenticator.authenticate(right, HOME).id == alice.id
