"""The directory of a data folder: everything of :mod:`flaskmail.accounts`, joined."""

from __future__ import annotations

from pathlib import Path

from flaskmail.accounts.audit import AuditLog
from flaskmail.accounts.authentication import Authenticator
from flaskmail.accounts.authorization import Authority
from flaskmail.accounts.database import Database
from flaskmail.accounts.dkim import DkimKeys
from flaskmail.accounts.domains import Domains
from flaskmail.accounts.entries import Entries
from flaskmail.accounts.housekeeping import copy_directory, remove_expired
from flaskmail.accounts.keyfile import check_key
from flaskmail.accounts.oauthclients import OAuthClients
from flaskmail.accounts.oauthdevices import OAuthDevices
from flaskmail.accounts.oauthkeys import OAuthKeys
from flaskmail.accounts.oauthtokens import ACCESS_PREFIX, OAuthTokens
from flaskmail.accounts.passwords import Passwords
from flaskmail.accounts.principals import Principals
from flaskmail.accounts.schema import CONTROL
from flaskmail.accounts.signingin import SignIn
from flaskmail.accounts.storedsettings import StoredSettings
from flaskmail.accounts.throttle import Throttle
from flaskmail.accounts.tokens import Tokens
from flaskmail.accounts.totp import SecondFactors
from flaskmail.accounts.websessions import WebSessions
from flaskmail.config.settings import Authentication


class Directory:
    """domains, principals, entries, tokens: what ``<data>/control.db`` holds; audit: who changed
    what; settings: those that are changed while the server runs; passwords: hashing; authenticator: who a request comes
    from; authority: what somebody may do.
    second_factors, web_sessions, sign_in: what the pages for people need; oauth_clients, oauth_tokens, oauth_devices, oauth_keys:
    what the authorization server keeps.

    Nothing is opened before it is used; safe among threads, processes, and across fork.
    """

    def __init__(self, data: Path, settings: Authentication | None = None) -> None:
        settings = settings or Authentication()
        self._data = data
        self._database = Database(data / "control.db", CONTROL)
        self._throttle = Throttle(data / "throttle.db", settings.fail_rate)
        self.domains = Domains(self._database)
        self.dkim = DkimKeys(self._database, data)
        self.principals = Principals(self._database)
        self.entries = Entries(self._database)
        self.tokens = Tokens(self._database)
        self.audit = AuditLog(self._database)
        self.settings = StoredSettings(self._database)
        self.authority = Authority(self._database)
        self.passwords = Passwords(settings.argon2)
        self.second_factors = SecondFactors(self._database, data)
        self.web_sessions = WebSessions(self._database, self.principals, lambda one: self.authenticator.admit(one))
        self.sign_in = SignIn(
            self.principals, self.passwords, self._throttle, lambda one: self.authenticator.admit(one)
        )
        self.oauth_clients = OAuthClients(self._database, self._throttle)
        self.oauth_tokens = OAuthTokens(self._database)
        self.oauth_devices = OAuthDevices(self._database, self.oauth_tokens)
        self.oauth_keys = OAuthKeys(self._database, data)
        self.authenticator = Authenticator(
            self._database,
            self.principals,
            self.tokens,
            self._throttle,
            self.passwords,
            self.authority,
            ttl=settings.cache_ttl,
            basic=settings.basic,
            has_second_factor=self.second_factors.has_second_factor,
            holders={ACCESS_PREFIX: self.oauth_tokens.holder},
        )

    def apply(self, settings: Authentication) -> None:
        """Takes other settings into force; what is remembered stays."""
        self._throttle.apply(settings.fail_rate)
        self.passwords.apply(settings.argon2)
        self.authenticator.apply(ttl=settings.cache_ttl, basic=settings.basic)

    def copy(self, target: Path) -> list[str]:
        """Copies what this directory keeps into a folder; see :func:`flaskmail.accounts.housekeeping.copy_directory`. Counts of
        wrong passwords are left out."""
        return copy_directory(self._database, self._data, target)

    def remove_expired(self) -> dict[str, int]:
        """Removes credentials that expired more than a day ago; answers how many of each kind."""
        return remove_expired(self._database)

    def remove_drained(self) -> int:
        """Removes counts of wrong passwords that hold nobody back any more; answers how many."""
        return self._throttle.remove_drained()

    def check_key(self) -> None:
        """Raises StoreError when ``secret.key`` is lost, or not whole."""
        check_key(self._data, self._database)

    def check(self) -> None:
        """Raises StoreError when the directory cannot be read."""
        self._database.version()

    def close(self) -> None:
        """Closes this process's connections; the next use opens them again."""
        self._database.close()
        self._throttle.close()
