"""The management API: operations declared as functions (:mod:`flaskmail.management.operation`), answered by
:mod:`flaskmail.management.dispatch`, described by :mod:`flaskmail.management.openapi`. No Flask here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from flaskmail.management.dispatch import Api

MODULES = (
    "whoami",
    "account",
    "credentials",
    "principals",
    "settings",
    "policy",
    "domains",
    "dkim",
    "dns",
    "oauthclients",
    "plugins",
    "storage",
    "jobs",
    "logs",
    "audit",
)
"""The modules of :mod:`flaskmail.management` with operations, in the order of the documentation; each has a ``resource``."""


@cache
def api() -> Api:
    """All operations; made at the first call."""
    return Api(import_module(f"flaskmail.management.{name}").resource for name in MODULES)


__all__ = ["Api", "api"]
