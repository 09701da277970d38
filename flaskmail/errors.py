"""The errors of flaskmail, one small tree; each class knows its wire type.

::

    FlaskmailError
    ├── ConfigError            start-up: settings, plugins or declarations are wrong
    ├── ExpressionError        an expression of the settings is wrong (flaskmail.expressions.errors)
    ├── BackupError            a backup cannot be made or restored (flaskmail.backup.manifest)
    ├── RequestError           HTTP level: problem details (RFC 9457, RFC 8620 section 3.6.1)
    ├── MethodError            one method call failed (RFC 8620 section 3.6.2)
    ├── SetError               one object of a /set, /copy or /import failed (RFC 8620 section 5.3)
    └── StoreError             the store cannot do it now
        ├── OverQuota          no room left for this account
        ├── AccountMissing     the store has no such account
        ├── StoreNewer         a file was written by a newer version
        └── StoreDamaged       something stored is not what was written

``RequestError`` becomes an HTTP response in :mod:`flaskmail.web.problems`, ``MethodError`` and ``SetError``
become JSON in :mod:`flaskmail.jmap.dispatch` and :mod:`flaskmail.jmap.methods`; nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class FlaskmailError(Exception):
    """Base of every error that flaskmail raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration.

    where: the file, or "environment", or a plugin's name; key: the dotted key or "" for the whole file;
    found: what stands there; expected: a sentence saying what should; hint: the nearest right name, or ""; excerpt: the line that
    is wrong with a caret below the place, or "".
    """

    where: str
    key: str
    found: str
    expected: str
    hint: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.key}" if self.key else self.where
        text = f"{place}: found {self.found}, expected {self.expected}"
        text = f"{text} (did you mean {self.hint!r}?)" if self.hint else text
        return "\n    ".join([text, *self.excerpt.splitlines()])


class ConfigError(FlaskmailError):
    """Everything that is wrong with the configuration, all at once, in ``problems``."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class RequestError(FlaskmailError):
    """The HTTP request as a whole is refused; answered as ``application/problem+json``.

    type: the full problem type URI ("about:blank" when the status says it all); status: the HTTP status;
    detail: a sentence for people; extra: further members of the problem object (``limit``, …);
    headers: response headers that belong to the refusal (``Retry-After``, …).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        type: str = "about:blank",
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.detail, self.type = status, detail, type
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        super().__init__(f"{status} {type}: {detail}")


class MethodError(FlaskmailError):
    """One method call is answered with ``["error", {"type": …}, callId]``. RFC 8620 section 3.6.2."""

    def __init__(self, type: str, description: str | None = None, **extra: Any) -> None:
        self.type, self.description, self.extra = type, description, extra
        super().__init__(f"{type}: {description}")

    def wire(self) -> dict[str, Any]:
        """The arguments object of the error response."""
        told = {} if self.description is None else {"description": self.description}
        return {"type": self.type, **told, **self.extra}


class SetError(FlaskmailError):
    """One object is not created, updated or destroyed. RFC 8620 section 5.3.

    properties: the names that are wrong, for ``invalidProperties``; extra: members that the type defines
    (``existingId``, ``notFound``, …).
    """

    def __init__(
        self,
        type: str,
        description: str | None = None,
        properties: Sequence[str] = (),
        **extra: Any,
    ) -> None:
        self.type, self.description, self.properties, self.extra = type, description, tuple(properties), extra
        super().__init__(f"{type}: {description}")

    def wire(self) -> dict[str, Any]:
        """The SetError object."""
        out: dict[str, Any] = {"type": self.type}
        if self.description is not None:
            out["description"] = self.description
        if self.properties:
            out["properties"] = list(self.properties)
        return out | self.extra


class StoreError(FlaskmailError):
    """The store cannot do it now; clients see ``serverUnavailable`` or HTTP 503."""


class StoreNewer(StoreError):
    """A file of the data folder was written by a newer version. file: its path; version: the ladder's step that it stands on."""

    def __init__(self, file: object, version: int) -> None:
        super().__init__(
            f"{file} was written by a newer flaskmail (version {version}); nothing was changed. Install the newer one again, or"
            " bring a backup from before back"
        )


class OverQuota(StoreError):
    """No room left for this account; clients see ``overQuota`` (RFC 8620 section 5.3) or HTTP 413."""


class AccountMissing(StoreError):
    """The store has no such account; clients see ``accountNotFound`` (RFC 8620 section 3.6.2)."""


class StoreDamaged(StoreError):
    """Something stored is not what was written (a missing blob, a wrong hash); clients see ``serverFail``."""
