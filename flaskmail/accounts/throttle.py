"""Wrong passwords are slowed down, per client address and per account, for all workers together and across restarts."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path

from flaskmail.accounts.database import MAY_GO, Database
from flaskmail.accounts.schema import THROTTLE
from flaskmail.config.kinds import Rate

KNOWN = 90 * 86400.0
"""Seconds for which an address from which an account was used counts as one of its own."""


PASSWORD = "password"
"""The usual kind of guesses."""


def client_key(address: str) -> str:
    """What counts as one client: an IPv4 address, the /64 of an IPv6 address, "" when the address is not known."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def drained(level: float, elapsed: float, rate: Rate) -> float:
    """What is left of ``level`` after ``elapsed`` seconds (a clock set back counts as no time)."""
    return max(0.0, level - max(0.0, elapsed) * rate.count / rate.seconds)


def wait_for(level: float, rate: Rate) -> float:
    """Seconds until one more try is allowed; 0 for now. ``rate.count`` tries are allowed at once."""
    return max(0.0, (level - (rate.count - 1)) * rate.seconds / rate.count)


def _key(*parts: str) -> bytes:
    # Names are what strangers type: whatever stands in one, no other parts give the same octets.
    texts = [part.encode("utf-8", "surrogatepass") for part in parts]
    octets = b"".join(len(text).to_bytes(8, "big") + text for text in texts)
    return hashlib.blake2b(octets, digest_size=16).digest()


class Throttle:
    """Leaky buckets in ``<data>/throttle.db``.

    A try from an address that the account was used from before counts for that pair alone, so strangers cannot lock an owner
    out; any other try counts for the address and for the account. Names are stored as hashes only. rate: tries that may be
    wrong, in how many seconds. clock: seconds since 1970. kind, of every method: what is guessed; each has buckets of its own
    but for the one of the address.
    """

    def __init__(self, path: Path, rate: Rate, *, clock: Callable[[], float] = time.time) -> None:
        # A power cut may cost the last few counts; nothing that was promised.
        self._database = Database(path, THROTTLE, synchronous="NORMAL", advice=MAY_GO)
        self._rate, self._clock = rate, clock

    def apply(self, rate: Rate) -> None:
        """Counts by another rate from now on."""
        self._rate = rate

    def enter(self, address: str, name: str, kind: str = PASSWORD) -> float:
        """Counts a try before its password is looked at. Answers 0, or the seconds to wait (then nothing is counted)."""
        wait = self.waiting(address, name, kind)
        if wait:
            return wait
        keys = self._keys(address, name, kind)
        now = self._clock()
        with self._database.write() as execute:
            execute("DELETE FROM failures WHERE at < ?", (now - self._rate.seconds,))
            execute("DELETE FROM known WHERE at < ?", (now - KNOWN,))
            levels = []
            for key in keys:
                row = execute("SELECT level, at FROM failures WHERE key=?", (key,))
                level = drained(row[0][0], now - row[0][1], self._rate) if row else 0.0
                # Another worker may have counted since the look above.
                wait = wait_for(level, self._rate)
                if wait:
                    return wait
                levels.append((key, level + 1.0))
            for key, level in levels:
                execute("INSERT OR REPLACE INTO failures(key, level, at) VALUES(?,?,?)", (key, level, now))
        return 0.0

    def waiting(self, address: str, name: str, kind: str = PASSWORD) -> float:
        """The seconds to wait before a try would be looked at; nothing is counted."""
        now = self._clock()
        return max(self._wait(key, now) for key in self._keys(address, name, kind))

    def succeeded(self, address: str, name: str, kind: str = PASSWORD) -> None:
        """Takes back what ``enter`` counted, and remembers the address as one of the account's own."""
        keys = self._keys(address, name, kind)
        client = client_key(address)
        now = self._clock()
        with self._database.write() as execute:
            for key in keys:
                execute("UPDATE failures SET level=max(0.0, level-1.0) WHERE key=?", (key,))
            if client:
                execute("INSERT OR REPLACE INTO known(key, at) VALUES(?,?)", (_key("known", kind, client, name), now))

    def _keys(self, address: str, name: str, kind: str) -> list[bytes]:
        client = client_key(address)
        if not client:
            return [_key("account", kind, name)]
        pair = _key("known", kind, client, name)
        if self._database.row("SELECT 1 FROM known WHERE key=? AND at>=?", (pair, self._clock() - KNOWN)):
            return [_key("pair", kind, client, name)]
        return [_key("address", client), _key("account", kind, name)]

    def _wait(self, key: bytes, now: float) -> float:
        row = self._database.row("SELECT level, at FROM failures WHERE key=?", (key,))
        return 0.0 if row is None else wait_for(drained(row[0], now - row[1], self._rate), self._rate)

    def remove_drained(self) -> int:
        """Removes counts that hold nobody back any more, and addresses that count as nobody's own. Answers how many."""
        now = self._clock()
        with self._database.write() as execute:
            drained = execute(
                "DELETE FROM failures WHERE at < ? OR level - (? - at) * ? <= 0 RETURNING 1",
                (now - self._rate.seconds, now, self._rate.count / self._rate.seconds),
            )
            unknown = execute("DELETE FROM known WHERE at < ? RETURNING 1", (now - KNOWN,))
        return len(drained) + len(unknown)

    def close(self) -> None:
        """Closes this process's connection."""
        self._database.close()
