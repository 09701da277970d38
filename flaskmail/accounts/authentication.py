"""From an ``Authorization`` header to a principal: Basic (RFC 7617) and Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flaskmail.accounts.database import Database
from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.passwords import MAX_BYTES, Passwords, prepare
from flaskmail.accounts.principals import Principal, Principals
from flaskmail.accounts.throttle import Throttle
from flaskmail.accounts.tokens import Tokens, digest
from flaskmail.errors import RequestError

log = logging.getLogger("flaskmail.accounts")

MAX_HEADER = 4 * MAX_BYTES
"""The longest ``Authorization`` header that is looked at, in characters."""
REMEMBERED = 10_000
"""How many verified credentials a process remembers."""

WRONG = "The user name, password or token is wrong, or the account is disabled."


@dataclass(slots=True)
class _Verified:
    """A credential that was found right. version: of control.db when it was last looked up; until: monotonic seconds;
    stamp: of the password; token: hash of the token, or None for a password."""

    principal: Principal
    version: tuple[int, int]
    until: float
    stamp: int
    token: bytes | None


class Authenticator:
    """Verifies credentials, and remembers those that were right, under a keyed hash with a key of this process.

    ttl: seconds for which a credential is remembered; basic: whether passwords are accepted at all; clock: monotonic
    seconds. A change in ``control.db`` makes every worker look up, before the next request is let in, that the credential
    still holds: a closed account is closed at once.
    """

    def __init__(
        self,
        database: Database,
        principals: Principals,
        tokens: Tokens,
        throttle: Throttle,
        passwords: Passwords,
        *,
        ttl: float = 300.0,
        basic: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._principals, self._tokens, self._throttle = database, principals, tokens, throttle
        self._passwords, self._ttl, self._clock = passwords, ttl, clock
        self.basic = basic
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, _Verified] = {}
        self._lock = threading.Lock()
        self._under_way: dict[bytes, threading.Lock] = {}

    def authenticate(self, authorization: str | None, address: str) -> Principal:
        """The principal whose credential this is. authorization: the header's value, None when it was not sent; address: the
        client's, "" when not known.

        Raises RequestError: 401 when missing, wrong, or the account is disabled; 400 for a password that is too long; 429
        with Retry-After after too many wrong passwords; 503 when too many are being checked."""
        if not authorization:
            raise RequestError(401, "This resource needs authentication: Basic or Bearer.")
        if len(authorization) > MAX_HEADER:
            raise RequestError(400, f"The Authorization header is longer than {MAX_HEADER} octets.")
        key = hashlib.blake2b(
            authorization.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key, usedforsecurity=True
        ).digest()
        return self._remembered(key) or self._verify(key, authorization, address)

    def _remembered(self, key: bytes) -> Principal | None:
        entry = self._verified.get(key)
        if entry is None:
            return None
        # Asked for before the look-up: what is committed in between shows in the next request's version.
        version = self._database.version()
        if self._clock() < entry.until:
            if entry.version == version:
                return entry.principal
            principal = self._still(entry)
            if principal is not None:
                entry.principal, entry.version = principal, version
                return principal
        self._verified.pop(key, None)
        return None

    def _still(self, entry: _Verified) -> Principal | None:
        if entry.token is not None:
            held = self._tokens.holder(entry.token)
            principal = None if held is None else held[0]
        else:
            secret = self._principals.secret_of(entry.principal.id)
            principal = secret.principal if secret is not None and secret.stamp == entry.stamp else None
        return None if principal is None or principal.disabled else principal

    def _verify(self, key: bytes, authorization: str, address: str) -> Principal:
        scheme, _, rest = authorization.partition(" ")
        rest = rest.strip(" ")
        if scheme.lower() == "bearer":
            return self._bearer(key, rest)
        if scheme.lower() != "basic" or not self.basic:
            raise RequestError(
                401, f"Only {'Basic and Bearer' if self.basic else 'Bearer'} authentication is known here."
            )
        # Connections that a client opens together all bring the same credential: it is hashed once.
        with self._lock:
            mine = self._under_way.setdefault(key, threading.Lock())
        try:
            with mine:
                return self._remembered(key) or self._basic(key, rest, address)
        finally:
            with self._lock:
                self._under_way.pop(key, None)

    def _basic(self, key: bytes, encoded: str, address: str) -> Principal:
        name, octets = parse_basic(encoded)
        version = self._database.version()
        # Whoever has to wait anyway is not to stand in the way of those who need not.
        self._refuse_for(self._throttle.waiting(address, name))
        with self._passwords.turn():
            self._refuse_for(self._throttle.enter(address, name))
            secret = self._principals.secret(name)
            right = self._passwords.verify(None if secret is None else secret.password, octets)
            if secret is not None and right and not secret.principal.disabled:
                self._throttle.succeeded(address, name)
                if self._passwords.outdated(secret.password):
                    self._principals.rehash(secret, self._passwords.hash_octets(octets))
                self._remember(key, _Verified(secret.principal, version, self._clock() + self._ttl, secret.stamp, None))
                return secret.principal
        if secret is not None:
            log.warning("refused a password for %s from %s", name, ascii(address))
        raise RequestError(401, WRONG)

    def _refuse_for(self, wait: float) -> None:
        if wait:
            raise RequestError(
                429,
                "Too many wrong passwords. Wait before trying again.",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    def _bearer(self, key: bytes, token: str) -> Principal:
        version = self._database.version()
        hashed = digest(token)
        held = self._tokens.holder(hashed)
        if held is None or held[0].disabled:
            raise RequestError(401, WRONG)
        principal, expires = held
        ttl = self._ttl if expires is None else min(self._ttl, expires - time.time())
        self._remember(key, _Verified(principal, version, self._clock() + ttl, 0, hashed))
        return principal

    def _remember(self, key: bytes, entry: _Verified) -> None:
        with self._lock:
            while len(self._verified) >= REMEMBERED:
                self._verified.pop(next(iter(self._verified)), None)
            self._verified[key] = entry


def parse_basic(encoded: str) -> tuple[str, bytes]:
    """(the name in lower case, the password's octets) of RFC 7617 credentials. Raises RequestError 400 or 401."""
    try:
        # RFC 7617 section 2.1: the charset is UTF-8, which the challenge says too.
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        raise RequestError(401, "The Basic credentials are not base64 of UTF-8 text.") from None
    name, colon, password = text.partition(":")
    if not colon:
        raise RequestError(401, "The Basic credentials hold no colon between user name and password.")
    if len(password.encode()) > MAX_BYTES:
        raise RequestError(400, f"The password is longer than {MAX_BYTES} octets.")
    try:
        return name.strip().lower(), prepare(password)
    except BadPassword:
        raise RequestError(401, WRONG) from None
