"""Each tenant's pages may read what lies below the tenant's own paths, and nothing else.

    [plugins.cors_by_tenant.acme]
    origins = ["https://mail.acme.example"]
    paths = ["/acme"]

    [plugins.cors_by_tenant.everybody]
    origins = ["https://status.example.org"]
    paths = ["/"]

Without the plugin's opinion, for paths of no tenant, ``permissive-cors`` and ``cors-origins`` decide.
"""

from __future__ import annotations

from typing import Any

from flaskmail.hookspecs import CorsDecision, PolicyFacts, hookimpl


@hookimpl
def startup(server: Any) -> None:
    """Finds mistakes in the table before a request does."""
    for name, tenant in server.settings.plugins.options.get("cors_by_tenant", {}).items():
        for key in ("origins", "paths"):
            if not isinstance(tenant, dict) or not isinstance(tenant.get(key), list):
                raise ValueError(f"plugins.cors_by_tenant.{name} needs a list of {key}")


@hookimpl
def cors_decision(policy: PolicyFacts, origin: str, request: Any) -> CorsDecision | None:
    """Whether the origin is one of a tenant's to whom the path belongs."""
    tenants = policy.options.get("cors_by_tenant", {}).values()
    concerned = [tenant for tenant in tenants if _is_below(request.path, tenant["paths"])]
    return CorsDecision(any(origin in tenant["origins"] for tenant in concerned)) if concerned else None


def _is_below(path: str, prefixes: list[str]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes)
