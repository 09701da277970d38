"""From an ``Authorization`` header to a principal: Basic (RFC 7617) and Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import ipaddress
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from flaskmail.accounts.authorization import Authority, lacking
from flaskmail.accounts.database import Database
from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.passwords import MAX_BYTES, Passwords, prepare
from flaskmail.accounts.principals import Principal, Principals, Secret
from flaskmail.accounts.throttle import Throttle
from flaskmail.accounts.tokens import KEY_PREFIX, Held, Tokens, digest, key_parts, today
from flaskmail.errors import RequestError, StoreError

log = logging.getLogger("flaskmail.accounts")

MAX_HEADER = 4 * MAX_BYTES
"""The longest ``Authorization`` header that is looked at, in characters."""
REMEMBERED = 10_000
"""How many verified credentials a process remembers."""

WRONG = (
    "The user name, password or token is wrong, or the account is disabled, or its second factor calls for an app password"
    " or a token here."
)
"""One answer for all of them: it tells nobody which names and passwords are right."""

Holder = Callable[[bytes], Held | None]
"""Finds a credential by its ``digest``; None when there is none, or it has expired."""


@dataclass(slots=True)
class _Verified:
    """A credential that was found right. version: of control.db when it was last looked up; until: monotonic seconds;
    stamp: of the password; token: digest of the token, and who finds it, or None for a password; networks: from which alone it
    can be used, None for everywhere."""

    principal: Principal
    version: tuple[int, int]
    until: float
    stamp: int
    token: tuple[Holder, bytes] | None
    networks: tuple[str, ...] | None = None


def comes_from(networks: Iterable[str] | None, address: str) -> bool:
    """Whether a client's address lies in one of the networks (CIDRs; None: everywhere). An address that nobody knows does not."""
    if networks is None:
        return True
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in ipaddress.ip_network(network) for network in networks)


class Authenticator:
    """Verifies credentials, and remembers those that were right, under a keyed hash with a key of this process.

    ttl: seconds for which a credential is remembered; basic: whether passwords are accepted at all; clock: monotonic
    seconds; holders: who finds Bearer tokens that begin so; has_second_factor: whether the principal of an id has one, so that
    its main password alone does not let in.

    A change in ``control.db`` makes every worker look up, before the next request is let in, that the credential still holds: a
    closed account is closed at once.
    """

    def __init__(
        self,
        database: Database,
        principals: Principals,
        tokens: Tokens,
        throttle: Throttle,
        passwords: Passwords,
        authority: Authority,
        *,
        ttl: float = 300.0,
        basic: bool = True,
        clock: Callable[[], float] = time.monotonic,
        holders: Mapping[str, Holder] | None = None,
        has_second_factor: Callable[[str], bool] = lambda id: False,
    ) -> None:
        self._database, self._principals, self._tokens, self._throttle = database, principals, tokens, throttle
        self._passwords, self._authority, self._ttl, self._clock = passwords, authority, ttl, clock
        self._holders, self._has_second_factor = dict(holders or {}), has_second_factor
        self.basic = basic
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, _Verified] = {}
        self._lock = threading.Lock()
        self._under_way: dict[bytes, threading.Lock] = {}

    def apply(self, *, ttl: float, basic: bool) -> None:
        """Takes other settings from now on."""
        if (ttl, basic) != (self._ttl, self.basic):
            self._ttl, self.basic = ttl, basic
            # What was remembered under the old ones is looked at anew.
            with self._lock:
                self._verified.clear()

    def authenticate(self, authorization: str | None, address: str) -> Principal:
        """The principal whose credential this is. authorization: the header's value, None when it was not sent; address: the
        client's, "" when not known.

        Raises RequestError: 401 when missing, wrong, or the account is disabled; 400 for a password that is too long; 429
        with Retry-After after too many wrong passwords; 503 when too many are being checked."""
        if not authorization:
            raise RequestError(401, "This resource needs authentication: Basic or Bearer.")
        if len(authorization) > MAX_HEADER:
            raise RequestError(400, f"The Authorization header is longer than {MAX_HEADER} octets.")
        # A password that is remembered for one client says nothing of another, whose guesses are counted.
        whose = f"{address}\0{authorization}" if authorization[:6].lower() == "basic " else authorization
        key = hashlib.blake2b(
            whose.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key, usedforsecurity=True
        ).digest()
        return self._remembered(key, address) or self._verify(key, authorization, address)

    def admit(self, principal: Principal) -> Principal:
        """The same principal. Raises RequestError: 401 when it is disabled, 403 when it may not sign in, or not in this way."""
        if principal.disabled:
            raise RequestError(401, WRONG)
        if principal.type == "individual":
            owned = self._authority.owned(principal.id)
            needed = ["authenticate", "authenticate-oauth"][: 2 if principal.grant.kind == "oauth" else 1]
            for permission in needed:
                if permission not in owned:
                    raise lacking(permission)
        return principal

    def _remembered(self, key: bytes, address: str) -> Principal | None:
        entry = self._verified.get(key)
        if entry is None:
            return None
        # Asked for before the look-up: what is committed in between shows in the next request's version.
        version = self._database.version()
        if self._clock() < entry.until and (entry.networks is None or comes_from(entry.networks, address)):
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
            find, hashed = entry.token
            held = find(hashed)
            if held is None or held.networks != entry.networks:
                return None
            principal = held.principal
            if principal.grant.expires != entry.principal.grant.expires:
                # It is not remembered beyond its new end.
                return None
            if principal.grant.kind != "token" and principal.name != entry.principal.name:
                # The name that was sent belongs to the credential.
                return None
        else:
            id = entry.principal.id
            secret = self._principals.secret_of(id)
            if (
                secret is None
                or secret.stamp != entry.stamp
                or secret.principal.name != entry.principal.name
                or self._has_second_factor(id)
            ):
                return None
            principal = replace(secret.principal, grant=entry.principal.grant)
        try:
            return self.admit(principal)
        except RequestError:
            return None

    def _verify(self, key: bytes, authorization: str, address: str) -> Principal:
        scheme, _, rest = authorization.partition(" ")
        rest = rest.strip(" ")
        if scheme.lower() == "bearer":
            return self._bearer(key, rest, address)
        if scheme.lower() != "basic" or not self.basic:
            raise RequestError(
                401, f"Only {'Basic and Bearer' if self.basic else 'Bearer'} authentication is known here."
            )
        # Connections that a client opens together all bring the same credential: it is hashed once.
        with self._lock:
            mine = self._under_way.setdefault(key, threading.Lock())
        try:
            with mine:
                return self._remembered(key, address) or self._basic(key, rest, address)
        finally:
            with self._lock:
                self._under_way.pop(key, None)

    def _basic(self, key: bytes, encoded: str, address: str) -> Principal:
        name, octets = parse_basic(encoded)
        version = self._database.version()
        hashed = digest(octets.decode())
        held = self._tokens.holder(hashed)
        if held is not None and held.kind == "app-password" and held.principal.name == name:
            return self._hold(key, self._tokens.holder, hashed, held, version, address)
        secret = self._check(name, octets, address, lambda secret: not self._has_second_factor(secret.principal.id))
        principal = self.admit(_signed_in(secret.principal))
        self._remember(key, _Verified(principal, version, self._clock() + self._ttl, secret.stamp, None))
        return principal

    def _check(self, name: str, octets: bytes, address: str, suffices: Callable[[Secret], bool]) -> Secret:
        # Whoever has to wait anyway is not to stand in the way of those who need not.
        self._refuse_for(self._throttle.waiting(address, name))
        with self._passwords.turn():
            self._refuse_for(self._throttle.enter(address, name))
            secret = self._principals.secret(name)
            right = self._passwords.verify(None if secret is None else secret.password, octets)
            if secret is not None and right and not secret.principal.disabled and suffices(secret):
                self._throttle.succeeded(address, name)
                if self._passwords.outdated(secret.password):
                    self._principals.rehash(secret, self._passwords.hash_octets(octets))
                return secret
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

    def _bearer(self, key: bytes, token: str, address: str) -> Principal:
        version = self._database.version()
        find: Holder = self._tokens.holder
        parts = key_parts(token) if token.startswith(KEY_PREFIX) else None
        if parts is not None:
            hashed = digest(parts[1])
            held = find(hashed)
            right = held is not None and held.kind == "api-key" and held.principal.name == parts[0]
        else:
            find = next((holder for prefix, holder in self._holders.items() if token.startswith(prefix)), find)
            hashed = digest(token)
            held = find(hashed)
            right = held is not None and held.kind == "token"
        if held is None or not right:
            raise RequestError(401, WRONG)
        return self._hold(key, find, hashed, held, version, address)

    def _hold(
        self, key: bytes, find: Holder, hashed: bytes, held: Held, version: tuple[int, int], address: str
    ) -> Principal:
        if not comes_from(held.networks, address):
            log.warning(
                "refused the credential %s of %s: %s is in none of its networks",
                held.principal.grant.id,
                held.principal.name,
                address or "an address that nobody knows",
            )
            raise RequestError(401, WRONG)
        principal = self.admit(held.principal)
        if held.used != today() and find == self._tokens.holder:
            # Whoever may come in is not kept out because that cannot be written down.
            with contextlib.suppress(StoreError):
                self._tokens.note_use(hashed)
        ttl = self._ttl if held.expires is None else min(self._ttl, held.expires - time.time())
        self._remember(key, _Verified(principal, version, self._clock() + ttl, 0, (find, hashed), held.networks))
        return principal

    def _remember(self, key: bytes, entry: _Verified) -> None:
        with self._lock:
            while len(self._verified) >= REMEMBERED:
                self._verified.pop(next(iter(self._verified)), None)
            self._verified[key] = entry


def _signed_in(principal: Principal) -> Principal:
    return replace(principal, grant=Grant("password", authenticated=int(time.time())))


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
