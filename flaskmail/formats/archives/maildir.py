"""The Maildir format: one file a message, flags in the file's name, Maildir++ or nested folders."""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Iterator
from pathlib import Path

from flaskmail.formats.archives.found import Found, Skipped

_FLAGS = {"S": "$seen", "R": "$answered", "F": "$flagged", "D": "$draft", "P": "$forwarded"}
_KEYWORD = re.compile(r"[\x21\x23\x24\x26\x27\x2b-\x5b\x5e-\x7a\x7c-\x7e]{1,255}\Z")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def is_maildir(path: Path) -> bool:
    """Whether the folder has the three subfolders of a Maildir (``tmp`` may be missing in a copy)."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def folder_name(name: str) -> str:
    """A mailbox name in modified UTF-7 (RFC 3501 section 5.1.3) as text; left as it is when it is not valid."""

    def shifted(match: re.Match[str]) -> str:
        code = match[1].replace(",", "/")
        if not code:
            return "&"
        return binascii.a2b_base64(code + "=" * (-len(code) % 4)).decode("utf-16-be")

    try:
        return _SHIFTED.sub(shifted, name)
    except (binascii.Error, UnicodeDecodeError):
        return name


def letter_keywords(path: Path) -> dict[str, str]:
    """Keywords that Dovecot keeps as letters a-z of the file name, from its ``dovecot-keywords`` file."""
    try:
        text = (path / "dovecot-keywords").read_text("utf-8", "replace")
    except OSError:
        return {}
    out = {}
    for line in text.splitlines():
        number, _, keyword = line.partition(" ")
        if number.isdigit() and int(number) < 26 and _KEYWORD.match(keyword):
            out[chr(ord("a") + int(number))] = keyword.lower()
    return out


def name_keywords(name: str, letters: dict[str, str]) -> frozenset[str]:
    """Keywords of a message's file name (``…:2,FRS``)."""
    _, found, flags = name.rpartition("2,")
    if not found:
        return frozenset()
    known = _FLAGS | letters
    return frozenset(known[f] for f in flags if f in known)


def read_maildir(path: Path, folder: tuple[str, ...], max_size: int) -> Iterator[Found | Skipped]:
    """Messages of a Maildir and of its folders, Maildir++ (``.Sent.2024``) or nested."""
    letters = letter_keywords(path)
    for part in ("cur", "new"):
        for file in sorted(p for p in (path / part).iterdir() if p.is_file() and not p.name.startswith(".")):
            try:
                status = file.stat()
                if status.st_size > max_size:
                    yield Skipped(
                        str(file), f"the message has {status.st_size:,} octets; at most {max_size:,} are taken"
                    )
                    continue
                raw = file.read_bytes()
            except OSError as error:
                yield Skipped(str(file), f"cannot be read: {error.strerror}")
                continue
            if not raw.strip():
                yield Skipped(str(file), "the message is empty")
                continue
            # Delivery agents keep the time of arrival as the file's time of modification.
            received = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, status.st_mtime)))
            keywords = name_keywords(file.name, letters) if part == "cur" else frozenset[str]()
            yield Found(str(file), raw, folder, keywords, received)
    for sub in sorted(p for p in path.iterdir() if p.is_dir() and p.name not in ("cur", "new", "tmp")):
        if not is_maildir(sub):
            continue
        names = sub.name[1:].split(".") if sub.name.startswith(".") else [sub.name]
        yield from read_maildir(sub, folder + tuple(folder_name(n) for n in names if n), max_size)
