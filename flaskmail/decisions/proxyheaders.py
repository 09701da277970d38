"""The headers in which proxies, and who pretends to be one, name clients, schemes, hosts and paths."""

from __future__ import annotations

from collections.abc import Iterable

FORWARDING = frozenset(
    f"HTTP_{name}"
    for name in [
        "FORWARDED",
        "X_FORWARDED",
        "X_FORWARDED_FOR",
        "X_FORWARDED_PROTO",
        "X_FORWARDED_HOST",
        "X_FORWARDED_PORT",
        "X_FORWARDED_PREFIX",
        "X_FORWARDED_SERVER",
        "X_FORWARDED_SSL",
        "X_FORWARDED_PROTOCOL",
        "X_FORWARDED_SCHEME",
        "X_FORWARDED_BY",
        "X_FORWARDED_URI",
        "X_FORWARDED_PATH",
        "X_FORWARDED_METHOD",
        "X_ORIGINAL_FORWARDED_FOR",
        "X_ORIGINAL_HOST",
        "X_ORIGINAL_URL",
        "X_REWRITE_URL",
        "X_HOST",
        "FORWARDED_FOR",
        "X_REAL_IP",
        "X_REAL_PORT",
        "X_CLIENT_IP",
        "CLIENT_IP",
        "X_CLUSTER_CLIENT_IP",
        "TRUE_CLIENT_IP",
        "CF_CONNECTING_IP",
        "CF_VISITOR",
        "FASTLY_CLIENT_IP",
        "FLY_CLIENT_IP",
        "X_REMOTE_IP",
        "X_REMOTE_ADDR",
        "X_ORIGINATING_IP",
        "X_AZURE_CLIENTIP",
        "X_APPENGINE_USER_IP",
        "CLOUDFRONT_FORWARDED_PROTO",
        "CLOUDFRONT_VIEWER_ADDRESS",
        "FRONT_END_HTTPS",
        "X_URL_SCHEME",
        "X_SCHEME",
        "SCRIPT_NAME",
        "PATH_INFO",
    ]
)
"""Their keys in a WSGI environ. Always removed."""


def are_forwarding(names: Iterable[str]) -> bool:
    """Whether any of these names of header fields is one of them."""
    return any("HTTP_" + name.upper().replace("-", "_") in FORWARDING for name in names)
