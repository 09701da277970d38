"""What may be reached, by ``allowed-endpoint``."""

from __future__ import annotations

from typing import Any

from flaskmail.decisions.access import ALLOWED
from flaskmail.hookspecs import Client, Refusal, hookimpl

DETAIL = "This server does not answer this request."


@hookimpl(trylast=True)
def refuse_request(policy: Any, request: Any, client: Client) -> Refusal | None:
    """The status of the setting; a client that is proven to be on this machine always passes."""
    if policy.access is None or client.local:
        return None
    status = policy.access.status(request.environ, client)
    return None if status == ALLOWED else Refusal(status, DETAIL)
