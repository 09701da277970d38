"""The settings of signing in: credentials, sessions of browsers, and passwords that people choose."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting
from flaskmail.config.kinds import Rate


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Sessions of browsers, on the pages for signing in, for allowing applications and for one's own account. JMAP and the
    management API never take them."""

    lifetime: int = setting(
        kinds.duration(60, 90 * 86400), 12 * 3600, "After so long a session is over, however much it is used."
    )
    idle_timeout: int = setting(
        kinds.duration(60, 90 * 86400), 3600, "After so long without a request a session is over."
    )
    confirm_after: int = setting(
        kinds.duration(30, 86400),
        600,
        "Whoever signed in longer ago does so again before changing how the account is signed in to.",
    )


@dataclass(frozen=True, slots=True)
class ChosenPassword:
    """Passwords that people choose for themselves; those that an administrator sets are his to judge."""

    min_length: int = setting(kinds.integer(8, 128), 12, "Characters that a new password has at least.")


@dataclass(frozen=True, slots=True)
class Argon2:
    """What checking a password costs (Argon2id, RFC 9106). New values hold for passwords set from then on."""

    memory: int = setting(kinds.size(8 * 1024, 4 * 1024**3), 19 * 1024**2, "Memory of one check.")
    time_cost: int = setting(kinds.integer(1, 100), 2, "Passes over the memory.")
    parallelism: int = setting(kinds.integer(1, 64), 1, "Lanes, each a thread of its own.")
    concurrency: int = setting(
        kinds.integer(1, 64),
        2,
        "Checks at once in one worker; others wait. Bounds the memory that wrong passwords can cost.",
    )


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who may come in."""

    basic: bool = setting(
        kinds.BOOLEAN, True, "Accept a name and password (HTTP Basic). Tokens (Bearer) are always accepted."
    )
    fail_rate: Rate = setting(
        kinds.RATE,
        Rate(10, 60),
        "Wrong passwords for one name or from one address, before further attempts are put off.",
    )
    cache_ttl: int = setting(
        kinds.duration(0, 86400),
        300,
        "How long a worker remembers that a password or token was right. A changed password counts at once.",
    )
    argon2: Argon2 = Argon2()
    session: BrowserSession = BrowserSession()
    password: ChosenPassword = ChosenPassword()
