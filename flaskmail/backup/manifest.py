"""What a backup says of itself: ``manifest.json``, and ``SHA256SUMS`` with a line for each file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flaskmail.errors import FlaskmailError
from flaskmail.values.ids import is_id

FORMAT = 1
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
SETTINGS = "config.toml"

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_PATH = re.compile(
    r"control\.db|secret\.key|config\.toml|accounts/[A-Za-z0-9_-]{1,255}/(?:mail\.db|blobs/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64})"
)
"""What lies in a backup; nothing else is ever read from one or written to a data folder."""


class BackupError(FlaskmailError):
    """A backup cannot be made or restored; the sentence says why."""


class DamagedBackup(BackupError):
    """Files of a backup are not what they were when it was made."""


class CopiedAccount(msgspec.Struct, frozen=True):
    """One account in a backup. octets, files: of its copy."""

    id: str
    name: str
    files: int
    octets: int


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """format: of the backup; flaskmail: the version that made it; began: a UTCDate: what was acknowledged before is in the
    backup; ended; settings: the file that the server's settings came from, None for none; with_settings: whether it lies in the
    backup; files, octets: in all; sums: the SHA-256 of ``SHA256SUMS``; problems: what was wrong with what was copied."""

    format: int
    flaskmail: str
    began: str
    ended: str
    settings: str | None
    with_settings: bool
    accounts: list[CopiedAccount]
    files: int
    octets: int
    sums: str
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of ``SHA256SUMS``."""

    path: str
    sha256: str


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the backup in ``folder``. BackupError when there is none that can be used."""
    try:
        octets = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {MANIFEST} cannot be read ({error.strerror})") from None
    try:
        found = msgspec.json.decode(octets, type=dict)
        if found.get("format") != FORMAT:
            raise BackupError(
                f"{folder} was made by flaskmail {found.get('flaskmail')} in format {found.get('format')}; "
                f"this version reads {FORMAT}"
            )
        manifest = msgspec.convert(found, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BackupError(f"{folder / MANIFEST} is damaged: {error}") from None
    for account in manifest.accounts:
        # It becomes the name of a folder.
        if not is_id(account.id):
            raise BackupError(f"{folder / MANIFEST} is damaged: {account.id[:64]!r} is no account's id")
    return manifest


def read_sums(folder: Path, manifest: Manifest) -> Iterator[Listed]:
    """Every file of the backup. BackupError when the list is not the one that the manifest names."""
    try:
        octets = (folder / SUMS).read_bytes()
    except OSError as error:
        raise BackupError(f"{folder / SUMS} cannot be read ({error.strerror})") from None
    if hashlib.sha256(octets).hexdigest() != manifest.sums:
        raise BackupError(f"{folder / SUMS} is damaged: it is not what {MANIFEST} says")
    for line in octets.decode("ascii", "replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None or not _PATH.fullmatch(found[2]):
            raise BackupError(f"{folder / SUMS} names what belongs into no backup: {line[66:200]!r}")
        yield Listed(found[2], found[1])
