"""Our own policies as plugins. They are asked last, so whoever answers before them takes their place.

Where nobody else implements a hook, the same decisions are reached without asking it: see :func:`flaskmail.plugins.ask`.
"""

from flaskmail.builtin import access, cors, credentials, limits, proxies

PLUGINS: tuple[tuple[str, object], ...] = (
    ("proxies", proxies),
    ("access", access),
    ("limits", limits),
    ("cors", cors),
    ("credentials", credentials),
)
"""(name, plugin) in load order."""

__all__ = ["PLUGINS"]
