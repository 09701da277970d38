"""RFC 2047 encoded words in header text; RFC 8621 section 4.1.2.2 decides which of them count."""

from __future__ import annotations

import binascii
import re
import unicodedata
from typing import Final

from flaskmail.formats.mime import charsets

ENCODED_WORD: Final = r"=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*+\?="
"""One encoded word, as a pattern without groups. It cannot backtrack: each field excludes the question mark that ends it."""

_FIELDS: Final = r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]*+)\?="
# RFC 2047 section 5: an encoded word is set off by linear white space, or by the ends of the text.
_STRICT = re.compile(rf"(?<!\S){_FIELDS}(?!\S)")
_ANYWHERE = re.compile(_FIELDS)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]+")
_NOT_ASCII = re.compile("([^\x00-\x7f]+)")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
_CHUNK = re.compile(r"\S{1,256}")


def decode(text: str, *, anywhere: bool = False) -> str:
    """``text`` (unfolded) with its encoded words decoded; the rest, and words that are not right, stay as they are.

    White space between adjacent words goes; words of one charset are joined before decoding, because mailers split
    characters between them. A charset that is not known leaves its word alone; octets that are wrong in a known one become
    U+FFFD; control characters that were encoded are dropped (RFC 8621 section 4.1.2.2). ``anywhere`` also takes words that
    touch other text, which RFC 2047 section 5 forbids but file names do. Time is linear in the length.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    done = 0
    charset = ""
    pending: list[bytes] = []
    after_word = False
    for found in (_ANYWHERE if anywhere else _STRICT).finditer(text):
        label, encoding, content = found.groups()
        if not charsets.is_known(label):
            continue
        between = text[done : found.start()]
        done = found.end()
        adjacent = after_word and not between.strip()
        if pending and not (adjacent and label.lower() == charset and content.isascii()):
            out.append(_text(pending, charset))
            pending = []
        if not adjacent:
            out.append(between)
        charset = label.lower()
        if content.isascii():
            pending.append(_octets(encoding, content))
        else:
            # Somebody put characters into the word that belong in no word; they stand for themselves.
            for piece in _NOT_ASCII.split(content):
                out.append(_text([_octets(encoding, piece)], charset) if piece.isascii() else piece)
        after_word = True
    if pending:
        out.append(_text(pending, charset))
    out.append(text[done:])
    return "".join(out)


def nfc(text: str) -> str:
    """``text`` in Normalization Form C, in bounded time: past 256 characters it goes piece by piece.

    Canonical ordering takes quadratic time over a run of combining marks, and the run is the sender's choice.
    """
    if text.isascii():
        return text
    if len(text) <= 256:
        return unicodedata.normalize("NFC", text)
    return _CHUNK.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)


def _text(pending: list[bytes], charset: str) -> str:
    return _CONTROLS.sub("", charsets.decode(b"".join(pending), charset)[0])


def _octets(encoding: str, content: str) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(content.encode("ascii").replace(b"_", b" "))
    clean = _NOT_BASE64.sub("", content)
    # One character left over carries less than an octet.
    clean = clean[:-1] if len(clean) % 4 == 1 else clean
    return binascii.a2b_base64(clean + "=" * (-len(clean) % 4))
