"""What is wrong between settings that are each right by themselves, told to the loader of the settings."""

from __future__ import annotations

from collections.abc import Iterator

from flaskmail.config import publishing
from flaskmail.config.loading import CHECKS
from flaskmail.config.settings import Settings
from flaskmail.errors import Problem


def check(settings: Settings) -> Iterator[Problem]:
    """The problems; the loader of the settings asks."""
    for key, found, expected in publishing.mistakes(settings.session, settings.dns):
        yield Problem("settings", key, found, expected)
    auth = settings.metrics.prometheus.auth
    if (auth.username is None) != (auth.secret is None):
        missing = "username" if auth.username is None else "secret"
        yield Problem("settings", f"metrics.prometheus.auth.{missing}", "nothing", "a name and a password, or neither")


CHECKS.append(check)
