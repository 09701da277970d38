"""Sessions of browsers: what begins, keeps and ends them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.principals import Principal, Secret
from flaskmail.accounts.websessions import MOST, WebSessions
from flaskmail.config.signingin import BrowserSession

from .conftest import add

LIMITS = BrowserSession(lifetime=3600, idle_timeout=900)


class Clock:
    """A clock that is set."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sessions_of(directory: Directory, clock: Clock) -> WebSessions:
    return WebSessions(directory._database, directory.principals, directory.authenticator.admit, clock=clock)


@pytest.fixture
def sessions(directory: Directory, clock: Clock) -> WebSessions:
    return sessions_of(directory, clock)


@pytest.fixture
def alice(directory: Directory) -> Principal:
    return add(directory, "alice@example.org")


def stamp(directory: Directory) -> int:
    secret = directory.principals.secret("alice@example.org")
    assert isinstance(secret, Secret)
    return secret.stamp


def begin(sessions: WebSessions, directory: Directory, alice: Principal, **more: object) -> str:
    return sessions.begin(alice, stamp(directory), ("pwd",), LIMITS, **more)[1]  # type: ignore[arg-type]


def test_a_session_says_who_signed_in_and_how(sessions: WebSessions, directory: Directory, alice: Principal) -> None:
    made, value = sessions.begin(
        alice, stamp(directory), ("pwd", "otp"), LIMITS, address="192.0.2.1", agent="Browser " * 100
    )
    assert sessions.holder(value, LIMITS) == made
    assert (made.address, len(made.agent), made.amr, made.second_factor) == ("192.0.2.1", 300, ("pwd", "otp"), True)
    grant = made.principal.grant
    assert (grant.kind, grant.id, grant.authenticated, grant.second_factor) == ("session", made.id, 1_800_000_000, True)
    assert made.principal.id == alice.id
    assert sessions.all(alice, LIMITS) == [made]
    assert sessions.holder("x" * 43, LIMITS) is None


def test_the_cookie_is_not_in_the_database(
    sessions: WebSessions, directory: Directory, alice: Principal, tmp_path: Path
) -> None:
    value = begin(sessions, directory, alice)
    assert len(value) == 43
    for path in (tmp_path / "data").iterdir():
        assert value.encode() not in path.read_bytes(), path


def test_it_ends_when_nobody_uses_it(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value = begin(sessions, directory, alice)
    for _ in range(3):
        clock.now += 899
        assert sessions.holder(value, LIMITS) is not None
    clock.now += 900
    assert sessions.holder(value, LIMITS) is None
    assert sessions.all(alice, LIMITS) == []


def test_one_that_is_soon_idle_goes_on_while_it_is_used(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value, limits = begin(sessions, directory, alice), BrowserSession(lifetime=3600, idle_timeout=60)
    for _ in range(10):
        clock.now += 50
        assert sessions.holder(value, limits) is not None
    clock.now += 60
    assert sessions.holder(value, limits) is None


def test_it_ends_however_much_it_is_used(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value = begin(sessions, directory, alice)
    for _ in range(4):
        clock.now += 800
        assert sessions.holder(value, LIMITS) is not None
    clock.now += 400
    assert sessions.holder(value, LIMITS) is None


def test_shorter_settings_count_at_once(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value = begin(sessions, directory, alice)
    clock.now += 300
    assert sessions.holder(value, BrowserSession(lifetime=200, idle_timeout=900)) is None
    assert sessions.holder(value, BrowserSession(lifetime=3600, idle_timeout=299)) is None
    assert sessions.holder(value, LIMITS) is not None


def test_looking_writes_at_most_once_a_minute(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value = begin(sessions, directory, alice)
    before = directory._database.version()
    clock.now += 59
    assert sessions.holder(value, LIMITS) is not None
    assert directory._database.version() == before
    clock.now += 1
    sessions.holder(value, LIMITS)
    assert directory._database.version() != before
    held = sessions.holder(value, LIMITS)
    assert held is not None
    assert held.seen == clock.now


@pytest.mark.parametrize("change", ["password", "disable", "delete", "roles"])
def test_what_others_change_ends_it_everywhere(
    sessions: WebSessions,
    directory: Directory,
    open_directory: Callable[[], Directory],
    alice: Principal,
    clock: Clock,
    change: str,
) -> None:
    value = begin(sessions, directory, alice)
    other = open_directory()
    assert sessions_of(other, clock).holder(value, LIMITS) is not None
    if change == "password":
        directory.principals.set_password(alice.name, directory.passwords.hash("another one"))
    elif change == "disable":
        directory.principals.set_disabled(alice.name, True)
    elif change == "delete":
        directory.principals.delete(alice.name)
    else:
        with directory._database.write() as execute:
            execute("UPDATE principal SET roles='[]' WHERE id=?", (alice.id,))
    assert sessions_of(other, clock).holder(value, LIMITS) is None
    assert sessions.holder(value, LIMITS) is None
    if change == "disable":
        directory.principals.set_disabled(alice.name, False)
        assert sessions.holder(value, LIMITS) is None


def test_a_better_hash_of_the_same_password_ends_nothing(
    sessions: WebSessions, directory: Directory, alice: Principal
) -> None:
    value = begin(sessions, directory, alice)
    secret = directory.principals.secret(alice.name)
    assert secret is not None
    directory.principals.rehash(secret, directory.passwords.hash("secret"))
    assert sessions.holder(value, LIMITS) is not None


def test_signing_in_ends_what_the_browser_had(sessions: WebSessions, directory: Directory, alice: Principal) -> None:
    first = begin(sessions, directory, alice)
    second = begin(sessions, directory, alice, replaced=first)
    assert sessions.holder(first, LIMITS) is None
    assert sessions.holder(second, LIMITS) is not None


def test_a_password_that_changed_meanwhile_begins_nothing(
    sessions: WebSessions, directory: Directory, alice: Principal
) -> None:
    old = stamp(directory)
    directory.principals.set_password(alice.name, directory.passwords.hash("another one"))
    with pytest.raises(UnknownName):
        sessions.begin(alice, old, ("pwd",), LIMITS)


def test_half_a_sign_in_is_short_and_not_listed(
    sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock
) -> None:
    value = begin(sessions, directory, alice, pending=True)
    held = sessions.holder(value, LIMITS)
    assert held is not None
    assert held.pending
    assert sessions.all(alice, LIMITS) == []
    clock.now += 600
    assert sessions.holder(value, LIMITS) is None


def test_sessions_are_ended_by_their_owner_only(sessions: WebSessions, directory: Directory, alice: Principal) -> None:
    bob = add(directory, "bob@example.org")
    made, value = sessions.begin(alice, stamp(directory), ("pwd",), LIMITS)
    assert not sessions.end(bob, made.id)
    assert sessions.end_others(bob) == 0
    assert sessions.holder(value, LIMITS) is not None
    assert sessions.end(alice, made.id)
    assert not sessions.end(alice, made.id)
    assert sessions.holder(value, LIMITS) is None


def test_all_others_end_at_once(sessions: WebSessions, directory: Directory, alice: Principal) -> None:
    values = [begin(sessions, directory, alice) for _ in range(3)]
    begin(sessions, directory, alice, pending=True)
    kept = sessions.holder(values[1], LIMITS)
    assert kept is not None
    assert sessions.end_others(alice, kept.id) == 3
    assert [sessions.holder(value, LIMITS) is not None for value in values] == [False, True, False]


def test_their_number_is_bounded(sessions: WebSessions, directory: Directory, alice: Principal, clock: Clock) -> None:
    first = begin(sessions, directory, alice)
    clock.now += 1
    kept = begin(sessions, directory, alice)
    clock.now += 1
    for _ in range(MOST - 1):
        begin(sessions, directory, alice)
    assert sessions.holder(first, LIMITS) is None
    assert sessions.holder(kept, LIMITS) is not None
    assert len(sessions.all(alice, LIMITS)) == MOST
