"""What goes wrong when people administer accounts; each message is a sentence for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from flaskmail.errors import FlaskmailError


class DirectoryError(FlaskmailError):
    """Base: the directory refuses, and nothing was changed."""


class BadName(DirectoryError):
    """Not a domain, not an address, or not allowed as a name."""


class NameTaken(DirectoryError):
    """An account, a domain or an address of that name exists already. name: that one, where it is known; field: as which it
    was to be taken."""

    def __init__(self, message: str, name: str | None = None, field: str = "name") -> None:
        self.name, self.field = name, field
        super().__init__(message)


class UnknownName(DirectoryError):
    """There is none of that name. ``nearest`` holds the most similar existing name, or ""."""

    def __init__(self, what: str, name: str, existing: Iterable[str]) -> None:
        close = difflib.get_close_matches(name, list(existing), n=1, cutoff=0.6)
        self.name, self.nearest = name, close[0] if close else ""
        hint = f" (did you mean {self.nearest!r}?)" if close else ""
        super().__init__(f"there is no {what} {name!r}{hint}")


class InUse(DirectoryError):
    """It cannot go while something else needs it."""


class BadPassword(DirectoryError):
    """The password cannot be used: empty, too long, or not text."""
