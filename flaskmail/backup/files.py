"""Files and folders that are private and durable, and folders that are not finished yet."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

_YOUNG = 60


def write_file(path: Path, octets: bytes) -> None:
    """A new file (0600), durable."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(handle)


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


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether nobody else has this folder now; nobody will within the block. The kernel frees it when a process dies."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextmanager
def unfinished(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in ``parent``, for what becomes ``name``; removed at the end unless it was moved to its place. Those of
    processes that died are removed as well."""
    prefix = f".{name}.unfinished-"
    for old in parent.glob(f"{prefix}*"):
        _remove_abandoned(old)
    folder = parent / f"{prefix}{token_hex(8)}"
    folder.mkdir(0o700)
    folder.chmod(0o700)
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    try:
        # Whoever has just made one is about to lock it.
        if time.time() - folder.stat().st_ctime > _YOUNG:
            with locked(folder) as mine:
                if mine:
                    shutil.rmtree(folder, ignore_errors=True)
    except FileNotFoundError:
        return
