"""Folders that are not finished yet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from flaskmail.durable import locked

_YOUNG = 60
_MARK = ".unfinished-"


@contextmanager
def unfinished(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in ``parent``, for what becomes ``name``; removed at the end unless it was moved to its place. Those of
    processes that died are removed as well, whatever was to become of them: a name by the time never comes again."""
    for old in parent.glob(f".*{_MARK}{'[0-9a-f]' * 16}"):
        _remove_abandoned(old)
    folder = parent / f".{name}{_MARK}{token_hex(8)}"
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
