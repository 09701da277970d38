"""Parts of HTTP that a download needs, as pure functions: Range, media types, file names."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

# RFC 9110 section 5.6.2.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"(?:[ !#-\[\]-~]|\\[ -~])*"))*')
_ONE_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)

OCTETS = "application/octet-stream"


class Unsatisfiable(ValueError):
    """The range lies outside of the blob; answered with 416."""


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, end), end not included, of a Range header for ``size`` octets; None to send everything.

    RFC 9110 section 14.2: what is not understood, and several ranges at once, may be ignored. Raises Unsatisfiable."""
    match = _ONE_RANGE.fullmatch(header) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise Unsatisfiable
        return max(0, size - int(suffix)), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, min(size, int(last) + 1) if last else size


def matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match names this quoted entity tag (weak comparison, RFC 9110 section 13.1.2)."""
    if not header:
        return False
    given = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in given or etag in given


def media_type(text: str | None) -> str | None:
    """The text when it is a media type with at most 255 characters; None otherwise."""
    return text if text and len(text) <= 255 and _MEDIA_TYPE.fullmatch(text) else None


def query_value(query: str, name: str) -> str | None:
    """The first value of a parameter of a query string, percent-decoded; "+" stays, as RFC 6570 never writes it for a blank."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if unquote(key) == name:
            return unquote(value)
    return None


def disposition(name: str) -> str:
    """The Content-Disposition (RFC 6266) that offers the blob for saving under ``name``; "attachment" when that is empty.

    Control characters are dropped; anything beyond plain ASCII also goes, percent-encoded, into ``filename*`` (RFC 8187)."""
    clean = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cs"))
    if not clean:
        return "attachment"
    # Old clients take "%" and "\\" for escapes.
    if re.fullmatch(r"[ !#$&-\[\]-~]+", clean):
        return f'attachment; filename="{clean}"'
    ascii_name = re.sub(r"[^ !#$&-\[\]-~]", "_", unicodedata.normalize("NFKD", clean))
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(clean, safe='')}"
