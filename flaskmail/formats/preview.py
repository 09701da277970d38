"""The line or two of a message that a list of messages shows (``preview``, RFC 8621 section 4.1.4)."""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 256
"""Characters of a preview, at most. RFC 8621 section 4.1.4."""

_LOOKED_AT: Final = 4096
# Zero-width characters and soft hyphens, with which newsletters push their own text out of previews.
_INVISIBLE: Final = dict.fromkeys((0x00, 0x00AD, 0x034F, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_ONLY_MARKS = re.compile(r"[\W_]*+\Z")
_ATTRIBUTION = re.compile(r"(?:on|am|le|el|il|op|den)\s.{4,200}:\Z", re.I)


def preview(text: str) -> str:
    """The beginning of ``text`` for people, at most 256 characters, white space collapsed; "" when there is nothing to show.

    Quoted lines, the line that introduces them, and rulers are skipped, unless nothing else is there.
    """
    text = text[:_LOOKED_AT]
    if not text.isascii() or "\0" in text:
        text = text.translate(_INVISIBLE)
    lines = [line.strip() for line in text.splitlines()]
    kept: list[str] = []
    length = 0
    for at, line in enumerate(lines):
        if line and not line.startswith(">") and not _ONLY_MARKS.match(line) and not _introduces(lines, at):
            kept.append(line)
            length += len(line)
            if length > 2 * MAX_LENGTH:
                break
    shown = " ".join(" ".join(kept or lines).split())
    if len(shown) <= MAX_LENGTH:
        return shown
    cut = shown.rfind(" ", MAX_LENGTH - 40, MAX_LENGTH)
    return shown[: cut if cut > 0 else MAX_LENGTH]


def _introduces(lines: list[str], at: int) -> bool:
    """Whether the line only says who wrote what is quoted below it."""
    if not _ATTRIBUTION.match(lines[at][:256]):
        return False
    following = next((line for line in lines[at + 1 : at + 3] if line), "")
    return following.startswith(">")
