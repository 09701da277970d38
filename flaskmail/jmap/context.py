"""What one method call knows of its request: who asks, which account, which limits, which types."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flaskmail.errors import MethodError
from flaskmail.jmap.storage import Json, Reader, Store

if TYPE_CHECKING:
    from flaskmail.jmap.datatype import DataType


REQUEST_SECONDS = 30.0
"""How long the method calls of one request may take together (RFC 8620 section 8.4)."""

ANSWER_OCTETS = 100_000_000
"""About how much of header fields, body values and stored JSON one request is answered; beyond, calls are requestTooLarge."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that the session advertises (RFC 8620 section 2, RFC 8621 section 1.3.1); sizes in octets.

    Every one is enforced before memory is spent. The names are the wire's.
    """

    maxSizeUpload: int = 50_000_000
    maxConcurrentUpload: int = 4
    maxSizeRequest: int = 10_000_000
    maxConcurrentRequests: int = 16
    maxCallsInRequest: int = 64
    maxObjectsInGet: int = 500
    maxObjectsInSet: int = 500
    maxQueryResults: int = 5000
    maxChanges: int = 5000
    maxMailboxDepth: int = 10
    maxSizeMailboxName: int = 255
    maxSizeAttachmentsPerEmail: int = 50_000_000
    maxSizeEmail: int = 75_000_000
    maxParseItems: int = 10
    maxSnippets: int = 500


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """One account as a principal sees it. quota: octets, None for no limit. capabilities: URNs it has."""

    id: str
    name: str
    is_personal: bool = True
    is_read_only: bool = False
    quota: int | None = None


BlobFinder = Callable[[Reader, str], "BlobContent | None"]
"""Resolves blob ids that a data type derives (a part of a message); None when the id is not of its kind or not there."""


@dataclass(frozen=True, slots=True)
class BlobContent:
    """A blob found. read: () -> all octets; path: its file, or None; type: media type when known."""

    id: str
    size: int
    read: Callable[[], bytes]
    path: str | None = None
    type: str | None = None


@dataclass(slots=True)
class Context:
    """Lives for one API request; ``account`` changes from call to call."""

    store: Store
    types: Mapping[str, DataType]
    limits: Limits
    accounts: Mapping[str, AccountAccess]
    username: str
    account: AccountAccess | None = None
    created_ids: dict[str, str] = field(default_factory=dict)
    """Creation id -> id, RFC 8620 section 3.3."""
    blob_finders: tuple[BlobFinder, ...] = ()
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    scratch: dict[str, Json] = field(default_factory=dict)
    deadline: float = math.inf
    """time.monotonic() after which ``check_time`` refuses."""
    capabilities: frozenset[str] | None = None
    """Those that the credential may use; None for all."""
    room: int = ANSWER_OCTETS
    """How many octets of answers are left; see ``spend``."""

    def check_time(self) -> None:
        """MethodError ``serverUnavailable`` when the request has taken too long; for whatever goes over many records."""
        if time.monotonic() > self.deadline:
            raise MethodError("serverUnavailable", "This request takes too long; ask for less at once.")

    def spend(self, octets: int) -> None:
        """Counts what an answer adds, about. MethodError ``requestTooLarge`` when there is no room left; what comes first has
        room in any case."""
        if self.room <= 0:
            raise MethodError("requestTooLarge", "The answer would be too large; ask for less at once.")
        self.room -= octets

    def find_blob(self, reader: Reader, blob_id: str) -> BlobContent | None:
        """A blob that the reader's account has, stored or derived by a type; None otherwise. MethodError when the request's
        time is over: a derived blob may cost a look through a whole message."""
        self.check_time()
        info = reader.blob(blob_id)
        if info is not None:
            return BlobContent(
                info.id, info.size, lambda: reader.read_blob(blob_id), None if info.path is None else str(info.path)
            )
        for finder in self.blob_finders:
            found = finder(reader, blob_id)
            if found is not None:
                return found
        return None
