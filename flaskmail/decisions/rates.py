"""Rate limits: the arithmetic (GCRA: one number for each client), and how they are told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flaskmail.decisions.addresses import read_peer


@dataclass(frozen=True, slots=True)
class Limit:
    """count requests in any stretch of ``seconds``, which may come at once. name: as clients read it."""

    name: str
    count: int
    seconds: int

    @property
    def policy(self) -> tuple[str, str]:
        """The header field that says so."""
        return "RateLimit-Policy", f'"{self.name}";q={self.count};w={self.seconds}'


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request did. wait: seconds until one more may come, 0 when this one may; left: requests left at once; reset:
    seconds until all are there again."""

    wait: int
    left: int
    reset: int

    def headers(self, limit: Limit) -> tuple[tuple[str, str], ...]:
        """The header fields that tell."""
        told = (limit.policy, ("RateLimit", f'"{limit.name}";r={self.left};t={self.reset}'))
        return (*told, ("Retry-After", str(self.wait))) if self.wait else told


def spend(limit: Limit, due: float, now: float) -> tuple[float, Spent]:
    """One more request. due: when, in seconds, what was spent so far is there again; 0 for nothing spent.

    Answers the new ``due`` and what to tell. A refused request costs nothing; a clock set back locks nobody out."""
    step = limit.seconds / limit.count
    due = now if not due > now else min(due, now + limit.seconds)
    after = due + step
    # A millionth for what floating point numbers lose.
    wait = after - limit.seconds - now
    if wait > 1e-6 * limit.seconds:
        return due, Spent(max(1, math.ceil(wait)), 0, max(1, math.ceil(due - now)))
    left = int((limit.seconds - (after - now)) / step + 1e-6)
    return after, Spent(0, left, max(1, math.ceil(after - now)))


def client_of(address: str | None) -> str:
    """What counts as one client: an IPv4 address, the /64 of an IPv6 address, "unidentified" for those whom nobody knows."""
    if address is None:
        return "unidentified"
    if ":" not in address:
        return address
    ip = read_peer(address)
    return address if ip is None or ip.version == 4 else f"{int(ip) >> 64:x}/64"
