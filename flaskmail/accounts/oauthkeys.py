"""The keys that sign ID tokens, in ``control.db``; their private parts are encrypted with the key of the data folder."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.keyfile import read_key
from flaskmail.oauth.keys import SigningKey, make_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger("flaskmail.accounts")

KEPT = 86400
"""Seconds for which a public key is shown after the last token that it signed is over: clocks and caches differ."""

_NONCE = 12

Execute = Callable[..., list[Row]]


class OAuthKeys:
    """Keys by algorithm; the newest signs. data: the data folder. clock: seconds since 1970."""

    def __init__(self, database: Database, data: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._data, self._clock = database, data, clock
        self._lock = threading.Lock()
        self._opened: dict[str, SigningKey] = {}

    def signing(self, algorithm: str, lifetime: int, token_seconds: int) -> SigningKey:
        """The key that signs now. One that is older than ``lifetime`` seconds, or cannot be decrypted, gives way to a new one.
        token_seconds: that what it signs is good for at most."""
        with self._lock:
            key = self._present(algorithm, lifetime)
            if key is None:
                # Outside of the transaction: an RSA key takes a while.
                key = self._add(make_key(algorithm), lifetime, token_seconds)
            return key

    def _present(self, algorithm: str, lifetime: int) -> SigningKey | None:
        row = self._database.row(
            "SELECT id, public, private FROM oauth_key WHERE algorithm=? AND retired IS NULL AND created>? AND created<=?"
            " ORDER BY created DESC, id LIMIT 1",
            (algorithm, self._clock() - lifetime, self._clock()),
        )
        return None if row is None else self._open(algorithm, *row)

    def _open(self, algorithm: str, id: str, public: str, private: bytes) -> SigningKey | None:
        if id not in self._opened:
            from cryptography.exceptions import InvalidTag

            try:
                plain = self._cipher().decrypt(private[:_NONCE], private[_NONCE:], id.encode())
            except InvalidTag:
                log.error(
                    "a key for ID tokens was encrypted with another key than that of %s: a new one is made", self._data
                )
                return None
            self._opened[id] = SigningKey(id, algorithm, msgspec.json.decode(public, type=dict[str, str]), plain)
        return self._opened[id]

    def renew(self, algorithms: tuple[str, ...]) -> list[SigningKey]:
        """New keys in place of all others, which are gone at once: nothing that they signed can be verified any more. For when a
        private key may have leaked."""
        keys = [make_key(algorithm) for algorithm in algorithms]
        with self._lock:
            now = int(self._clock())
            with self._database.write() as execute:
                execute("DELETE FROM oauth_key")
                for key in keys:
                    self._insert(execute, key, now)
            self._opened = {key.id: key for key in keys}
        return keys

    def _insert(self, execute: Execute, key: SigningKey, now: int) -> None:
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher().encrypt(nonce, key.private, key.id.encode())
        execute(
            "INSERT INTO oauth_key(id, algorithm, public, private, created) VALUES(?,?,?,?,?)",
            (key.id, key.algorithm, msgspec.json.encode(dict(key.public)).decode(), sealed, now),
        )

    def _add(self, key: SigningKey, lifetime: int, token_seconds: int) -> SigningKey:
        now = int(self._clock())
        with self._database.write() as execute:
            row = execute(
                "SELECT id, public, private FROM oauth_key WHERE algorithm=? AND retired IS NULL AND created>? AND created<=?"
                " ORDER BY created DESC, id LIMIT 1",
                (key.algorithm, now - lifetime, now),
            )
            found = self._open(key.algorithm, *row[0]) if row else None
            if found is not None:
                # Another process was faster.
                return found
            execute("DELETE FROM oauth_key WHERE retired<?", (now - token_seconds - KEPT,))
            execute("UPDATE oauth_key SET retired=? WHERE algorithm=? AND retired IS NULL", (now, key.algorithm))
            self._insert(execute, key, now)
        self._opened[key.id] = key
        return key

    def public(self, algorithms: tuple[str, ...], lifetime: int, token_seconds: int) -> list[Mapping[str, str]]:
        """The JWKs of every key whose signatures may still be met, the newest first; one for each algorithm is made when
        missing, so that clients find it before the first token."""
        for algorithm in algorithms:
            self.signing(algorithm, lifetime, token_seconds)
        rows = self._database.rows(
            "SELECT public FROM oauth_key WHERE retired IS NULL OR retired>=? ORDER BY created DESC, id",
            (self._clock() - token_seconds - KEPT,),
        )
        return [msgspec.json.decode(row[0], type=dict[str, str]) for row in rows]

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(hashlib.sha256(b"flaskmail id token keys\0" + read_key(self._data, self._database)).digest())
