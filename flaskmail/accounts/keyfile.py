"""A key that lies beside ``control.db``, not in it, so that a copy of the database alone gives nothing away."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flaskmail.durable import sync_folder, write_file
from flaskmail.errors import StoreError

NAME = "secret.key"
"""The file in the data folder; it belongs into every backup."""
_OCTETS = 32


def read_key(data: Path) -> bytes:
    """The key of a data folder, 32 octets; made when it is missing, the same for all processes that ask at once.

    Raises StoreError when it cannot be read or written, or is not whole."""
    path = data / NAME
    try:
        if not path.exists():
            _make(path)
        found = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    if len(found) != _OCTETS:
        raise StoreError(f"{path} has {len(found)} octets, not {_OCTETS}: bring it back from a backup")
    return found


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        write_file(temporary, secrets.token_bytes(_OCTETS))
        try:
            # Never replaces the key of a process that was faster.
            os.link(temporary, path)
        except FileExistsError:
            pass
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
