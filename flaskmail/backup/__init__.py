"""Backups: a copy of everything at one moment, made while the server writes, and bringing it back.

A backup is a folder like the data folder: ``control.db``, ``secret.key``, ``accounts/``; beside them ``SHA256SUMS``, which
``sha256sum -c`` reads, and ``manifest.json``, which says what the backup is.
"""

from flaskmail.backup.making import make_backup
from flaskmail.backup.manifest import BackupError, DamagedBackup, Manifest, read_manifest
from flaskmail.backup.restoring import Restored, restore_backup
from flaskmail.backup.returning import restore_account

__all__ = [
    "BackupError",
    "DamagedBackup",
    "Manifest",
    "Restored",
    "make_backup",
    "read_manifest",
    "restore_account",
    "restore_backup",
]
