"""Signing in with name and password on the server's own pages."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Literal

from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.passwords import MAX_BYTES, Passwords, prepare
from flaskmail.accounts.principals import Principal, Principals, Secret
from flaskmail.accounts.throttle import Throttle
from flaskmail.errors import RequestError

log = logging.getLogger("flaskmail.accounts")

LONGEST_NAME = 254
"""Characters of an address (RFC 5321 section 4.5.3.1.3); a longer name is nobody's."""


class SignIn:
    """Checks main passwords as the Authenticator does those of Basic: as slowly for a name that nobody has, throttled together
    with them, few at a time. Whether a second factor is wanted too is the caller's to ask. admit: answers the principal, or
    raises RequestError when it may not sign in."""

    def __init__(
        self,
        principals: Principals,
        passwords: Passwords,
        throttle: Throttle,
        admit: Callable[[Principal], Principal],
    ) -> None:
        self._principals, self._passwords, self._throttle, self._admit = principals, passwords, throttle, admit

    def password(
        self,
        name: str,
        password: str,
        address: str,
        elsewhere: Callable[[str, str], Principal | Literal[False] | None] | None = None,
    ) -> Secret | None:
        """The account's, as it was when the password was looked at; None when name or password is wrong or the account is
        disabled. address: the client's, "" when not known; elsewhere: asked first, with name and password: whose they are, False
        when they are wrong, None when only the password that is stored here counts.

        Raises RequestError: 400 for a password that is too long; 429 with Retry-After after too many wrong ones; 503 when too
        many are being checked; 403 when the account may not sign in."""
        name = name.strip().lower()[: LONGEST_NAME + 1]
        try:
            octets = prepare(password)
        except BadPassword:
            if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
                raise RequestError(400, f"The password is longer than {MAX_BYTES} octets.") from None
            octets = b""
        if elsewhere is not None:
            self._refuse_for(self._throttle.enter(address, name))
            found = elsewhere(name, password)
            if found is not None:
                return self._found(found, name, address)
        else:
            self._refuse_for(self._throttle.waiting(address, name))
        with self._passwords.turn():
            if elsewhere is None:
                self._refuse_for(self._throttle.enter(address, name))
            secret = self._principals.secret(name)
            right = self._passwords.verify(None if secret is None else secret.password, octets)
            if secret is not None and right and not secret.principal.disabled:
                self._throttle.succeeded(address, name)
                if self._passwords.outdated(secret.password):
                    self._principals.rehash(secret, self._passwords.hash_octets(octets))
                self._admit(secret.principal)
                return secret
        if secret is not None:
            log.warning("refused a password for %s from %s", name, ascii(address))
        return None

    def _found(self, found: Principal | Literal[False], name: str, address: str) -> Secret | None:
        secret = self._principals.secret_of(found.id) if found else self._principals.secret(name)
        if found and secret is not None and not secret.principal.disabled:
            self._throttle.succeeded(address, name)
            self._admit(secret.principal)
            return secret
        if secret is not None:
            log.warning("refused a password for %s from %s", secret.principal.name, ascii(address))
        return None

    def again(self, principal: Principal, password: str, address: str) -> Secret | None:
        """The same for somebody who is signed in already and confirms something by the password that is stored here."""
        return self.password(principal.name, password, address)

    def guess(self, what: str, principal: Principal, address: str) -> None:
        """Counts somebody's try to guess something else that is short, such as a code of a device: as many of each kind as
        wrong passwords, in buckets of its own. Raises RequestError 429."""
        self._refuse_for(self._throttle.enter(address, principal.id, what))

    def guessed(self, what: str, principal: Principal, address: str) -> None:
        """Takes back what ``guess`` counted: the guess was right."""
        self._throttle.succeeded(address, principal.id, what)

    def _refuse_for(self, wait: float) -> None:
        if wait:
            raise RequestError(
                429,
                "Too many wrong tries. Wait before trying again.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
