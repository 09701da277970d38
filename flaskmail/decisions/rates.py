"""Rate limits: the arithmetic (GCRA: one number for each client), and how they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from flaskmail.decisions.addresses import read_peer


@dataclass(frozen=True, slots=True)
class Limit:
    """count requests in any stretch of ``seconds``, which may come at once. name: as clients read it. policy: the header field
    that says so."""

    name: str
    count: int
    seconds: int
    policy: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", ("RateLimit-Policy", f'"{self.name}";q={self.count};w={self.seconds}'))


class Spent(NamedTuple):
    """What one request did. due: when, in seconds, all requests are there again. wait: seconds until one more may come, 0 when
    this one may. left: requests left at once. reset: seconds until ``due``."""

    due: float
    wait: int
    left: int
    reset: int

    def headers(self, limit: Limit) -> tuple[tuple[str, str], ...]:
        """The header fields that tell."""
        now = "RateLimit", f'"{limit.name}";r={self.left};t={self.reset}'
        return (limit.policy, now, ("Retry-After", str(self.wait))) if self.wait else (limit.policy, now)


def spend(limit: Limit, due: float, now: float) -> Spent:
    """One more request. due: of the request before, 0 for the first.

    A refused request costs nothing; a clock set back locks nobody out."""
    seconds = limit.seconds
    step = seconds / limit.count
    # Also for what is no number.
    due = min(due, now + seconds) if due > now else now
    after = due + step
    over = after - now - seconds
    # A millionth for what floating point numbers lose.
    if over > 1e-6 * seconds:
        return Spent(due, max(1, ceil(over)), 0, max(1, ceil(due - now)))
    return Spent(after, 0, int(1e-6 - over / step), max(1, ceil(after - now)))


def client_of(address: str | None) -> str:
    """What counts as one client: an IPv4 address, the /64 of an IPv6 address, "unidentified" for those whom nobody knows."""
    if address is None:
        return "unidentified"
    if ":" not in address:
        return address
    ip = read_peer(address)
    return address if ip is None or ip.version == 4 else f"{int(ip) >> 64:x}/64"
