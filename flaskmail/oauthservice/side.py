"""What both sides of the authorization server have: that of people, and that of machines."""

from __future__ import annotations

import time
from collections.abc import Callable

from flaskmail.accounts.directory import Directory
from flaskmail.config.oauth import OAuth
from flaskmail.config.settings import Settings
from flaskmail.oauth import redirects
from flaskmail.oauth.offer import Offer

INSECURE = "Applications can be let in over https only: the setting server.http.url says how clients reach this server."


def is_usable(issuer: str) -> bool:
    """Whether tokens may travel to and from this base URL."""
    # RFC 6749 sections 3.1 and 3.2: TLS is required; what never leaves the machine needs none (RFC 8252 section 8.3).
    return issuer.startswith("https://") or redirects.is_loopback_url(issuer)


class Side:
    """directory, settings, offer, default (the scopes meant by a request that names none): those in force; clock: seconds since
    1970."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        settings: Callable[[], Settings],
        offer: Callable[[], Offer],
        default: Callable[[], tuple[str, ...]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._get_directory, self._get_settings, self._offer = directory, settings, offer
        self._default, self._clock = default, clock

    @property
    def _settings(self) -> OAuth:
        return self._get_settings().oauth
