from __future__ import annotations

import pytest

from flaskmail.values import ids


@pytest.mark.parametrize("value", ["a", "A-_9", "x" * 255])
def test_ids_are_ids(value: str) -> None:
    assert ids.is_id(value)


@pytest.mark.parametrize("value", ["", "x" * 256, "a b", "a.b", "é", "a\n", "٣", 1, None, ["a"]])
def test_everything_else_is_none(value: object) -> None:
    assert not ids.is_id(value)


def test_random_ids_are_ids_of_their_own() -> None:
    made = {ids.random_id("m") for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.is_id(one) and one[0] == "m" and len(one) == 25 and one == one.lower() for one in made)


def test_creation_references() -> None:
    assert ids.creation_reference("k1") == "#k1"
    assert ids.is_creation_reference("#k1")
    assert ids.referenced_creation("#k1") == "k1"


@pytest.mark.parametrize("value", ["k1", "#", "##a", "#a b", None, 3])
def test_what_refers_to_no_creation(value: object) -> None:
    assert not ids.is_creation_reference(value)
    with pytest.raises(ValueError, match="no creation reference"):
        ids.referenced_creation(value)  # type: ignore[arg-type]
