"""Nobody chooses by whose tries his own are counted: what a client says of its address is believed of trusted proxies only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flaskmail.testing import MadeServer, basic, make_server

# What clients and careless proxies send; {n}: another address each time.
FORGED = [
    {"X-Forwarded-For": "198.51.100.{n}"},
    {"X-Forwarded-For": "198.51.100.{n}, 203.0.113.9"},
    {"X-Real-IP": "198.51.100.{n}"},
    {"Forwarded": "for=198.51.100.{n}"},
    {"Forwarded": 'for="[2001:db8:{n}::1]"'},
    {"CF-Connecting-IP": "198.51.100.{n}"},
    {"True-Client-IP": "198.51.100.{n}"},
    {"X-Client-IP": "198.51.100.{n}"},
    {"Client-IP": "198.51.100.{n}"},
    {"X-Cluster-Client-IP": "198.51.100.{n}"},
    {"X-Envoy-External-Address": "198.51.100.{n}"},
    {"Fastly-Client-IP": "198.51.100.{n}"},
    {"Via": "1.1 198.51.100.{n}"},
    {"X_Forwarded_For": "198.51.100.{n}"},
    {"X-Forwarded_For": "198.51.100.{n}"},
]
TRIES = 16


def tries(made: MadeServer, peer: str, headers: dict[str, str], kind: str) -> list[int]:
    """What wrong passwords (each for another name) or wrong tokens are answered."""
    found = []
    for number in range(TRIES):
        sent = {name: value.format(n=number + 1) for name, value in headers.items()}
        wrong = basic(f"{peer}-{number}@example.org", "wrong") if kind == "password" else f"Bearer fmt_{number}"
        reply = made.client.get(
            "/jmap/session", headers={"Authorization": wrong, **sent}, environ_overrides={"REMOTE_ADDR": peer}
        )
        found.append(reply.status_code)
    return found


@pytest.fixture(scope="module", params=[False, True], ids=["off", "on"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    """With ``use-x-forwarded`` off and on."""
    config = f"[server.http]\nuse-x-forwarded = {str(request.param).lower()}\n"
    config += '[server.http.rate-limit]\nanonymous = "10/1h"\naccount = false\n'
    with make_server(config=config) as made:
        yield made


@pytest.mark.parametrize("kind", ["password", "token"])
@pytest.mark.parametrize("number", range(len(FORGED)), ids=[repr(one) for one in FORGED])
def test_strangers_cannot_forge_it(made: MadeServer, number: int, kind: str) -> None:
    # A peer of its own for each, who is no trusted proxy: wrong passwords count as what proves nothing, too.
    peer = f"{'203.0.113' if kind == 'password' else '192.0.2'}.{number + 10}"
    got = tries(made, peer, FORGED[number], kind)
    assert got[:10] == [401] * 10
    # The bucket of passwords empties by one in six seconds.
    assert got[12:] == [429] * (TRIES - 12)


@pytest.mark.parametrize("kind", ["password", "token"])
def test_behind_a_trusted_proxy_only_its_own_word_counts(kind: str) -> None:
    config = "[server.http]\nuse-x-forwarded = true\n"
    config += '[server.http.rate-limit]\nanonymous = "10/1h"\naccount = false\n'
    with make_server(config=config) as made:
        # The proxy appends the peer that it saw; what stands before is the client's.
        got = tries(made, "127.0.0.1", {"X-Forwarded-For": "198.51.100.{n}, 203.0.113.9"}, kind)
        assert got[12:] == [429] * (TRIES - 12)
        assert tries(made, "127.0.0.1", {"X-Forwarded-For": "198.51.100.{n}"}, kind) == [401] * TRIES


def test_the_addresses_of_one_ipv6_network_are_one_client() -> None:
    config = "[server.http]\nuse-x-forwarded = true\n"
    config += '[server.http.rate-limit]\nanonymous = "10/1h"\naccount = false\n'
    with make_server(config=config) as made:
        for kind in ("password", "token"):
            got = tries(made, "127.0.0.1", {"X-Forwarded-For": "2001:db8::{n}"}, kind)
            assert got[12:] == [429] * (TRIES - 12)
