from __future__ import annotations

import pytest

from flaskmail.oauth.refresh import RefreshState, judge, lifetime

NOW = 1000


@pytest.mark.parametrize(
    ("used", "expires", "family", "verdict"),
    [
        (False, NOW + 1, NOW + 1, "rotate"),
        (False, NOW, NOW + 1, "over"),
        (False, NOW + 1, NOW, "over"),
        (True, NOW + 1, NOW + 1, "replayed"),
        (True, NOW - 1, NOW + 1, "replayed"),
        (True, NOW - 1, NOW - 1, "replayed"),
    ],
)
def test_verdicts(used, expires, family, verdict):
    assert judge(RefreshState(used, expires, family), NOW) == verdict


def test_no_token_outlives_its_family():
    assert lifetime(NOW, 30, NOW + 100) == NOW + 30
    assert lifetime(NOW, 30, NOW + 10) == NOW + 10
