"""Basic and Bearer credentials, checked against the directory."""

from __future__ import annotations

from typing import Any

from flaskmail.accounts.principals import Principal
from flaskmail.hookspecs import Credentials, hookimpl


@hookimpl(trylast=True)
def authenticate(server: Any, credentials: Credentials) -> Principal:
    """See :meth:`flaskmail.accounts.authentication.Authenticator.authenticate`."""
    found: Principal = server.directory.authenticator.authenticate(credentials.authorization, credentials.address)
    return found
