"""How the server and the doctor know each other: by a key that lies in the data folder while the doctor works.

The doctor makes the key, signs each question with it, and removes it. The server answers only questions that are signed so, and
signs the answer: who cannot write into the data folder learns nothing, wherever the question comes from; and the doctor knows
that it is this server that answers.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATH = "/.well-known/flaskmail-doctor"
HEADER = "Flaskmail-Doctor"
LIFETIME = 600
"""Seconds for which a key is good, if the doctor does not come to remove it."""
SKEW = 60
"""Seconds for which a signed question is good."""

_QUESTION = re.compile(r"([0-9a-f]{16}) ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """id: 16 hexadecimal digits, part of the file's name. secret: 32 octets, never shown."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def question(self) -> tuple[str, str]:
        """(value of the header for one question, its nonce)."""
        nonce, now = secrets.token_hex(16), int(time.time())
        return f"{self.id} {now} {nonce} {self._sign(f'ask {self.id} {now} {nonce}')}", nonce

    def answer(self, nonce: str, body: bytes) -> str:
        """The signature of the answer to the question of this nonce."""
        return self._sign(f"answer {nonce} {hashlib.sha256(body).hexdigest()}")

    def asked(self, now: str, nonce: str, signature: str) -> bool:
        """Whether a question is signed with this key, just now."""
        expected = self._sign(f"ask {self.id} {now} {nonce}")
        return hmac.compare_digest(expected, signature) and abs(time.time() - int(now)) <= SKEW

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()


@contextmanager
def key_in(folder: Path) -> Iterator[Key]:
    """A fresh key in the data folder, readable by the server, removed at the end. OSError when it cannot be written."""
    key = Key(secrets.token_hex(8), secrets.token_bytes(32))
    path = _file(folder, key.id)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            if os.geteuid() == 0:
                # The server's user owns the folder.
                owner = folder.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.write(descriptor, key.secret)
        finally:
            os.close(descriptor)
        yield key
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def read_question(folder: Path, value: str) -> tuple[Key, str] | None:
    """The key and the nonce of a question that the doctor of this data folder has signed; None for every other."""
    match = _QUESTION.fullmatch(value)
    if match is None:
        return None
    secret = _read(_file(folder, match[1]))
    if secret is None:
        return None
    key = Key(match[1], secret)
    return (key, match[3]) if key.asked(match[2], match[3], match[4]) else None


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        own = stat.S_ISREG(status.st_mode) and status.st_uid in (os.geteuid(), 0) and not status.st_mode & 0o077
        if not own or abs(time.time() - status.st_mtime) > LIFETIME:
            return None
        secret = os.read(descriptor, 33)
    finally:
        os.close(descriptor)
    return secret if len(secret) == 32 else None


def _file(folder: Path, identifier: str) -> Path:
    return folder / f"doctor-{identifier}.key"
