"""OAuth clients in ``control.db`` (RFC 6749 section 2). Of a secret only a hash is stored."""

from __future__ import annotations

import dataclasses
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import apsw
import msgspec

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.faults import NameTaken, UnknownName
from flaskmail.accounts.throttle import Throttle, client_key
from flaskmail.accounts.tokens import digest
from flaskmail.oauth.clients import Client, ClientCredentials
from flaskmail.oauth.errors import OAuthError, invalid_client

SECRET_PREFIX = "fms_"
"""Every client secret begins with it, so that scanners for leaked secrets can recognise one."""

CLIENT_SECRET = "client secret"
"""The kind of guesses, for the throttle."""

UNUSED_SECONDS = 86400
"""A client that registered itself and is not used for so long after that is forgotten."""

MOST_UNUSED = 10_000
"""Clients that registered themselves and were not used yet, at once."""

_UNUSED = "SELECT count(*) FROM oauth_client WHERE dynamic=1 AND used IS NULL"
_COLUMNS = "id, name, metadata, dynamic, created, used"
_OWN = {"id", "name", "dynamic", "created", "used"}
_METADATA = tuple(field.name for field in dataclasses.fields(Client) if field.name not in _OWN)


def new_client_id() -> str:
    """A ``client_id``: 120 random bits in lower-case letters and digits."""
    return "c" + secrets.token_hex(15)


def new_secret() -> str:
    """A ``client_secret`` of 256 random bits."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _client(row: Row) -> Client:
    id, name, metadata, dynamic, created, used = row
    stored: Mapping[str, Any] = msgspec.json.decode(metadata)
    own = {"id": id, "name": name, "dynamic": bool(dynamic), "created": created, "used": used}
    return msgspec.convert({**stored, **own}, Client)


def _metadata(client: Client) -> str:
    return msgspec.json.encode({name: getattr(client, name) for name in _METADATA}).decode()


class OAuthClients:
    """The registered clients. clock: seconds since 1970."""

    def __init__(self, database: Database, throttle: Throttle, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._throttle, self._clock = database, throttle, clock

    def all(self) -> list[Client]:
        """All of them, by name."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM oauth_client ORDER BY name, id")  # noqa: S608 - constants
        return [_client(row) for row in rows]

    def find(self, id: str) -> Client | None:
        """The client of a ``client_id``; None when there is none."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM oauth_client WHERE id=?", (id,))  # noqa: S608 - constants
        return None if row is None else _client(row)

    def get(self, id: str) -> Client:
        """As ``find``. Raises UnknownName."""
        found = self.find(id)
        if found is None:
            raise UnknownName(
                "OAuth client", id, (row[0] for row in self._database.rows("SELECT id FROM oauth_client"))
            )
        return found

    def add(self, client: Client) -> tuple[Client, str | None]:
        """(the client as stored, its secret, which nobody can read again; None for a public client). An empty id, and
        ``created``, are filled in. Raises NameTaken for an id that exists, and OAuthError ``temporarily_unavailable`` (503)
        while too many clients that registered themselves are unused."""
        now = int(self._clock())
        made = dataclasses.replace(client, id=client.id or new_client_id(), created=now, used=None)
        secret = new_secret() if made.confidential else None
        try:
            with self._database.write() as execute:
                execute(
                    "DELETE FROM oauth_client WHERE dynamic=1 AND used IS NULL AND created<?", (now - UNUSED_SECONDS,)
                )
                if made.dynamic and execute(_UNUSED)[0][0] >= MOST_UNUSED:
                    raise OAuthError(
                        "temporarily_unavailable",
                        "Too many clients have registered and were not used.",
                        status=503,
                        headers={"Retry-After": "3600"},
                    )
                execute(
                    "INSERT INTO oauth_client(id, secret, name, metadata, dynamic, created) VALUES(?,?,?,?,?,?)",
                    (
                        made.id,
                        None if secret is None else digest(secret),
                        made.name,
                        _metadata(made),
                        int(made.dynamic),
                        now,
                    ),
                )
        except apsw.ConstraintError:
            raise NameTaken(f"the OAuth client {made.id!r} exists already") from None
        return made, secret

    def update(self, client: Client) -> tuple[Client, str | None]:
        """Replaces what is registered of a client; as ``change`` otherwise."""
        return self.change(client.id, lambda before: client)

    def change(self, id: str, make: Callable[[Client], Client], *, renew: bool = False) -> tuple[Client, str | None]:
        """Puts what ``make`` makes of a client in its place; nobody else changes it meanwhile, and nothing is changed when that
        raises. A public one that becomes confidential gets a secret, as the second value, and so does any confidential one with
        ``renew``, in place of the old, which ends at once; one that becomes public loses it. Raises UnknownName."""
        with self._database.write() as execute:
            before = self.get(id)
            after = make(before)
            secret = new_secret() if after.confidential and (renew or not before.confidential) else None
            execute("UPDATE oauth_client SET name=?, metadata=? WHERE id=?", (after.name, _metadata(after), id))
            if secret is not None or not after.confidential:
                hashed = None if secret is None else digest(secret)
                execute("UPDATE oauth_client SET secret=? WHERE id=?", (hashed, id))
            return self.get(id), secret

    def delete(self, id: str) -> Client:
        """Removes a client with all that users allowed it, at once. Raises UnknownName."""
        found = self.get(id)
        with self._database.write() as execute:
            execute("DELETE FROM oauth_client WHERE id=?", (id,))
        return found

    def authenticate(self, credentials: ClientCredentials, address: str) -> Client:
        """The client that presents these credentials. address: where it comes from, "" when not known.

        Raises OAuthError: ``invalid_client``; 429 with Retry-After after too many wrong ones from there."""
        client = self.find(credentials.id)
        basic = credentials.method == "client_secret_basic"
        if client is not None and credentials.method != client.auth_method:
            raise invalid_client(
                f"This client is registered with the authentication method {client.auth_method}.", basic=basic
            )
        if client is not None and not client.confidential:
            return client
        # A secret cannot be guessed: one who tries is slowed down alone, and locks out neither the client nor its neighbours.
        source = client_key(address)
        wait = self._throttle.waiting("", source, CLIENT_SECRET)
        if wait:
            raise OAuthError(
                "temporarily_unavailable",
                "Too many wrong credentials. Wait before trying again.",
                status=429,
                headers={"Retry-After": str(math.ceil(wait))},
            )
        if client is None or not self._is_secret(client.id, credentials.secret or ""):
            self._throttle.enter("", source, CLIENT_SECRET)
            raise invalid_client("There is no such client, or its secret is wrong.", basic=basic)
        return client

    def _is_secret(self, id: str, secret: str) -> bool:
        row = self._database.row("SELECT secret FROM oauth_client WHERE id=?", (id,))
        return row is not None and row[0] is not None and hmac.compare_digest(row[0], digest(secret))
