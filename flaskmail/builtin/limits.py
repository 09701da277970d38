"""How many requests are answered, by ``rate-limit``."""

from __future__ import annotations

from typing import Any

from flaskmail.hookspecs import RateDecision, hookimpl


@hookimpl(trylast=True)
def rate_limit(policy: Any, request: Any, principal: Any) -> RateDecision:
    """Counts for the account, or for the address where there is none."""
    decision: RateDecision = policy.spend(request.environ, principal)
    return decision
