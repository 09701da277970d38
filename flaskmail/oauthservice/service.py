"""``Server.oauth``: both sides of the authorization server, and what it offers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.scopes import SCOPES
from flaskmail.config.settings import Settings
from flaskmail.oauth import offer as paths
from flaskmail.oauth.clients import AUTH_METHODS, GRANT_TYPES
from flaskmail.oauth.keys import ALGORITHMS
from flaskmail.oauth.offer import Offer, authorization_server, openid_provider, protected_resource
from flaskmail.oauthservice.endpoints import Endpoints
from flaskmail.oauthservice.people import People
from flaskmail.oauthservice.side import is_usable

_ENDPOINTS = {
    "authorization_endpoint": paths.AUTHORIZE,
    "token_endpoint": paths.TOKEN,
    "device_authorization_endpoint": paths.DEVICE,
    "revocation_endpoint": paths.REVOKE,
    "introspection_endpoint": paths.INTROSPECT,
    "userinfo_endpoint": paths.USERINFO,
    "jwks_uri": paths.JWKS,
}


class OAuthService(People):
    """The authorization server. What is inherited is for pages; ``endpoints`` is for machines; ``offer`` and the three
    documents are for discovery. Stateless: everything is in ``control.db``.

    directory, settings: those in force; capabilities: the URNs of the JMAP capabilities, which are scopes; clock: seconds since
    1970."""

    def __init__(
        self,
        directory: Callable[[], Directory],
        settings: Callable[[], Settings],
        capabilities: Callable[[], Iterable[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(directory, settings, lambda: self.offer, self._default_scopes, clock)
        self._capabilities = capabilities
        self.endpoints = Endpoints(directory, settings, lambda: self.offer, self._default_scopes, clock)

    def _default_scopes(self) -> tuple[str, ...]:
        # Mail clients that know nothing of scopes want mail; nobody gets more by being silent.
        return tuple(self._capabilities())

    @property
    def offer(self) -> Offer:
        """What can be done now, with the settings in force."""
        registration = self._get_settings().oauth.client_registration.enable
        return Offer(
            endpoints=_ENDPOINTS | ({"registration_endpoint": paths.REGISTER} if registration else {}),
            grant_types=GRANT_TYPES,
            scopes=(*SCOPES, *self._capabilities()),
            auth_methods=AUTH_METHODS,
            introspection_auth_methods=tuple(one for one in AUTH_METHODS if one != "none"),
            id_token_algs=ALGORITHMS,
        )

    def metadata(self, kind: str, issuer: str) -> dict[str, Any] | None:
        """A discovery document; None where tokens may not travel, because there nothing of it would be true. kind:
        "oauth-authorization-server" (RFC 8414), "openid-configuration" or "oauth-protected-resource" (RFC 9728); issuer: the
        server's base URL, without a final slash."""
        if not is_usable(issuer):
            return None
        document = {
            "oauth-authorization-server": authorization_server,
            "openid-configuration": openid_provider,
            "oauth-protected-resource": protected_resource,
        }[kind]
        return document(self.offer, issuer)
