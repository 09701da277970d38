from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.throttle import Throttle, client_key, drained, wait_for
from flaskmail.config.kinds import Rate
from flaskmail.errors import RequestError

from .conftest import add, basic

RATE = Rate(10, 60)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_throttle(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Throttle]]:
    made: list[Throttle] = []

    def open_one() -> Throttle:
        made.append(Throttle(tmp_path / "throttle.db", RATE, clock=clock))
        return made[-1]

    yield open_one
    for throttle in made:
        throttle.close()


def tries(throttle: Throttle, address: str, name: str, count: int) -> int:
    """How many of ``count`` wrong passwords were looked at."""
    return sum(throttle.enter(address, name) == 0 for _ in range(count))


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
        ("not an address", ""),
    ],
)
def test_what_counts_as_one_client(address: str, key: str) -> None:
    assert client_key(address) == key


def test_the_bucket() -> None:
    assert wait_for(9.0, RATE) == 0
    assert wait_for(10.0, RATE) == 6
    assert drained(10.0, 6.0, RATE) == 9.0
    assert drained(10.0, 1e9, RATE) == 0
    assert drained(10.0, -50.0, RATE) == 10.0


def test_one_address_has_ten_tries(open_throttle: Callable[[], Throttle]) -> None:
    throttle = open_throttle()
    assert sum(throttle.enter("192.0.2.1", f"user{i}@example.org") == 0 for i in range(200)) == 10


def test_one_account_has_ten_tries_from_all_strangers(open_throttle: Callable[[], Throttle]) -> None:
    throttle = open_throttle()
    assert sum(throttle.enter(f"192.0.2.{i}", "alice@example.org") == 0 for i in range(200)) == 10


def test_an_unknown_address_counts_for_the_account_alone(open_throttle: Callable[[], Throttle]) -> None:
    throttle = open_throttle()
    assert tries(throttle, "", "alice@example.org", 20) == 10
    assert tries(throttle, "", "bob@example.org", 20) == 10


def test_counts_are_shared_and_survive(open_throttle: Callable[[], Throttle]) -> None:
    first, second = open_throttle(), open_throttle()
    assert tries(first, "192.0.2.1", "a@example.org", 6) + tries(second, "192.0.2.1", "a@example.org", 14) == 10
    first.close()
    assert tries(open_throttle(), "192.0.2.1", "a@example.org", 5) == 0


def test_time_heals(open_throttle: Callable[[], Throttle], clock: Clock) -> None:
    throttle = open_throttle()
    tries(throttle, "192.0.2.1", "a@example.org", 10)
    assert throttle.enter("192.0.2.1", "a@example.org") == pytest.approx(6)
    clock.now += 6
    assert throttle.enter("192.0.2.1", "a@example.org") == 0
    assert throttle.enter("192.0.2.1", "a@example.org") > 0
    clock.now += 60
    assert tries(throttle, "192.0.2.1", "a@example.org", 20) == 10


def test_waiting_tries_do_not_make_it_longer(open_throttle: Callable[[], Throttle], clock: Clock) -> None:
    throttle = open_throttle()
    tries(throttle, "192.0.2.1", "a@example.org", 500)
    clock.now += 6
    assert throttle.enter("192.0.2.1", "a@example.org") == 0


def test_a_clock_set_back_lets_nobody_in_earlier(open_throttle: Callable[[], Throttle], clock: Clock) -> None:
    throttle = open_throttle()
    tries(throttle, "192.0.2.1", "a@example.org", 10)
    clock.now -= 1e6
    assert throttle.enter("192.0.2.1", "a@example.org") > 0


def test_strangers_do_not_lock_the_owner_out(open_throttle: Callable[[], Throttle]) -> None:
    throttle = open_throttle()
    assert throttle.enter("198.51.100.1", "a@example.org") == 0
    throttle.succeeded("198.51.100.1", "a@example.org")
    tries(throttle, "192.0.2.1", "a@example.org", 50)
    assert throttle.enter("192.0.2.9", "a@example.org") > 0
    assert throttle.enter("198.51.100.1", "a@example.org") == 0


def test_an_address_of_the_owner_has_ten_tries_too(open_throttle: Callable[[], Throttle]) -> None:
    throttle = open_throttle()
    throttle.enter("198.51.100.1", "a@example.org")
    throttle.succeeded("198.51.100.1", "a@example.org")
    assert tries(throttle, "198.51.100.1", "a@example.org", 50) == 10


def test_an_own_success_does_not_free_an_address(open_throttle: Callable[[], Throttle]) -> None:
    """Somebody with an account of their own must not be able to try others' passwords for ever."""
    throttle = open_throttle()
    looked = 0
    for i in range(50):
        looked += throttle.enter("192.0.2.1", f"victim{i}@example.org") == 0
        if throttle.enter("192.0.2.1", "mallory@example.org") == 0:
            throttle.succeeded("192.0.2.1", "mallory@example.org")
    assert looked == 10


def test_what_is_over_is_removed(open_throttle: Callable[[], Throttle], clock: Clock, tmp_path: Path) -> None:
    throttle = open_throttle()
    for i in range(9):
        throttle.enter(f"192.0.2.{i}", f"user{i}@example.org")
    clock.now += 61
    throttle.enter("192.0.2.100", "last@example.org")
    assert throttle._database.rows("SELECT count(*) FROM failures") == [(2,)]


def test_the_eleventh_wrong_password_is_429(directory: Directory, open_directory: Callable[[], Directory]) -> None:
    alice = add(directory, "alice@example.org")
    remembered = basic(alice.name)
    assert directory.authenticator.authenticate(remembered, "198.51.100.1")
    statuses = []
    for i in range(15):
        with pytest.raises(RequestError) as caught:
            open_directory().authenticator.authenticate(basic(alice.name, f"wrong{i}"), "192.0.2.1")
        statuses.append(caught.value.status)
    assert statuses == [401] * 10 + [429] * 5
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 6
    # The right password is not even looked at from there, though it is remembered for another client; the owner's address is
    # free.
    for header in (basic(alice.name) + "=", remembered):
        with pytest.raises(RequestError) as caught:
            directory.authenticator.authenticate(header, "192.0.2.1")
        assert caught.value.status in (401, 429)
    assert directory.authenticator.authenticate(remembered, "198.51.100.1").id == alice.id
    assert open_directory().authenticator.authenticate(remembered, "198.51.100.1").id == alice.id
