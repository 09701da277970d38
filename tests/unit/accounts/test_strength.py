"""Which passwords people may choose."""

from __future__ import annotations

import pytest

from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.strength import check_strength


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "5 characters, at least 12"),
        ("alice@example.org", "account's name"),
        ("Alice@Example.ORG", "account's name"),
        ("alicealicealice", "account's name"),
        ("example.orgexample.org", "account's name"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("abababababababab", "different characters"),
        # Twelve code points that are six characters once composed.
        ("e\u0301" * 6, "6 characters"),
    ],
)
def test_what_is_easily_guessed_is_refused(password: str, said: str) -> None:
    with pytest.raises(BadPassword, match=said):
        check_strength(password, "alice@example.org", 12)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "alice likes 5 apples", "пароль из слов", "🐎🔋📎 и слова!!"]
)
def test_the_rest_is_theirs_to_choose(password: str) -> None:
    check_strength(password, "alice@example.org", 12)
