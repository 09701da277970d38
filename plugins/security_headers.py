"""Headers that browsers obey, and a Content-Security-Policy with a nonce for pages.

    [plugins.security_headers]
    policy = "default-src 'self'; script-src 'nonce-{nonce}'; frame-ancestors 'none'"

A page writes the nonce into its own scripts: ``<script nonce="{{ request.environ['flaskmail.csp-nonce'] }}">``. Each response has
another one. What a download says to protect itself stays.
"""

from __future__ import annotations

import secrets
from typing import Any

from flaskmail.hookspecs import Header, Leaving, PolicyFacts, hookimpl

KEY = "flaskmail.csp-nonce"
PAGES = "default-src 'self'; script-src 'nonce-{nonce}'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
OTHERS = "default-src 'none'; frame-ancestors 'none'"
ALWAYS: list[Header] = [
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
]


@hookimpl
def startup(server: Any) -> None:
    """Finds a policy that could not be sent before a page lacks it."""
    text = server.settings.plugins.options.get("security_headers", {}).get("policy", PAGES)
    if not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise ValueError("plugins.security_headers.policy is no text on one line")


@hookimpl(tryfirst=True)
def refuse_request(request: Any) -> None:
    """Refuses nothing, but makes the nonce before a page is made."""
    request.environ[KEY] = secrets.token_urlsafe(16)


@hookimpl
def response_headers(policy: PolicyFacts, request: Any, response: Leaving) -> list[Header]:
    """The policy for pages with this request's nonce, the strictest for everything else."""
    text = OTHERS
    if (response.get("Content-Type") or "").startswith("text/html"):
        text = policy.options.get("security_headers", {}).get("policy", PAGES)
        text = text.replace("{nonce}", request.environ.get(KEY) or secrets.token_urlsafe(16))
    return [("Content-Security-Policy", text), *ALWAYS]
