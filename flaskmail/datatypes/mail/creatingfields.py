"""Header fields that a client sends for a message or a part of it (RFC 8621 section 4.1.2): how each form is written, and what
is wrong with what was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flaskmail.datatypes.mail.headers import HeaderProperty
from flaskmail.datatypes.mail.searching import without_zero_fraction
from flaskmail.formats.mime import build
from flaskmail.formats.mime.build import Unwritable
from flaskmail.jmap.storage import Json
from flaskmail.values import checks
from flaskmail.values.dates import parse_date

Field = tuple[str, str]
"""(name, written value)"""

_address = checks.object_of({"email": checks.text}, {"name": checks.optional(checks.text)})
_group = checks.object_of({"addresses": checks.list_of(_address)}, {"name": checks.optional(checks.text)})

_FORMS: Mapping[str, tuple[checks.Check, Callable[[Any], str]]] = {
    "Raw": (checks.text, build.raw),
    "Text": (checks.text, build.text),
    "Addresses": (checks.list_of(_address), build.addresses),
    "GroupedAddresses": (checks.list_of(_group), build.grouped_addresses),
    "MessageIds": (checks.list_of(checks.text), build.message_ids),
    "Date": (
        lambda value: checks.date(without_zero_fraction(value)),
        lambda value: build.date(parse_date(without_zero_fraction(value))),
    ),
    "URLs": (checks.list_of(checks.text), build.urls),
}
"""Form -> what values it takes, and how they are written."""


class Writing:
    """Writes header fields, and gathers what cannot be written. wrong: path of a property -> what is wrong with it."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}

    def twice(self, first: str, second: str) -> None:
        """Notes that two properties stand for the same header field."""
        self.wrong[first] = self.wrong[second] = "represents a header field that another property represents too"

    def fields(self, path: str, prop: HeaderProperty, value: Json) -> list[Field]:
        """The fields that the value of a header property stands for; none for null, and where it is wrong, which is noted."""
        check, write = _FORMS[prop.form]
        if value is None:
            return []
        if prop.all and not isinstance(value, list):
            self.wrong[path] = "must be an array"
            return []
        out = []
        for item in value if prop.all else [value]:
            wrong = check(item)
            if wrong is not None:
                self.wrong[path] = wrong
                return []
            written = self.attempt(path, partial(write, item), prop.field)
            if written is None:
                return []
            if item != []:
                out.append((prop.field, written))
        return out

    def attempt(self, path: str, write: Callable[[], str], name: str = "Content-Type") -> str | None:
        """What ``write`` answers when a field of that name can hold it; None when it cannot, which is noted."""
        try:
            value = write()
            build.field_line(name, value)
        except Unwritable as error:
            self.wrong[path] = f"cannot be written: {error}"
            return None
        return value


def no_header_property(name: str, kind: str) -> str:
    """What is wrong with a property of an object ("Email") that has none of this name."""
    if name.lower().startswith("header:"):
        return "is no right header property, or its field cannot take this form"
    return f"is not a property of {kind}"
