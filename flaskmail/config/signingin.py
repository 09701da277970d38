"""The settings of signing in with a browser: sessions, and passwords that people choose."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting


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
