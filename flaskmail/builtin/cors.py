"""Which pages may read, by ``permissive-cors`` and ``cors-origins``."""

from __future__ import annotations

from typing import Any

from flaskmail.hookspecs import CorsDecision, hookimpl


@hookimpl(trylast=True)
def cors_decision(policy: Any, origin: str) -> CorsDecision:
    """Whether the settings allow the origin."""
    return CorsDecision(policy.cors.allows(origin))
