"""What becomes of a request that came over plain HTTP where HTTPS is expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from flaskmail.decisions.client import Client
from flaskmail.decisions.cors import is_below

HEALTH = ("/healthz/live", "/healthz/ready")
"""What a supervisor asks: never redirected, never limited."""
OAUTH = "/auth"
"""Where clients of the authorization server send codes, tokens and secrets of their own."""
EXEMPT_BELOW = "/.well-known/acme-challenge/"
"""RFC 8555 section 8.3: a certificate is proven over plain HTTP."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

BURNT = (
    "These credentials came over a connection without encryption, where anybody on the way could read them. Take them for "
    "stolen: change the password or revoke the token, and use the https address."
)


def is_exempt(path: str) -> bool:
    """Whether a path is served over plain HTTP all the same."""
    return path in HEALTH or path.startswith(EXEMPT_BELOW)


def stays(client: Client, path: str) -> str:
    """Why a request stays where it is although plain HTTP is redirected; "" when it does not."""
    if client.scheme != "http":
        return "the client came over https"
    if is_exempt(path):
        return "health checks and ACME challenges are served over plain HTTP too"
    if client.forwarded and not client.told:
        # It would be redirected for ever.
        return "the proxy does not say which protocol its client used"
    return ""


def carries_credentials(environ: Mapping[str, object], pages: Iterable[str] = ()) -> bool:
    """Whether the request of this WSGI environ carries a password or token. RFC 6750 section 2.3 puts one into the query; forms
    that are sent to sign-in pages and OAuth endpoints hold them. pages: paths of the former."""
    query = str(environ.get("QUERY_STRING") or "")
    if "HTTP_AUTHORIZATION" in environ or re.search(r"(?:^|&)access_token=", query) is not None:
        return True
    kind = str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    return kind in _FORMS and is_below(str(environ.get("PATH_INFO") or ""), (*pages, OAUTH))


def location(base: str, path: str, query: str) -> str:
    """The address to go to. base: the public URL; path, query: as in a WSGI environ (Latin-1 of octets)."""
    # "OPTIONS *" has no path; what follows the host must never be taken for a part of it.
    path = path if path.startswith("/") else f"/{path.removeprefix('*')}"
    there = base + quote(path.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._")
    if query:
        there += "?" + quote(query.encode("latin-1", "replace"), safe="/?:@!$&'()*+,;=~-._%[]")
    return there
