"""The HTTP policy: who the client is, where the server is, which headers leave. One class for any Flask application.

::

    from flaskmail.policy import HttpPolicy

    HttpPolicy(app, {"use-x-forwarded": True, "hsts": True, "cors-origins": ["https://app.example"]})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flaskmail.policy.adapter import HttpPolicy

__all__ = ["HttpPolicy"]


def __getattr__(name: str) -> Any:
    # The checks of the settings are wanted by commands that never serve, and Flask takes long to import.
    if name == "HttpPolicy":
        from flaskmail.policy.adapter import HttpPolicy

        return HttpPolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
