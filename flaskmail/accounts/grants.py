"""How somebody came to be let in: with which credential, and how far that reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GrantKind = Literal["password", "app-password", "token", "api-key", "oauth", "session", "local", "plugin"]
"""password: the main one; session: a browser's; local: the command line on the data folder itself; plugin: a plugin says so."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request's credential allows of what its owner may do. id: of the credential, for revoking it, "" for a password;
    name: what its owner calls it; scopes: names of :mod:`flaskmail.accounts.scopes`, None for no limit by scope; client: the
    OAuth client's id, or ""; authenticated: when its owner proved who he is, in seconds since 1970, 0 when that is not known;
    second_factor: whether with a second factor."""

    kind: GrantKind = "password"
    id: str = ""
    name: str = ""
    scopes: frozenset[str] | None = None
    client: str = ""
    authenticated: int = 0
    second_factor: bool = False


WHOLE = Grant()
"""Everything that the owner may do."""
