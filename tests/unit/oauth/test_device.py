from __future__ import annotations

import random

import pytest

from flaskmail.oauth.device import ALPHABET, INTERVAL, Polling, make_user_code, normal_user_code, poll

NOW = 1_000_000.0


def polled(state: Polling, now: float) -> tuple[Polling, str]:
    after, refused = poll(state, now)
    return after, "tokens" if refused is None else refused.error


def test_user_codes_hold_nothing_that_looks_like_something_else():
    code = make_user_code(random.Random(1).choice)
    assert len(code) == 9
    assert code[4] == "-"
    assert set(code) - {"-"} <= set(ALPHABET)
    assert not set("AEIOUY0123456789") & set(ALPHABET)


@pytest.mark.parametrize("typed", ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk\n", "B.C.D.F.G.H.J.K", "bcdf_ghjk"])
def test_user_codes_are_read_as_people_type_them(typed):
    assert normal_user_code(typed) == "BCDF-GHJK"


@pytest.mark.parametrize("typed", ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "BCDF-GHJ1", "ßCDFGHJK", "x" * 1000])
def test_other_texts_are_no_user_codes(typed):
    assert normal_user_code(typed) is None


def test_a_device_waits_and_gets_its_tokens_once():
    state = Polling("pending", NOW + 1800)
    state, said = polled(state, NOW + 5)
    assert said == "authorization_pending"
    state = Polling("approved", state.expires, state.interval, state.polled)
    state, said = polled(state, NOW + 10)
    assert (said, state.status) == ("tokens", "redeemed")
    assert polled(state, NOW + 20)[1] == "invalid_grant"
    assert polled(state, NOW + 3000)[1] == "invalid_grant"


def test_who_asks_too_often_has_to_wait_longer_each_time():
    state, said = polled(Polling("pending", NOW + 1800), NOW)
    assert said == "authorization_pending"
    for n in range(1, 4):
        state, said = polled(state, NOW + n)
        assert (said, state.interval) == ("slow_down", INTERVAL * (n + 1))
    # The first interval is no longer enough.
    state, said = polled(state, NOW + 3 + INTERVAL)
    assert said == "slow_down"
    state, said = polled(state, NOW + 3 + INTERVAL + state.interval)
    assert said == "authorization_pending"


def test_who_asks_too_often_is_slowed_down_even_when_the_user_said_yes():
    state = Polling("approved", NOW + 1800, INTERVAL, NOW)
    state, said = polled(state, NOW + 1)
    assert (said, state.status) == ("slow_down", "approved")


@pytest.mark.parametrize("status", ["pending", "approved", "denied"])
def test_a_code_is_over_on_the_second(status):
    state = Polling(status, NOW + 1800)
    assert polled(state, NOW + 1799.9)[1] != "expired_token"
    assert polled(state, NOW + 1800)[1] == "expired_token"


def test_a_refusal_is_told():
    assert polled(Polling("denied", NOW + 1800), NOW)[1] == "access_denied"
