"""What users allowed OAuth clients, and the tokens that came of it, in ``control.db``; of each token a hash.

Whatever works once works once for all processes together: it is taken in the transaction that gives out what comes of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from flaskmail.accounts.authorization import owned_by
from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.grants import Grant
from flaskmail.accounts.principals import COLUMNS, WIDTH, principal_of
from flaskmail.accounts.tokens import Held, digest
from flaskmail.config.oauth import OAuthExpiry
from flaskmail.oauth import pkce
from flaskmail.oauth.clients import REFRESH, Client
from flaskmail.oauth.errors import OAuthError, invalid_grant
from flaskmail.oauth.refresh import RefreshState, judge, lifetime
from flaskmail.oauth.scope import OFFLINE, narrowed, parse_scope, scope_text

ACCESS_PREFIX, REFRESH_PREFIX, CODE_PREFIX = "fmo_", "fmr_", "fmc_"
"""What access tokens, refresh tokens and authorization codes begin with."""

Execute = Callable[..., list[Row]]

_NEEDED = frozenset({"authenticate", "authenticate-oauth"})

_WRONG_CODE = "The code is wrong, over, or was used before."
_WRONG_TOKEN = "The refresh token is wrong, over, or was used before."


def new_token(prefix: str) -> str:
    """256 random bits behind the prefix."""
    return prefix + secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Approval:
    """What a user allowed a client. principal: the id; authenticated: when the user gave a credential, in seconds since 1970;
    amr: how (RFC 8176)."""

    principal: str
    client: str
    scopes: tuple[str, ...]
    authenticated: int
    amr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """Tokens that were given out. refresh: None when there is none; expires_in: seconds that the access token is good for;
    scopes: of the access token; nonce: of the authorization request."""

    approval: Approval
    access: str
    refresh: str | None
    expires_in: int
    scopes: tuple[str, ...]
    nonce: str | None = None

    def __repr__(self) -> str:
        return f"Issued({self.approval!r})"


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """One thing that a user allowed a client. id: what ``revoke`` takes; principal: the id; created, used (when it renewed its
    tokens last), expires (when the user is asked again): seconds since 1970."""

    id: str
    principal: str
    client: str
    client_name: str
    scopes: tuple[str, ...]
    created: int
    used: int
    expires: int


@dataclass(frozen=True, slots=True)
class TokenState:
    """What introspection tells of a token that is good (RFC 7662 section 2.2)."""

    kind: str
    principal: str
    username: str
    client: str
    scopes: tuple[str, ...]
    issued: int
    expires: int


def stamp_of(execute: Execute, principal: str) -> int | None:
    """Inside a transaction: what changes with the password; None when there is no such principal, or it is disabled, or may not
    let applications in."""
    row = execute("SELECT stamp FROM principal WHERE id=?", (principal,))
    return int(row[0][0]) if row and owned_by(execute, principal) >= _NEEDED else None


class OAuthTokens:
    """Authorization codes, grants, access and refresh tokens. A trigger ends whatever was allowed when the password changes or
    the principal is disabled; it is of no use while the principal may not let applications in. clock: seconds since 1970."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    # ---- the authorization code (RFC 6749 section 4.1)
    def add_code(
        self, approval: Approval, *, redirect_uri: str | None, challenge: str, nonce: str | None, seconds: int
    ) -> str:
        """A code for what the user allowed. redirect_uri: as the request named it, None when it did not; challenge: of PKCE.
        Raises UnknownName when the principal is gone or disabled, or the client is gone."""
        code, now = new_token(CODE_PREFIX), self._clock()
        try:
            with self._database.write() as execute:
                # One that was redeemed is kept as long as what came of it, to see it come again.
                execute("DELETE FROM oauth_code WHERE expires<=? AND family IS NULL", (now,))
                stamp = stamp_of(execute, approval.principal)
                if stamp is None:
                    raise UnknownName("account", approval.principal, ())
                execute(
                    "INSERT INTO oauth_code(hash, principal, client, stamp, scope, authenticated, amr, redirect_uri, challenge,"
                    " nonce, expires, used) VALUES(?,?,?,?,?,?,?,?,?,?,?,0)",
                    (
                        digest(code),
                        approval.principal,
                        approval.client,
                        stamp,
                        scope_text(approval.scopes),
                        approval.authenticated,
                        " ".join(approval.amr),
                        redirect_uri,
                        challenge,
                        nonce,
                        now + seconds,
                    ),
                )
        except apsw.ConstraintError:
            raise UnknownName("OAuth client", approval.client, ()) from None
        return code

    def redeem_code(
        self, code: str, client: Client, redirect_uri: str | None, verifier: str | None, expiry: OAuthExpiry
    ) -> Issued:
        """Tokens for a code. Whoever gets something wrong burns it; a code that comes twice ends what came of it.

        Raises OAuthError ``invalid_grant``."""
        hashed = digest(code)
        if self._database.row("SELECT 1 FROM oauth_code WHERE hash=?", (hashed,)) is None:
            raise invalid_grant(_WRONG_CODE)
        with self._database.write() as execute:
            found = self._take_code(execute, hashed, client, redirect_uri, verifier, expiry)
        # What was burnt or ended is to stay so: the refusal comes after the commit.
        if found is None:
            raise invalid_grant(_WRONG_CODE)
        return found

    def _take_code(
        self,
        execute: Execute,
        hashed: bytes,
        client: Client,
        redirect_uri: str | None,
        verifier: str | None,
        expiry: OAuthExpiry,
    ) -> Issued | None:
        rows = execute(
            "SELECT principal, client, stamp, scope, authenticated, amr, redirect_uri, challenge, nonce, expires, used, family"
            " FROM oauth_code WHERE hash=?",
            (hashed,),
        )
        if not rows:
            return None
        principal, of, stamp, scope, authenticated, amr, uri, challenge, nonce, expires, used, family = rows[0]
        if used:
            # RFC 6749 section 4.1.2: MUST deny, and SHOULD revoke all tokens that were issued for it.
            execute("DELETE FROM oauth_grant WHERE id=?", (family,))
            return None
        execute("UPDATE oauth_code SET used=1 WHERE hash=?", (hashed,))
        good = (
            of == client.id
            and self._clock() < expires
            and stamp_of(execute, principal) == stamp
            # RFC 6749 section 4.1.3: identical when the authorization request named one.
            and (uri == redirect_uri if uri is not None else redirect_uri in (None, *client.redirect_uris))
            and pkce.verifies(verifier, challenge)
        )
        if not good:
            return None
        approval = Approval(principal, of, parse_scope(scope), authenticated, tuple(amr.split()))
        issued, family = self.issue(execute, approval, client, expiry, nonce)
        execute("UPDATE oauth_code SET family=? WHERE hash=?", (family, hashed))
        return issued

    # ---- tokens
    def issue(
        self, execute: Execute, approval: Approval, client: Client, expiry: OAuthExpiry, nonce: str | None = None
    ) -> tuple[Issued, str]:
        """Inside a transaction: (the first tokens of a new grant, its id). A refresh token comes with the scope
        ``offline_access``, for clients that may use one."""
        now = int(self._clock())
        renewable = OFFLINE in approval.scopes and REFRESH in client.grant_types
        expires = now + (expiry.authorization if renewable else expiry.token)
        family = "o" + secrets.token_hex(8)
        execute("DELETE FROM oauth_grant WHERE ends<=?", (now,))
        execute("DELETE FROM oauth_access WHERE expires<=?", (now,))
        execute(
            "INSERT INTO oauth_grant(id, principal, client, stamp, scope, authenticated, amr, created, used, ends, expires)"
            " SELECT ?, id, ?, stamp, ?, ?, ?, ?, ?, ?, ? FROM principal WHERE id=?",
            (
                family,
                approval.client,
                scope_text(approval.scopes),
                approval.authenticated,
                " ".join(approval.amr),
                now,
                now,
                expires,
                expires,
                approval.principal,
            ),
        )
        execute("UPDATE oauth_client SET used=? WHERE id=?", (now, client.id))
        return self._tokens(execute, approval, family, approval.scopes, expires, expiry, renewable, nonce), family

    def _tokens(
        self,
        execute: Execute,
        approval: Approval,
        family: str,
        scopes: tuple[str, ...],
        family_expires: int,
        expiry: OAuthExpiry,
        renewable: bool,
        nonce: str | None = None,
    ) -> Issued:
        now = int(self._clock())
        access, expires = new_token(ACCESS_PREFIX), min(now + expiry.token, family_expires)
        execute(
            "INSERT INTO oauth_access(hash, family, scope, created, expires) VALUES(?,?,?,?,?)",
            (digest(access), family, scope_text(scopes), now, expires),
        )
        refresh, ends = None, expires
        if renewable:
            refresh, ends = new_token(REFRESH_PREFIX), lifetime(now, expiry.refresh_token, family_expires)
            execute(
                "INSERT INTO oauth_refresh(hash, family, used, created, expires) VALUES(?,?,0,?,?)",
                (digest(refresh), family, now, ends),
            )
        execute("UPDATE oauth_grant SET used=?, ends=? WHERE id=?", (now, max(ends, expires), family))
        return Issued(approval, access, refresh, expires - now, scopes, nonce)

    def refresh(self, token: str, client: Client, asked: tuple[str, ...], expiry: OAuthExpiry) -> Issued:
        """New tokens for a refresh token, which is over then. One that was used before ends its whole family.

        asked: scopes to narrow the access token to, () for all. Raises OAuthError ``invalid_grant`` or ``invalid_scope``."""
        hashed = digest(token)
        if self._database.row("SELECT 1 FROM oauth_refresh WHERE hash=?", (hashed,)) is None:
            raise invalid_grant(_WRONG_TOKEN)
        refused: OAuthError | None = None
        issued: Issued | None = None
        with self._database.write() as execute:
            try:
                issued = self._rotate(execute, hashed, client, asked, expiry)
            except OAuthError as error:
                refused = error
        if issued is None:
            raise refused or invalid_grant(_WRONG_TOKEN)
        return issued

    def _rotate(
        self, execute: Execute, hashed: bytes, client: Client, asked: tuple[str, ...], expiry: OAuthExpiry
    ) -> Issued | None:
        rows = execute(
            "SELECT r.used, r.expires, g.expires, g.id, g.principal, g.client, g.stamp, g.scope, g.authenticated, g.amr"
            " FROM oauth_refresh r JOIN oauth_grant g ON g.id=r.family WHERE r.hash=?",
            (hashed,),
        )
        if not rows:
            return None
        used, expires, ends, family, principal, of, stamp, scope, authenticated, amr = rows[0]
        verdict = judge(RefreshState(bool(used), expires, ends), self._clock())
        # RFC 9700 section 4.14.2: whoever holds one that was used, or another client's, has stolen it, or it was stolen from him.
        if verdict == "replayed" or of != client.id:
            execute("DELETE FROM oauth_grant WHERE id=?", (family,))
            return None
        if verdict == "over" or stamp_of(execute, principal) != stamp:
            return None
        approval = Approval(principal, of, parse_scope(scope), authenticated, tuple(amr.split()))
        # What the client may ask for can be less by now than when the user was asked.
        left = tuple(one for one in approval.scopes if client.scopes is None or one in client.scopes)
        if not left:
            return None
        scopes = narrowed(asked, left)
        execute("UPDATE oauth_refresh SET used=1 WHERE hash=?", (hashed,))
        execute("DELETE FROM oauth_access WHERE family=? AND expires<=?", (family, int(self._clock())))
        return self._tokens(execute, approval, family, scopes, ends, expiry, True)

    def holder(self, hashed: bytes) -> Held | None:
        """Whose access token it is; None when it is unknown or over. hashed: ``digest`` of the token."""
        row = self._database.row(
            f"SELECT {COLUMNS}, a.expires, a.scope, g.id, g.client, c.name, g.authenticated, g.amr"  # noqa: S608 - constants
            " FROM oauth_access a JOIN oauth_grant g ON g.id=a.family JOIN principal p ON p.id=g.principal AND p.stamp=g.stamp"
            " JOIN oauth_client c ON c.id=g.client WHERE a.hash=? AND a.expires>? AND g.expires>?",
            (hashed, self._clock(), self._clock()),
        )
        if row is None:
            return None
        expires, scope, id, client, name, authenticated, amr = row[WIDTH:]
        grant = Grant(
            kind="oauth",
            id=id,
            name=name,
            scopes=frozenset(parse_scope(scope)),
            client=client,
            authenticated=authenticated,
            second_factor="mfa" in amr.split(),
        )
        return Held(principal_of(row[:WIDTH], grant), "token", expires, None, None)

    # ---- what became of them
    def state(self, token: str) -> TokenState | None:
        """What there is to say of an access or refresh token; None when it is not good, whatever the reason."""
        now = self._clock()
        for kind, table, good in (
            ("access_token", "oauth_access", "1"),
            ("refresh_token", "oauth_refresh", "t.used=0"),
        ):
            scope = "t.scope" if kind == "access_token" else "g.scope"
            row = self._database.row(
                f"SELECT g.principal, p.name, g.client, {scope}, t.created, min(t.expires, g.expires)"  # noqa: S608 - constants
                f" FROM {table} t JOIN oauth_grant g ON g.id=t.family JOIN principal p ON p.id=g.principal AND p.stamp=g.stamp"
                f" WHERE t.hash=? AND t.expires>? AND g.expires>? AND {good}",
                (digest(token), now, now),
            )
            if row is not None:
                principal, username, client, scope, issued, expires = row
                if not owned_by(self._database.rows, principal) >= _NEEDED:
                    return None
                return TokenState(kind, principal, username, client, parse_scope(scope), issued, expires)
        return None

    def revoke_token(self, token: str, client: Client) -> bool:
        """Ends a token that its client no longer needs: an access token alone, a refresh token with all that came of the same
        grant (RFC 7009 section 2.1). Whether it was this client's; True too when there is no such token."""
        hashed = digest(token)
        with self._database.write() as execute:
            for table in ("oauth_refresh", "oauth_access"):
                rows = execute(
                    f"SELECT g.id, g.client FROM {table} t JOIN oauth_grant g ON g.id=t.family WHERE t.hash=?",  # noqa: S608
                    (hashed,),
                )
                if not rows:
                    continue
                family, of = rows[0]
                if of != client.id:
                    return False
                if table == "oauth_refresh":
                    execute("DELETE FROM oauth_grant WHERE id=?", (family,))
                else:
                    execute("DELETE FROM oauth_access WHERE hash=?", (hashed,))
        return True

    def grants(self, principal: str | None = None, client: str | None = None) -> list[OAuthGrant]:
        """What is in force of a principal's (by id; None for everybody's) with a client (None for all), the last used first."""
        now = int(self._clock())
        rows = self._database.rows(
            "SELECT g.id, g.principal, g.client, c.name, g.scope, g.created, g.used, g.expires FROM oauth_grant g"
            " JOIN oauth_client c ON c.id=g.client JOIN principal p ON p.id=g.principal AND p.stamp=g.stamp"
            " WHERE g.ends>? AND g.expires>? AND (?3 IS NULL OR g.principal=?3) AND (?4 IS NULL OR g.client=?4)"
            " ORDER BY g.used DESC, g.id",
            (now, now, principal, client),
        )
        return [
            OAuthGrant(id, of, party, name, parse_scope(scope), created, used, expires)
            for id, of, party, name, scope, created, used, expires in rows
        ]

    def revoke(self, id: str, principal: str | None = None) -> OAuthGrant:
        """Ends what a user allowed, with all tokens, at once. principal: the id of whose it has to be, None for anybody's. Raises
        UnknownName."""
        for grant in self.grants(principal):
            if grant.id == id:
                with self._database.write() as execute:
                    execute("DELETE FROM oauth_grant WHERE id=?", (id,))
                return grant
        raise UnknownName("application", id, ())
