"""A key that lies beside ``control.db``, not in it, so that a copy of the database alone gives nothing away."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flaskmail.accounts.database import Database
from flaskmail.durable import sync_folder, write_file
from flaskmail.errors import StoreError

NAME = "secret.key"
"""The file in the data folder; it belongs into every backup."""
_OCTETS = 32


# Keys for ID tokens are encrypted with it too, and new ones take their place by themselves.
_NEEDED = "SELECT 1 FROM totp WHERE since IS NOT NULL UNION ALL SELECT 1 FROM dkim LIMIT 1"


def check_key(data: Path, database: Database) -> None:
    """Raises StoreError when the key is missing though ``database`` has what only it opens, or is not whole. Makes none."""
    if (data / NAME).exists() or database.row(_NEEDED) is not None:
        read_key(data, database)


def read_key(data: Path, database: Database) -> bytes:
    """The key of a data folder, 32 octets; made when it is missing and nothing needs the one that was there, the same for all
    processes that ask at once. database: ``control.db``.

    Raises StoreError when it is lost, cannot be read or written, or is not whole."""
    path = data / NAME
    try:
        if not path.exists():
            if database.row(_NEEDED) is not None:
                raise StoreError(
                    f"{path} is missing: bring it back from a backup. If there is none, make another (head -c 32 /dev/urandom > "
                    f"{path}); second factors and DKIM keys that there are will not work again, and have to be made anew"
                )
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
