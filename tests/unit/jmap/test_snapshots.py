"""Calls that follow each other and only read share a snapshot; nobody is left with an old one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flaskmail.errors import AccountMissing
from flaskmail.jmap.snapshots import Snapshots


class Counting:
    """A store whose readers are numbers, and which notes what happens."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.next = 0

    @contextmanager
    def read(self, account_id: str) -> Iterator[int]:
        if account_id == "missing":
            raise AccountMissing("no such account")
        number = self.next
        self.next += 1
        self.seen.append(f"open {account_id}{number}")
        try:
            yield number
        except ValueError as error:
            self.seen.append(f"failed {account_id}{number}")
            raise KeyError("translated") from error
        finally:
            self.seen.append(f"close {account_id}{number}")

    @contextmanager
    def write(self, account_id: str) -> Iterator[str]:
        self.seen.append(f"write {account_id}")
        yield "txn"


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def snapshots(counting: Counting) -> Snapshots:
    store: Any = counting
    return Snapshots(store)


def read(snapshots: Snapshots, account: str = "a") -> Any:
    with snapshots.read(account) as reader:
        return reader


def test_readings_one_after_the_other_share_a_snapshot(counting: Counting, snapshots: Snapshots) -> None:
    assert [read(snapshots) for _ in range(3)] == [0, 0, 0]
    assert counting.seen == ["open a0"]
    snapshots.release()
    snapshots.release()
    assert counting.seen == ["open a0", "close a0"]


def test_another_account_has_another_snapshot(counting: Counting, snapshots: Snapshots) -> None:
    assert [read(snapshots, account) for account in "aba"] == [0, 1, 2]
    snapshots.release()
    assert counting.seen == ["open a0", "close a0", "open b1", "close b1", "open a2", "close a2"]


def test_whoever_writes_ends_it_first(counting: Counting, snapshots: Snapshots) -> None:
    read(snapshots)
    with snapshots.write("a"):
        pass
    assert read(snapshots) == 1
    snapshots.release()
    assert counting.seen == ["open a0", "close a0", "write a", "open a1", "close a1"]


def test_reading_while_reading_gets_a_snapshot_of_its_own(counting: Counting, snapshots: Snapshots) -> None:
    with snapshots.read("a") as outer, snapshots.read("a") as inner, snapshots.read("b") as other:
        assert (outer, inner, other) == (0, 1, 2)
    assert read(snapshots) == 0
    snapshots.release()
    assert sorted(counting.seen) == sorted(
        f"{word} {name}" for word in ("open", "close") for name in ("a0", "a1", "b2")
    )


def test_one_that_is_released_in_use_ends_with_its_user(counting: Counting, snapshots: Snapshots) -> None:
    with snapshots.read("a"):
        snapshots.release()
        assert counting.seen == ["open a0"]
    assert counting.seen == ["open a0", "close a0"]
    assert read(snapshots) == 1
    snapshots.release()


def test_an_error_ends_it_and_the_store_hears_of_it(counting: Counting, snapshots: Snapshots) -> None:
    read(snapshots)
    with pytest.raises(KeyError, match="translated"), snapshots.read("a"):
        raise ValueError("of the database")
    assert counting.seen == ["open a0", "failed a0", "close a0"]
    assert read(snapshots) == 1
    snapshots.release()


def test_an_account_that_is_missing_leaves_nothing_behind(counting: Counting, snapshots: Snapshots) -> None:
    for _ in range(2):
        with pytest.raises(AccountMissing), snapshots.read("missing"):
            pass
    assert read(snapshots) == 0
    snapshots.release()
    assert counting.seen == ["open a0", "close a0"]
