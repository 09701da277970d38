"""How somebody came to be let in: with which credential, and how far that reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

GrantKind = Literal["password", "app-password", "token", "api-key", "oauth", "session", "local", "plugin"]
"""password: the main one; session: a browser's; local: the command line on the data folder itself; plugin: a plugin says so."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request's credential allows of what its owner may do. id: of the credential, for revoking it, "" for a password;
    name: what its owner calls it; scopes: names of :mod:`flaskmail.accounts.scopes`, None for no limit by scope; client: the
    OAuth client's id, or ""; authenticated: when its owner proved who he is, in seconds since 1970, 0 when that is not known;
    second_factor: whether with a second factor. Of tokens and keys, expires: seconds since 1970, None for never; networks: CIDRs
    from which alone it counts, None for everywhere."""

    kind: GrantKind = "password"
    id: str = ""
    name: str = ""
    scopes: frozenset[str] | None = None
    client: str = ""
    authenticated: int = 0
    second_factor: bool = False
    expires: int | None = None
    networks: tuple[str, ...] | None = None

    def falls_short(
        self, expires: int | None, networks: tuple[str, ...] | None
    ) -> Literal["expires", "networks", None]:
        """In what a credential with this end and these networks (CIDRs) would reach further than this one; None for in
        nothing."""
        if self.expires is not None and (expires is None or expires > self.expires):
            return "expires"
        if self.networks is not None and (
            networks is None or not all(_lies_in(network, self.networks) for network in networks)
        ):
            return "networks"
        return None


def _lies_in(network: str, others: Iterable[str]) -> bool:
    inner = ip_network(network)
    # Of two versions no network lies in the other.
    return any(
        inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        for outer in map(ip_network, others)
    )


WHOLE = Grant()
"""Everything that the owner may do."""
