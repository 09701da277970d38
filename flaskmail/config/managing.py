"""The settings of the management API."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting


@dataclass(frozen=True, slots=True)
class Management:
    """The management API under /api. docs/management.md shows how it is used."""

    legacy_get: bool = setting(
        kinds.BOOLEAN,
        False,
        "Answer the old API's GET requests that change something (/api/reload, /api/store/purge/…), too. Off: such actions are "
        "POST only, so that no link and no prefetching browser can start one.",
    )
    audit_keep: int = setting(
        kinds.duration(86400, 100 * 365 * 86400), 365 * 86400, "For how long an entry of the audit log is kept."
    )
