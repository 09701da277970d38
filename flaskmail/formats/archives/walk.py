"""Reads whatever path a person names: a message, an mbox, a Maildir, a folder, a tar archive."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path
from tarfile import ReadError
from typing import IO, Self

from flaskmail.formats.archives.found import Found, Skipped
from flaskmail.formats.archives.maildir import is_maildir, read_maildir
from flaskmail.formats.archives.mbox import SEPARATOR, read_mbox, without_from_line

Progress = Callable[[int], None]
"""Told how many further octets of the files on disk have been read."""

_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BROKEN_HEADERS = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]
_READ_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, LZMAError)


class _Member(tarfile.TarInfo):
    """A member of an archive; a damaged header is an error, where ``tarfile`` would take it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """See ``tarfile.TarInfo``."""
        try:
            return super().fromtarfile(tarfile)
        except _BROKEN_HEADERS as error:
            raise ReadError(str(error)) from None


class _Counting:
    """A binary file that tells how far it has been read."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress(len(data))
        return data

    def readline(self, size: int = -1) -> bytes:
        data = self._file.readline(size)
        self._progress(len(data))
        return data


def size_of(path: Path) -> int:
    """Octets on disk below ``path``: the whole of a progress bar. 0 for what cannot be looked at."""
    try:
        if path.is_dir():
            return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        return path.stat().st_size
    except OSError:
        return 0


def read_path(path: Path, *, max_size: int, progress: Progress = lambda _n: None) -> Iterator[Found | Skipped]:
    """Every message at ``path``, and what could not be read. Never raises for what a file holds.

    A file named ``.mbox``, or one with no other mail ending that begins with an mbox separator, is an mbox; a tar archive
    and a folder are read file by file (``.mbox`` as mbox, any other file as one message); a folder with ``cur`` and ``new``
    is a Maildir. ``max_size`` octets is the longest message that is taken.
    """
    try:
        if path.is_dir():
            yield from _read_folder(path, max_size, progress)
        elif path.name.lower().endswith(_TAR_ENDINGS) or (path.suffix.lower() != ".eml" and tarfile.is_tarfile(path)):
            yield from _read_tar(path, max_size, progress)
        else:
            yield from _read_file(path, max_size, progress, alone=True)
    except OSError as error:
        yield Skipped(str(path), f"cannot be read: {error.strerror or error}", counts=False)


def _read_folder(path: Path, max_size: int, progress: Progress) -> Iterator[Found | Skipped]:
    if is_maildir(path):
        for item in read_maildir(path, (), max_size):
            progress(len(item.raw) if isinstance(item, Found) else 0)
            yield item
        return
    for entry in sorted(path.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _read_folder(entry, max_size, progress)
        elif entry.is_file():
            try:
                yield from _read_file(entry, max_size, progress, alone=False)
            except OSError as error:
                yield Skipped(str(entry), f"cannot be read: {error.strerror or error}")


def _read_file(path: Path, max_size: int, progress: Progress, *, alone: bool) -> Iterator[Found | Skipped]:
    with path.open("rb") as file:
        mbox = path.suffix.lower() in (".mbox", ".mbx")
        if not mbox and alone and path.suffix.lower() not in (".eml", ".txt", ".msg"):
            first = file.readline(1024)
            mbox = SEPARATOR.match(first) is not None
            file.seek(0)
        counting: IO[bytes] = _Counting(file, progress)  # type: ignore[assignment]
        if mbox:
            yield from read_mbox(counting, str(path), (), max_size)
        else:
            yield _single(counting.read(max_size + 1), str(path), max_size)


def _read_tar(path: Path, max_size: int, progress: Progress) -> Iterator[Found | Skipped]:
    with path.open("rb") as file:
        counting: IO[bytes] = _Counting(file, progress)  # type: ignore[assignment]
        try:
            with tarfile.open(fileobj=counting, mode="r|*", tarinfo=_Member) as archive:
                for member in archive:
                    name = f"{path}:{member.name}"
                    if not member.isfile() or Path(member.name).name.startswith("."):
                        continue
                    content = archive.extractfile(member)
                    if content is None:
                        continue
                    if member.name.lower().endswith((".mbox", ".mbx")):
                        yield from read_mbox(content, name, (), max_size)
                    else:
                        yield _single(content.read(max_size + 1), name, max_size)
        except _READ_ERRORS as error:
            yield Skipped(str(path), f"the archive is damaged: {error}; what came before it was read", counts=False)


def _single(raw: bytes, source: str, max_size: int) -> Found | Skipped:
    if len(raw) > max_size:
        return Skipped(source, f"the message has more than {max_size:,} octets (jmap.email.max-size)")
    raw, received = without_from_line(raw)
    if not raw.strip():
        return Skipped(source, "the message is empty")
    return Found(source, raw, received=received)
