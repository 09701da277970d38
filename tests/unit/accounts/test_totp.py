"""Second factors: the codes of RFC 6238, each once; recovery codes; guessing."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from flaskmail.accounts import totp
from flaskmail.accounts.database import Database
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.faults import DirectoryError
from flaskmail.accounts.keyfile import NAME, read_key
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.schema import CONTROL
from flaskmail.accounts.totp import SecondFactors, WrongCode, code_at, matching_step, wait_after
from flaskmail.errors import StoreError

from .conftest import add

# RFC 6238 appendix B: SHA-1, the last six of its eight digits.
RFC = b"12345678901234567890"


class Clock:
    """A clock that is set."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def factors(directory: Directory, tmp_path: Path, clock: Clock) -> SecondFactors:
    return SecondFactors(directory._database, tmp_path / "data", clock=clock)


@pytest.fixture
def alice(directory: Directory) -> Principal:
    return add(directory, "alice@example.org")


def secret_of(factors: SecondFactors, principal: Principal) -> bytes:
    found = factors.enrolment(principal, "mail.example.org")
    assert found is not None
    return base64.b32decode(found.secret)


@pytest.fixture
def secret(factors: SecondFactors, alice: Principal, clock: Clock) -> bytes:
    """Of Alice's second factor, which is in use; the clock has gone on since."""
    factors.enrol(alice)
    found = secret_of(factors, alice)
    factors.confirm(alice, code_at(found, int(clock.now) // 30))
    clock.now += 300
    return found


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(at: int, code: str) -> None:
    assert code_at(RFC, at // 30) == code


@pytest.mark.parametrize(("steps", "found"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_delay_or_haste_is_allowed(steps: int, found: bool) -> None:
    present = 1_800_000_000 // 30
    step = matching_step(RFC, code_at(RFC, present + steps), 1_800_000_000.0, 0)
    assert step == (present + steps if found else None)


def test_nothing_counts_before_it_is_confirmed(factors: SecondFactors, alice: Principal, clock: Clock) -> None:
    assert factors.enrolment(alice, "x") is None
    factors.enrol(alice)
    assert not factors.has_second_factor(alice.id)
    assert factors.get(alice.id) is None
    with pytest.raises(WrongCode):
        factors.check(alice, code_at(secret_of(factors, alice), int(clock.now) // 30))
    with pytest.raises(WrongCode):
        factors.confirm(alice, "000000")
    assert not factors.has_second_factor(alice.id)


def test_enrolling_again_takes_another_secret(factors: SecondFactors, alice: Principal) -> None:
    factors.enrol(alice)
    first = secret_of(factors, alice)
    factors.enrol(alice)
    assert secret_of(factors, alice) != first
    assert len(first) == 20


def test_the_uri_is_what_authenticator_apps_read(factors: SecondFactors, alice: Principal) -> None:
    factors.enrol(alice)
    found = factors.enrolment(alice, "mail.example.org")
    assert found is not None
    uri = urlsplit(found.uri)
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/mail.example.org:alice%40example.org")
    assert parse_qs(uri.query) == {"secret": [found.secret], "issuer": ["mail.example.org"]}


def test_a_second_factor_in_use_is_not_replaced(factors: SecondFactors, alice: Principal, secret: bytes) -> None:
    with pytest.raises(DirectoryError, match="remove it first"):
        factors.enrol(alice)
    assert factors.enrolment(alice, "x") is None
    assert factors.has_second_factor(alice.id)


def test_a_code_is_good_once(factors: SecondFactors, alice: Principal, secret: bytes, clock: Clock) -> None:
    present = int(clock.now) // 30
    code = code_at(secret, present)
    assert factors.check(alice, f" {code[:3]} {code[3:]} ") == "otp"
    for used in (code, code_at(secret, present - 1)):
        with pytest.raises(WrongCode):
            factors.check(alice, used)
    clock.now += 30
    assert factors.check(alice, code_at(secret, present + 1)) == "otp"


def test_of_many_at_once_one_gets_in(
    open_directory: Callable[[], Directory],
    factors: SecondFactors,
    alice: Principal,
    secret: bytes,
    tmp_path: Path,
    clock: Clock,
) -> None:
    code, results, start = code_at(secret, int(clock.now) // 30), [], threading.Barrier(4)

    def try_it(own: SecondFactors) -> None:
        start.wait(60)
        try:
            results.append(own.check(alice, code))
        except WrongCode:
            results.append("wrong")

    every = [SecondFactors(open_directory()._database, tmp_path / "data", clock=clock) for _ in range(4)]
    threads = [threading.Thread(target=try_it, args=(one,)) for one in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == ["otp", "wrong", "wrong", "wrong"]


def test_recovery_codes_are_good_once(factors: SecondFactors, alice: Principal, clock: Clock) -> None:
    factors.enrol(alice)
    codes = factors.confirm(alice, code_at(secret_of(factors, alice), int(clock.now) // 30))
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([0-9a-z]{4}-){3}[0-9a-z]{4}", code) for code in codes)
    # As people copy them.
    typed = codes[3].upper().replace("-", " ").replace("0", "O").replace("1", "l")
    assert factors.check(alice, typed) == "recovery"
    with pytest.raises(WrongCode):
        factors.check(alice, codes[3])
    left = factors.get(alice.id)
    assert left is not None
    assert left.recovery_codes == 9
    fresh = factors.renew_recovery_codes(alice)
    with pytest.raises(WrongCode):
        factors.check(alice, codes[4])
    assert factors.check(alice, fresh[4]) == "recovery"


def test_a_recovery_code_is_its_owners(
    directory: Directory, factors: SecondFactors, alice: Principal, secret: bytes, clock: Clock
) -> None:
    bob = add(directory, "bob@example.org")
    factors.enrol(bob)
    codes = factors.confirm(bob, code_at(secret_of(factors, bob), int(clock.now) // 30))
    with pytest.raises(WrongCode):
        factors.check(alice, codes[0])


def test_guessing_gets_slower(factors: SecondFactors, alice: Principal, secret: bytes, clock: Clock) -> None:
    waits = []
    for _ in range(5):
        with pytest.raises(WrongCode) as caught:
            factors.check(alice, "000000")
        waits.append(caught.value.wait)
    assert waits == [0, 0, 0, 0, 30]
    # The right one has to wait too, and trying does not make it longer.
    for _ in range(3):
        with pytest.raises(WrongCode) as caught:
            factors.check(alice, code_at(secret, int(clock.now) // 30))
        assert caught.value.wait == 30
    clock.now += 30
    with pytest.raises(WrongCode) as caught:
        factors.check(alice, "000000")
    assert caught.value.wait == 60
    clock.now += 60
    assert factors.check(alice, code_at(secret, int(clock.now) // 30)) == "otp"
    with pytest.raises(WrongCode) as caught:
        factors.check(alice, "000000")
    assert caught.value.wait == 0


def test_a_clock_that_was_set_back_locks_nobody_out(
    factors: SecondFactors, alice: Principal, secret: bytes, clock: Clock
) -> None:
    for _ in range(8):
        with pytest.raises(WrongCode):
            factors.check(alice, "000000")
        clock.now += 1000
    clock.now -= 365 * 86400
    with pytest.raises(WrongCode) as caught:
        factors.check(alice, "000000")
    assert caught.value.wait <= totp.LONGEST_WAIT


def test_waits_double_up_to_a_bound() -> None:
    assert [wait_after(count) for count in (0, 4, 5, 6, 7, 9, 10, 1000)] == [0, 0, 30, 60, 120, 480, 900, 900]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "\ud800", "0" * 10_000, "12345x"])
def test_what_is_no_code_is_wrong(factors: SecondFactors, alice: Principal, secret: bytes, code: str) -> None:
    with pytest.raises(WrongCode):
        factors.check(alice, code)


def test_removing_it_leaves_nothing(
    directory: Directory, factors: SecondFactors, alice: Principal, secret: bytes
) -> None:
    factors.remove(alice)
    assert not factors.has_second_factor(alice.id)
    assert directory._database.rows("SELECT 1 FROM recovery_code UNION SELECT 1 FROM totp") == []
    with pytest.raises(DirectoryError):
        factors.renew_recovery_codes(alice)


def test_nothing_goes_with_a_deleted_account(
    directory: Directory, factors: SecondFactors, alice: Principal, secret: bytes
) -> None:
    directory.principals.delete("alice@example.org")
    assert directory._database.rows("SELECT 1 FROM recovery_code UNION SELECT 1 FROM totp") == []
    # A new account of that name has nothing of the old one.
    assert not factors.has_second_factor(add(directory, "alice@example.org").id)


def test_no_secret_is_in_the_database(
    directory: Directory, factors: SecondFactors, alice: Principal, clock: Clock, tmp_path: Path
) -> None:
    factors.enrol(alice)
    secret = secret_of(factors, alice)
    codes = factors.confirm(alice, code_at(secret, int(clock.now) // 30))
    canaries = [secret, base64.b32encode(secret), *(code.encode() for code in codes)]
    canaries += [code.replace("-", "").encode() for code in codes]
    files = [path for path in (tmp_path / "data").iterdir() if path.name != NAME]
    assert {path.name for path in files} >= {"control.db", "control.db-wal"}
    for path in files:
        data = path.read_bytes()
        assert not [canary for canary in canaries if canary in data], path


class TestKey:
    def test_it_is_made_once(self, tmp_path: Path) -> None:
        found: list[bytes] = []
        data, database = tmp_path / "new", Database(tmp_path / "control.db", CONTROL)
        threads = [threading.Thread(target=lambda: found.append(read_key(data, database))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 8
        assert len(set(found)) == 1
        assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]
        assert (tmp_path / "new" / NAME).stat().st_mode & 0o777 == 0o600

    def test_half_a_key_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(b"short")
        with pytest.raises(StoreError, match="bring it back from a backup"):
            read_key(tmp_path, Database(tmp_path / "control.db", CONTROL))
        assert (tmp_path / NAME).read_bytes() == b"short"

    def test_a_key_that_second_factors_need_is_never_made_anew(
        self, directory: Directory, factors: SecondFactors, alice: Principal, clock: Clock, tmp_path: Path
    ) -> None:
        key = tmp_path / "data" / NAME
        factors.enrol(alice)
        secret = secret_of(factors, alice)
        key.unlink()
        # One that was only begun is no loss.
        directory.check_key()
        factors.confirm(alice, code_at(secret, int(clock.now) // 30))
        for ask in (directory.check_key, lambda: read_key(tmp_path / "data", directory._database)):
            with pytest.raises(StoreError, match=r"secret\.key is missing: bring it back from a backup"):
                ask()
        assert not key.exists()
