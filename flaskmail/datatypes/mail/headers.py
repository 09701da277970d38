"""Header fields as properties of Email and EmailBodyPart: the grammar, and which form fits which field.

RFC 8621 section 4.1.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flaskmail.formats.mime import forms
from flaskmail.formats.mime.headers import Headers

# RFC 8621 section 4.1.3: printable ASCII without the colon.
_GRAMMAR = re.compile(
    r"header:(?P<name>[!-9;-~]+)(?::as(?P<form>Raw|Text|Addresses|GroupedAddresses|MessageIds|Date|URLs))?(?P<all>:all)?"
)
CONVENIENT: Mapping[str, str] = {
    "messageId": "header:Message-ID:asMessageIds",
    "inReplyTo": "header:In-Reply-To:asMessageIds",
    "references": "header:References:asMessageIds",
    "sender": "header:Sender:asAddresses",
    "from": "header:From:asAddresses",
    "to": "header:To:asAddresses",
    "cc": "header:Cc:asAddresses",
    "bcc": "header:Bcc:asAddresses",
    "replyTo": "header:Reply-To:asAddresses",
    "subject": "header:Subject:asText",
    "sentAt": "header:Date:asDate",
}
"""The convenience properties of RFC 8621 section 4.1.3 and what each is identical to."""


@dataclass(frozen=True, slots=True)
class HeaderProperty:
    """A ``header:`` property taken apart. field: the name as written; key: in lower case; form: "Raw", "Text", …; all: an array
    with every instance instead of the last one."""

    field: str
    key: str
    form: str
    all: bool

    def of(self, headers: Headers) -> Any:
        """The property's value: of the last field of that name, null when there is none; with ``all`` an array."""
        values = headers.all(self.key)
        parse = forms.FORMS[self.form]
        if self.all:
            return [parse(value) for value in values]
        return parse(values[-1]) if values else None


@lru_cache(maxsize=1024)
def header_property(name: str) -> HeaderProperty | None:
    """The property that a name stands for; None when it is none or asks for a form that its field may not take."""
    if len(name) > 1000:
        return None
    found = _GRAMMAR.fullmatch(name)
    if found is None:
        return None
    key = found["name"].lower()
    form = found["form"] or "Raw"
    if form not in forms.allowed_forms(key):
        return None
    return HeaderProperty(found["name"], key, form, found["all"] is not None)


def header_list(headers: Headers) -> list[dict[str, str]]:
    """EmailHeader[]: every field in order, in Raw form."""
    return [{"name": name, "value": forms.as_raw(value)} for name, value in headers]
