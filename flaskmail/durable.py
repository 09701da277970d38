"""Files and folders that are for their owner alone, and that survive a power cut once they are made."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHUNK = 1024 * 1024


def said(error: OSError) -> str:
    """What the system says of a file of the data folder that cannot be used, and what helps where that is known."""
    text = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        text += "; give the folder to the user that runs this (chown -R, chmod -R u+rwX), or run this as its owner"
    return text


def write_file(path: Path, octets: bytes) -> None:
    """A new file (0600), durable. OSError as it comes."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(handle)


def copy_file(source: Path, target: Path) -> tuple[bytes, int]:
    """Copies to a new file (0600), durably; the SHA-256 and the number of the octets that were written. OSError as it comes."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as read:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as write:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                write.write(chunk)
            write.flush()
            os.fdatasync(handle)
    return digest.digest(), size


def sync_file(path: Path) -> None:
    """Makes a file's octets durable."""
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Makes the entries of a folder durable."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """A folder for its owner only, whatever the umask; fine when it is there."""
    try:
        path.mkdir(0o700)
    except FileExistsError:
        return
    path.chmod(0o700)


def alone(handle: int) -> bool:
    """Whether nobody else has this open file or folder now; then nobody will until it is closed. The kernel frees it when a
    process dies."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether nobody else has this folder now; then nobody will within the block."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield alone(handle)
    finally:
        os.close(handle)
