"""Whatever a client sends in front of what its proxy writes, nobody else's address comes out, and nothing breaks."""

from __future__ import annotations

import random

import pytest

from flaskmail.decisions.addresses import read_networks
from flaskmail.decisions.client import Claims, Trust, decide_client
from flaskmail.decisions.forwarded import BadForwarded

REAL = "203.0.113.7"
NETWORKS, _ = read_networks(["private"])
PIECES = [
    *"\"\\,;=:[]%_ \t.0129afFx/<>@",
    "for=", "For=", "proto=", "host=", "by=", "for", "http", "https", "gopher", "unknown", "_hidden", "127.0.0.1", "10.0.0.1",
    "6.6.6.6", "[::1]", "::ffff:6.6.6.6", "2001:db8::1", '"[2001:db8::1]:80"', ":80", ":65536", ", ", "; ", "\xa0", "\xff", "ü",
    '"', '\\"', '"unterminated', "for=6.6.6.6", 'for="6.6.6.6', "x=\"", ",for=6.6.6.6;", "0177.0.0.1", "1e400",
]  # fmt: skip
WRITTEN = [
    ", for={}",
    ",for={};proto=https",
    ', for="{}:4711";by=10.0.0.9',
    ', by="10.0.0.9";for={};host=mail.example',
    ", for={}, for=10.0.0.3",
    ", For={};PROTO=https;ext=\"a,b\"",
]  # fmt: skip


def prefix(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(12)))


def walk(rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    fields = [frozenset({"for", "proto"}), frozenset({"for", "proto", "host"}), frozenset({"for"})]
    trusts = {
        family: [Trust(True, NETWORKS, family, each) for each in fields] for family in ("x-forwarded", "forwarded")
    }  # type: ignore[arg-type]
    refused = 0
    for _ in range(rounds // 2):
        said = prefix(rng)
        claims = Claims(x_for=f"{said}, {REAL}" + rng.choice(["", ", 10.0.0.3"]), x_proto=f"{said},https")
        client = decide_client(rng.choice(trusts["x-forwarded"]), "10.0.0.2", "http", claims)
        assert client.address == REAL
        assert client.scheme == ("https" if client.told else "http")
        written = rng.choice(WRITTEN)
        try:
            client = decide_client(
                rng.choice(trusts["forwarded"]), "10.0.0.2", "http", Claims(forwarded=said + written.format(REAL))
            )
        except BadForwarded:
            refused += 1
            continue
        assert client.address == REAL, said
        if client.told:
            assert client.scheme == "https", said
        assert client.host in (None, "mail.example"), said
    # Both ends are met: what is refused, and what is read.
    assert 0 < refused < rounds // 2


def free(rounds: int, seed: int) -> None:
    """Anything at all, in every field and family: an address, nobody, or a refusal."""
    rng = random.Random(seed)
    names = ("x-forwarded", "forwarded", "auto")
    trusts = [Trust(True, NETWORKS, family, frozenset({"for", "proto", "host"})) for family in names]  # type: ignore[arg-type]
    for _ in range(rounds):
        claims = Claims(*(rng.choice([None, prefix(rng)]) for _ in range(4)))
        peer = rng.choice(["10.0.0.2", "", "fe80::1%eth0", "::ffff:10.0.0.1", prefix(rng)])
        try:
            client = decide_client(rng.choice(trusts), peer, "http", claims)
        except BadForwarded:
            continue
        assert client.scheme in ("http", "https")
        assert client.address is None or client.address.isascii()


def test_what_clients_put_before_the_proxys_words() -> None:
    walk(20_000, 1)
    free(5_000, 2)


@pytest.mark.long
def test_what_clients_put_before_the_proxys_words_for_long() -> None:
    walk(200_000, 3)
    free(100_000, 4)
