"""What the pages for people decide: where they may lead, which forms they take, what their headers allow."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")
LONGEST_PATH = 8190
"""Characters of a path to come back to: the most that ``server.limit-request-line`` can let in."""


def local_path(text: str | None) -> str | None:
    """A path of this server, with its query, to go to after signing in; None for whatever else somebody put there.

    It begins with one slash, which no second one and no backslash follows (either would begin a host for a browser), and holds
    visible ASCII only: browsers drop tabs and line breaks, and take a backslash for a slash."""
    if text is None or len(text) > LONGEST_PATH or not _LOCAL.fullmatch(text):
        return None
    # Segments of dots are taken out before the browser looks at what is left.
    path = re.split(r"[?#]", text)[0]
    return None if "//" in path or "/." in path else text


_HTTP_SOURCE = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def form_source(redirect_uri: str) -> str | None:
    """What ``form-action`` must name so that a form may end in a redirect there: browsers hold every redirect after a form
    against it (CSP 3 section 6.4.2). None for what can not be said."""
    parts = urlsplit(redirect_uri)
    scheme = parts.scheme.lower()
    if not _SCHEME.fullmatch(scheme):
        return None
    if scheme not in ("http", "https"):
        return f"{scheme}:"
    source = f"{scheme}://{parts.netloc.lower()}"
    # The grammar of sources has no place for IPv6 addresses.
    return source if _HTTP_SOURCE.fullmatch(source) else f"{scheme}:"


def content_security_policy(form_actions: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of a page. form_actions: sources beside the server itself."""
    actions = " ".join(["'self'", *form_actions])
    return f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {actions}; frame-ancestors 'none'; base-uri 'none'"


def form_token(value: str) -> str:
    """The token that proves that a form comes from a page of ours. value: of the browser's cookie, from which it follows and
    which it does not tell."""
    return urlsafe_b64encode(hashlib.sha256(b"form\0" + value.encode()).digest()).decode().rstrip("=")


def cross_site(site: str | None, origin: str | None, own: Iterable[str]) -> str:
    """Why a form was sent by a page of another site, as far as the browser says so; "" when nothing speaks for that.

    site: the request's Sec-Fetch-Site; origin: its Origin; None when not sent. own: the origins that are this server's."""
    # W3C Fetch Metadata section 2.3; a form of ours is always sent from a page of ours.
    if site is not None and site != "same-origin":
        return "The form was sent from a page of another site."
    # Our pages send no referrer, and so a form's Origin is "null" (Fetch, "append a request Origin header").
    if origin is not None and origin != "null" and origin.lower() not in own:
        return "The form was sent from a page of another origin."
    return ""


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """What a User-Agent says, for people: "Firefox on Linux"; as far as it is known."""
    browser = next((name for token, name in _BROWSERS if token in agent), "")
    system = next((name for token, name in _SYSTEMS if token in agent), "")
    return " on ".join(filter(None, (browser or "A browser", system)))
