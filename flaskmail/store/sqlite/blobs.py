"""Blobs: their ids, and the files that hold the large ones.

A file is named by the SHA-256 of its octets. It is written to ``incoming/``, made durable, and only then renamed into its place,
under the writer's turn and before its row: a row without its file is impossible, a file without a row is harmless and swept.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b32encode
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from flaskmail.durable import make_folder, sync_folder
from flaskmail.errors import StoreDamaged, StoreError

INSIDE = 128 * 1024
"""Blobs of up to this many octets lie in the database."""
_CHUNK = 1024 * 1024


def blob_id(salt: bytes, sha: bytes) -> str:
    """The account's own name for octets: it tells nothing to those who have the octets but not the salt."""
    return "g" + b32encode(hashlib.blake2b(sha, key=salt, digest_size=20).digest()).decode("ascii").lower()


class Incoming:
    """Octets on their way in: written and durable, not yet in their place. sha, size: of what was written."""

    def __init__(self, path: Path, sha: bytes, size: int) -> None:
        self.path, self.sha, self.size = path, sha, size

    def discard(self) -> None:
        """Removes the temporary file unless it moved to its place."""
        self.path.unlink(missing_ok=True)


class BlobFiles:
    """The ``blobs`` folder of one account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha: bytes) -> Path:
        """Where the octets with this hash lie."""
        name = sha.hex()
        return self.folder / name[:2] / name[2:4] / name

    def receive(self, data: bytes | BinaryIO, limit: int) -> Incoming:
        """Writes octets to a durable temporary file; needs no lock. StoreError on a full disk, or past ``limit`` octets."""
        folder = self.folder / "incoming"
        path = folder / token_hex(16)
        digest, size = hashlib.sha256(), 0
        try:
            make_folder(folder)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                for chunk in _chunks(data):
                    size += len(chunk)
                    if size > limit:
                        raise StoreError(f"there is more to store than the {limit} octets that were announced")
                    digest.update(chunk)
                    view = memoryview(chunk)
                    while view:
                        view = view[os.write(handle, view) :]
                os.fdatasync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StoreError(f"a blob cannot be written: {error.strerror}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Incoming(path, digest.digest(), size)

    def settle(self, incoming: Incoming) -> None:
        """Moves it to its place, durably. The caller holds the writer's turn, and writes the row afterwards."""
        target = self.path(incoming.sha)
        try:
            new: list[Path] = []
            for folder in (target.parent.parent, target.parent):
                if not folder.is_dir():
                    make_folder(folder)
                    new.append(folder.parent)
            incoming.path.rename(target)
            sync_folder(target.parent)
            for folder in reversed(new):
                sync_folder(folder)
        except OSError as error:
            raise StoreError(f"a blob cannot be put in its place: {error.strerror}") from error

    def all(self) -> Iterator[tuple[bytes, Path]]:
        """(hash, path) of every file in its place."""
        for path in self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            try:
                yield bytes.fromhex(path.name), path
            except ValueError:
                continue

    def temporary(self) -> list[Path]:
        """Files that were never finished, or are being written right now."""
        folder = self.folder / "incoming"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def _chunks(data: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        yield bytes(data)
        return
    while chunk := data.read(_CHUNK):
        yield chunk


def hash_file(path: Path) -> bytes:
    """SHA-256 of a file's octets. OSError as it comes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


_sound: OrderedDict[tuple[str, int, int], None] = OrderedDict()


def read_file(path: Path, sha: bytes, size: int, start: int, end: int) -> bytes:
    """Octets of a blob's file. StoreDamaged when it is gone, has another size, or its hash is wrong: looked at whenever it
    is read whole, and once a process for every state of the file when a part is read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size != size:
                raise StoreDamaged(f"the file of a blob has {status.st_size} octets instead of {size}")
            if (start, end) == (0, size):
                data = file.read()
                if hashlib.sha256(data).digest() != sha:
                    raise StoreDamaged("the file of a blob is not what was written")
                return data
            key = (str(path), status.st_mtime_ns, status.st_ino)
            if key not in _sound:
                if hashlib.file_digest(file, "sha256").digest() != sha:
                    raise StoreDamaged("the file of a blob is not what was written")
                _sound[key] = None
                while len(_sound) > 4096:
                    _sound.popitem(last=False)
            file.seek(start)
            return file.read(end - start)
    except FileNotFoundError:
        raise StoreDamaged("the file of a blob is gone") from None
    except OSError as error:
        raise StoreError(f"the file of a blob cannot be read: {error.strerror}") from error
