"""The keys of domains for DKIM signatures (RFC 6376). A private key leaves this module only as an object that signs; at
rest it is encrypted with the key of the data folder."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import apsw

from flaskmail.accounts.database import Database
from flaskmail.accounts.domains import local_domain, now
from flaskmail.accounts.faults import BadName, DirectoryError, NameTaken, UnknownName
from flaskmail.accounts.keyfile import read_key
from flaskmail.errors import StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Algorithm = Literal["rsa", "ed25519"]

ALGORITHMS: tuple[Algorithm, ...] = ("rsa", "ed25519")
"""As the record in the DNS names them: RFC 6376 section 3.6.1, RFC 8463 section 4.2."""

# RFC 8301 section 3.2: 2048 bits or more should be used, and verifiers need not take more than 4096.
RSA_BITS = 2048

_NONCE = 12

ID = r"[a-z0-9](?:[a-z0-9._-]{0,268}[a-z0-9])?"
"""The pattern of an id."""
_ID = re.compile(ID)
# RFC 6376 section 3.1: labels of the DNS, joined by dots.
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What everybody may know of a key. public: base64, as the tag ``p`` of its record has it; created: a UTCDate."""

    id: str
    domain: str
    selector: str
    algorithm: Algorithm
    public: str
    created: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs a message. private: its repr tells nothing of the key."""

    domain: str
    selector: str
    algorithm: Algorithm
    private: RSAPrivateKey | Ed25519PrivateKey


class BadKey(BadName):
    """What was asked of a new key cannot be. member: ``id`` or ``selector``."""

    def __init__(self, member: str, told: str) -> None:
        super().__init__(told)
        self.member = member


class TooLong(DirectoryError):
    """Selector and domain together are no name that the DNS can have."""


class KeyTaken(NameTaken):
    """There is such a key already. member: ``id`` or ``selector``, whose value it has; never anything of the key."""

    def __init__(self, member: str, value: str, told: str) -> None:
        super().__init__(told)
        self.member, self.value = member, value


def default_id(algorithm: Algorithm, domain: str) -> str:
    """The id of a key that nobody named: ``rsa-example.org``."""
    return f"{algorithm}-{domain}"


def default_selector(algorithm: Algorithm, at: datetime) -> str:
    """The selector of a key that nobody named: year, month and the first letter of the algorithm, ``202404r``."""
    return f"{at:%Y%m}{algorithm[0]}"


def is_own_id(id: str, domain: str) -> bool:
    """Whether the id is one that can be no other domain's: a word without hyphens, a hyphen, and the domain."""
    return id.partition("-")[2] == domain


def _make(algorithm: Algorithm) -> tuple[bytes, bytes]:
    # (public, private); the imports cost a tenth of a second.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    key: RSAPrivateKey | Ed25519PrivateKey
    if algorithm == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        # RFC 6376 section 3.6.1; as its appendix C makes it, the DER form of SubjectPublicKeyInfo.
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        # RFC 8463 section 4.2: the 32 octets of the key themselves.
        public = key.public_key().public_bytes_raw()
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return public, private


_ALL = "SELECT id, domain, selector, algorithm, public, created FROM dkim"
_MATCHING = " WHERE (instr(id, ?1) OR instr(domain, ?1) OR instr(selector, ?1) OR ?1='') AND (?2 IS NULL OR domain=?2)"
_COUNT = "SELECT count(*) FROM dkim" + _MATCHING  # noqa: S608


def _key(row: tuple[str, str, str, str, bytes, str]) -> DkimKey:
    id, domain, selector, algorithm, public, created = row
    return DkimKey(id, domain, selector, cast(Algorithm, algorithm), base64.b64encode(public).decode(), created)


class DkimKeys:
    """DKIM keys in ``control.db``. data: the data folder."""

    def __init__(self, database: Database, data: Path) -> None:
        self._database, self._data = database, data

    def page(
        self, text: str = "", *, start: int = 0, limit: int | None = None, within: str | None = None
    ) -> tuple[list[DkimKey], int]:
        """(keys by id, how many there are without start and limit).

        text: only those with it in their id, domain or selector. limit: None for no limit. within: only this domain's."""
        values = (text.lower(), within)
        found = self._database.rows(
            _ALL + _MATCHING + " ORDER BY id LIMIT ?3 OFFSET ?4", (*values, -1 if limit is None else limit, start)
        )
        count = self._database.row(_COUNT, values)
        return [
            _key(cast("tuple[str, str, str, str, bytes, str]", row)) for row in found
        ], 0 if count is None else count[0]

    def of_domain(self, domain: str) -> list[DkimKey]:
        """A domain's keys, by id. Raises BadName."""
        return self.page(within=local_domain(domain))[0]

    def get(self, id: str, *, within: str | None = None) -> DkimKey:
        """within: only this domain's keys exist for who asks. Raises UnknownName (with the nearest id)."""
        row = self._database.row(_ALL + " WHERE id=?1 AND (?2 IS NULL OR domain=?2)", (id, within))
        if row is None:
            raise UnknownName("DKIM key", id, (key.id for key in self.page(within=within)[0]))
        return _key(cast("tuple[str, str, str, str, bytes, str]", row))

    def create(
        self, domain: str, algorithm: Algorithm = "rsa", *, id: str | None = None, selector: str | None = None
    ) -> DkimKey:
        """Makes a key of a domain. id and selector: None for ``default_id`` and ``default_selector``.

        Raises BadName, BadKey, TooLong; UnknownName when there is no such domain; KeyTaken when the id, or the selector in
        this domain, has a key already."""
        domain = local_domain(domain)
        id = default_id(algorithm, domain) if id is None else id
        selector = default_selector(algorithm, datetime.now(UTC)) if selector is None else selector.lower()
        if not _ID.fullmatch(id):
            raise BadKey(
                "id",
                f"{id[:80]!r} is no id of a key: write 1 to 270 of a-z, 0-9, dots, hyphens and underscores,"
                " with a letter or digit at both ends",
            )
        if not _SELECTOR.fullmatch(selector):
            raise BadKey(
                "selector",
                f"{selector[:80]!r} is no selector: write labels of 1 to 63 letters, digits and inner hyphens, joined by dots",
            )
        # RFC 1035 section 2.3.4: a name has at most 253 characters as it is written.
        if len(f"{selector}._domainkey.{domain}") > 253:
            raise TooLong(f"the name {selector[:80]}._domainkey.{domain[:80]} would have more than 253 characters")
        # A key takes a moment to make; nobody waits for it, and most conflicts are found before.
        self._refuse(id, domain, selector)
        public, private = _make(algorithm)
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher().encrypt(nonce, private, id.encode())
        try:
            with self._database.write() as execute:
                if not execute("SELECT 1 FROM domain WHERE name=?", (domain,)):
                    raise UnknownName("domain", domain, ())
                execute(
                    "INSERT INTO dkim(id, domain, selector, algorithm, public, private, created) VALUES(?,?,?,?,?,?,?)",
                    (id, domain, selector, algorithm, public, sealed, now()),
                )
        except apsw.ConstraintError:
            self._refuse(id, domain, selector)
            raise
        return self.get(id)

    def _refuse(self, id: str, domain: str, selector: str) -> None:
        if self._database.row("SELECT 1 FROM domain WHERE name=?", (domain,)) is None:
            raise UnknownName("domain", domain, (row[0] for row in self._database.rows("SELECT name FROM domain")))
        if self._database.row("SELECT 1 FROM dkim WHERE id=?", (id,)) is not None:
            raise KeyTaken("id", id, f"the DKIM key {id!r} exists already")
        if self._database.row("SELECT 1 FROM dkim WHERE domain=? AND selector=?", (domain, selector)) is not None:
            raise KeyTaken(
                "selector", selector, f"the domain {domain!r} has a DKIM key with the selector {selector!r} already"
            )

    def delete(self, id: str, *, within: str | None = None) -> DkimKey:
        """Removes a key for good; what it signed can be verified for as long as its record is published. As ``get``."""
        key = self.get(id, within=within)
        with self._database.write() as execute:
            execute("DELETE FROM dkim WHERE id=?", (key.id,))
        return key

    def sign_key(self, id: str) -> SigningKey:
        """For signing a message, in this process only. Raises UnknownName, or StoreError when the key of the data folder is
        another than that with which it was encrypted."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        key = self.get(id)
        row = self._database.row("SELECT private FROM dkim WHERE id=?", (id,))
        if row is None:
            raise UnknownName("DKIM key", id, ())
        try:
            plain = self._cipher().decrypt(row[0][:_NONCE], row[0][_NONCE:], id.encode())
        except InvalidTag:
            raise StoreError(
                f"the DKIM key {id!r} was encrypted with another key than that of {self._data}: bring that back from a"
                " backup, or delete the DKIM key and make a new one"
            ) from None
        private = cast("RSAPrivateKey | Ed25519PrivateKey", load_der_private_key(plain, None))
        return SigningKey(key.domain, key.selector, key.algorithm, private)

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(hashlib.sha256(b"flaskmail dkim keys\0" + read_key(self._data, self._database)).digest())
