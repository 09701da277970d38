"""What is done to the whole of ``control.db`` and the files beside it: a copy, and taking away what is over."""

from __future__ import annotations

import time
from pathlib import Path

from flaskmail.accounts.database import Database
from flaskmail.accounts.keyfile import NAME as KEY
from flaskmail.durable import write_file
from flaskmail.errors import StoreError

MARGIN = 86400
"""Seconds for which expired credentials stay, so that their use can still be told from a guess."""

_EXPIRED = {
    # That of an API key says when the key ended, and counts again when it is given more time: it goes with the key.
    "tokens": "DELETE FROM token WHERE expires < ? AND kind <> 'api-key' RETURNING 1",
    "sessions": "DELETE FROM websession WHERE expires < ? RETURNING 1",
    # One that was redeemed stays as long as what came of it: it can still come again.
    "codes": "DELETE FROM oauth_code WHERE expires < ?1"
    " AND (family IS NULL OR family IN (SELECT id FROM oauth_grant WHERE ends < ?1)) RETURNING 1",
    "devices": "DELETE FROM oauth_device WHERE expires < ? RETURNING 1",
    "accessTokens": "DELETE FROM oauth_access WHERE expires < ? RETURNING 1",
    "refreshTokens": "DELETE FROM oauth_refresh WHERE expires < ? RETURNING 1",
}
"""What is told -> the statement, which takes seconds since 1970."""


def copy_directory(database: Database, data: Path, target: Path) -> list[str]:
    """Copies ``control.db`` as it is now, and the key beside it, into the folder ``target``, durably, modes 0600. Answers the
    names of the files. StoreError when that fails."""
    names = ["control.db"]
    database.copy(target / "control.db")
    try:
        key = (data / KEY).read_bytes()
    except FileNotFoundError:
        return names
    except OSError as error:
        raise StoreError(f"{data / KEY} cannot be read: {error.strerror}") from error
    try:
        write_file(target / KEY, key)
    except OSError as error:
        raise StoreError(f"{target / KEY} cannot be written: {error.strerror}") from error
    return [*names, KEY]


def remove_expired(database: Database) -> dict[str, int]:
    """Removes credentials that expired more than a day ago. Answers how many of each kind."""
    before = int(time.time()) - MARGIN
    with database.write() as execute:
        return {told: len(execute(statement, (before,))) for told, statement in _EXPIRED.items()}
