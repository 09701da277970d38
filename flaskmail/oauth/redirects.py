"""Redirection URIs: which may be registered, which is meant, and how a response is added (RFC 6749, 8252, 9700)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

MAX_URI = 2000

_TEXT = re.compile(r"[\x21-\x7E]+")
_UNSAFE = re.compile(r"[\\<>\"{}|^`#]|%(?![0-9A-Fa-f]{2})")
# RFC 8252 section 7.1: a scheme of one's own is a reversed domain name, so it has a dot. javascript, data and file have none.
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([1-9][0-9]{0,4}))?((?:[/?].*)?)", re.DOTALL)


def mistake(uri: str, native: bool) -> str | None:
    """What is wrong with a redirection URI that somebody wants to register; None for nothing. native: for an application on the
    user's device (``application_type``)."""
    if not 0 < len(uri) <= MAX_URI or not _TEXT.fullmatch(uri):
        return f"a redirect URI is 1 to {MAX_URI} printable ASCII characters"
    # RFC 6749 section 3.1.2: no fragment.
    if _UNSAFE.search(uri):
        return "a redirect URI has no fragment, and no characters that a URI cannot hold"
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "a redirect URI is an absolute URI"
    scheme = uri.partition(":")[0]
    if scheme in ("http", "https"):
        if not uri.startswith(f"{scheme}://") or not parts.hostname or parts.netloc.endswith(":") or port == 0:
            return f"{scheme} needs two slashes and a host"
        if "@" in parts.netloc:
            return "a redirect URI has no user name or password"
        if not _is_host(parts.netloc):
            return "the host of a redirect URI is a name or an address"
        if scheme == "http" and not _LOOPBACK.fullmatch(uri):
            return "a redirect URI is https, but for http on 127.0.0.1, [::1] or localhost"
        if scheme == "http" and not native:
            return "http on the loopback interface is for an application_type of native"
        return None
    if not _OWN_SCHEME.fullmatch(scheme):
        return "a redirect URI is https, http on the loopback interface, or has a scheme like com.example.app"
    if not native:
        return "a scheme of its own is for an application_type of native"
    return None


def _is_host(netloc: str) -> bool:
    if netloc.startswith("["):
        inside, bracket, _ = netloc[1:].partition("]")
        try:
            return bool(bracket and ipaddress.IPv6Address(inside))
        except ValueError:
            return False
    return bool(_HOST.fullmatch(netloc.partition(":")[0]))


class _Loopback(NamedTuple):
    host: str
    rest: str


def _loopback(uri: str) -> _Loopback | None:
    found = _LOOPBACK.fullmatch(uri)
    if found is None or (found[2] is not None and int(found[2]) > 65535):
        return None
    return _Loopback(found[1], found[3])


def is_registered(uri: str, registered: Iterable[str], native: bool) -> bool:
    """Whether this very URI was registered; for native applications the port of a loopback URI is free."""
    every = tuple(registered)
    # RFC 9700 section 2.1: simple string comparison.
    if uri in every:
        return True
    if not native:
        return False
    # RFC 8252 section 7.3: any port at the time of the request.
    asked = _loopback(uri)
    return asked is not None and any(asked == _loopback(one) for one in every)


def with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    """The URI with more in its query (RFC 6749 section 4.1.2); what it has already stays as it stands."""
    added = urlencode(parameters, quote_via=quote, safe="")
    if "?" not in uri:
        return f"{uri}?{added}"
    return uri + added if uri.endswith(("?", "&")) else f"{uri}&{added}"


def is_loopback_url(url: str) -> bool:
    """Whether a base URL leads to this machine only."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
