"""What happens in the server, told to the log beside the plugins."""

from __future__ import annotations

import logging
from collections.abc import Mapping

log = logging.getLogger("flaskmail.events")

SENTENCES: Mapping[str, str] = {
    "server.started": "A process of the server has begun to work",
    "settings.changed": "Changed settings are in force",
    "authentication.failed": "Somebody was not let in",
    "account.created": "An account was made",
    "account.changed": "An account was changed",
    "account.deleted": "An account was deleted",
}
"""The sentences for events; another event is told by its name."""


def is_wanted() -> bool:
    """Whether the log takes what happens."""
    return log.isEnabledFor(logging.INFO)


def happened(event: str, data: Mapping[str, object]) -> None:
    """Tells the log of an event. data: JSON values, never a secret."""
    log.info("%s", SENTENCES.get(event, event), extra={"event_id": event, "details": data})
