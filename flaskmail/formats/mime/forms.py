"""Header field values in the forms of RFC 8621 section 4.1.2, as they go on the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from flaskmail.formats.mime import addresses, dates, params, words
from flaskmail.formats.mime.addresses import Address, Group

MAX_ITEMS: Final = 10_000
"""Message ids or URLs of one field that are read; the rest are left out."""

_FOLDING: Final = {0: None, 10: None, 13: None}
_BRACKETED = re.compile(r"<([^<>]*+)>")
_SPACE = re.compile(r"\s+")


def as_raw(value: bytes) -> str:
    """The Raw form (section 4.1.2.1): octets as UTF-8, what is malformed as U+FFFD, NULs dropped; folding stays."""
    return value.decode("utf-8", "replace").replace("\0", "")


def as_text(value: bytes) -> str:
    """The Text form (section 4.1.2.2): unfolded, without leading white space, encoded words decoded, in NFC."""
    text = _unfolded(value).lstrip(" \t")
    return text if text.isascii() and "=?" not in text else words.nfc(words.decode(text))


def as_addresses(value: bytes) -> list[Address]:
    """The Addresses form (section 4.1.2.3): the mailboxes, those of groups included, in order."""
    groups = addresses.parse(_unfolded(value))
    return groups[0]["addresses"] if len(groups) == 1 else [one for group in groups for one in group["addresses"]]


def as_grouped_addresses(value: bytes) -> list[Group]:
    """The GroupedAddresses form (section 4.1.2.4)."""
    return addresses.parse(_unfolded(value))


def as_message_ids(value: bytes) -> list[str] | None:
    """The MessageIds form (section 4.1.2.5): the ids without angle brackets; None when there are none to be found.

    Words around the ids are passed over (RFC 5322 section 4.5.4). A value that is a lone word with an at sign, brackets
    forgotten, is one id.
    """
    text = _unfolded(value)
    if "(" in text:
        text = params.without_comments(text)
    found = _in_brackets(text)
    if found:
        return found
    text = text.strip()
    return [text] if "@" in text and not any(char in text for char in "<> \t,") else None


def as_date(value: bytes) -> str | None:
    """The Date form (section 4.1.2.6): RFC 3339 with the zone offset of the message; None when it is no date-time."""
    moment = dates.parse(_unfolded(value))
    return None if moment is None else dates.rfc3339(moment)


def as_urls(value: bytes) -> list[str] | None:
    """The URLs form (section 4.1.2.7, RFC 2369): what stands in angle brackets; None when nothing does."""
    text = _unfolded(value)
    # Parentheses within the brackets belong to the URL.
    depth_free = text if "(" not in text else _outside_brackets_without_comments(text)
    return _in_brackets(depth_free) or None


FORMS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "Raw": as_raw,
    "Text": as_text,
    "Addresses": as_addresses,
    "GroupedAddresses": as_grouped_addresses,
    "MessageIds": as_message_ids,
    "Date": as_date,
    "URLs": as_urls,
}
"""Every form by the name that follows ``:as`` (RFC 8621 section 4.1.3); each takes the raw octets of a field value."""

_ADDRESS_FORMS: Final = frozenset(("Raw", "Addresses", "GroupedAddresses"))
_TEXT_FORMS: Final = frozenset(("Raw", "Text"))
_ID_FORMS: Final = frozenset(("Raw", "MessageIds"))
_DATE_FORMS: Final = frozenset(("Raw", "Date"))
_URL_FORMS: Final = frozenset(("Raw", "URLs"))
_ANY_FORM: Final = frozenset(FORMS)

# The fields of RFC 5322 and RFC 2369; RFC 8621 sections 4.1.2.2 to 4.1.2.7 name the forms of each.
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("subject", "comments", "keywords"), _TEXT_FORMS),
    **dict.fromkeys(("from", "sender", "reply-to", "to", "cc", "bcc"), _ADDRESS_FORMS),
    **dict.fromkeys(
        ("resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc"), _ADDRESS_FORMS
    ),
    **dict.fromkeys(("message-id", "in-reply-to", "references", "resent-message-id"), _ID_FORMS),
    **dict.fromkeys(("date", "resent-date"), _DATE_FORMS),
    **dict.fromkeys(
        ("list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"), _URL_FORMS
    ),
    **dict.fromkeys(("return-path", "received"), frozenset(("Raw",))),
}


def allowed_forms(name: str) -> frozenset[str]:
    """The forms, as keys of :data:`FORMS`, in which the field ``name`` (any case) may be fetched or set.

    Fields that neither RFC 5322 nor RFC 2369 define may have any form (RFC 8621 section 4.1.2).
    """
    return _ALLOWED.get(name.lower(), _ANY_FORM)


def _unfolded(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    # RFC 5322 section 2.2.3: the line break goes, the white space after it stays.
    return text.translate(_FOLDING) if "\n" in text or "\r" in text or "\0" in text else text


def _in_brackets(text: str) -> list[str]:
    out: list[str] = []
    for found in _BRACKETED.finditer(text):
        if item := _SPACE.sub("", found[1]):
            out.append(item)
            if len(out) == MAX_ITEMS:
                break
    return out


def _outside_brackets_without_comments(text: str) -> str:
    out: list[str] = []
    done = depth = 0
    inside = False
    for at, char in enumerate(text):
        if inside:
            inside = char != ">"
        elif char == "<" and not depth:
            inside = True
        elif char == "(":
            if not depth:
                out.append(text[done:at])
            depth += 1
        elif char == ")" and depth:
            depth -= 1
            done = at + 1
    if not depth:
        out.append(text[done:])
    return " ".join(out)
