"""The public base URL: the check of what the setting ``url`` says."""

from __future__ import annotations

import re

from flaskmail.decisions.addresses import read_authority

_URL = re.compile(r"(https?)://([^/?#@\\\s]*)((?:/[A-Za-z0-9._~-]+)*)/?", re.ASCII | re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def read_base_url(text: str) -> str:
    """The URL as it is used: scheme and host in lower case, without a default port and without a slash at its end.

    ValueError, with a sentence, when it is no http(s) URL of a host, perhaps with a port and a path."""
    if "@" in text:
        raise ValueError("a URL without a user name or password, like 'https://mail.example.org'")
    if "?" in text or "#" in text:
        raise ValueError("a URL without a query or fragment, like 'https://mail.example.org/jmap-server'")
    match = _URL.fullmatch(text)
    expected = "a base URL: http or https, a host, perhaps a port and a path, like 'https://mail.example.org'"
    if match is None or {".", ".."} & set(match[3].split("/")):
        raise ValueError(expected)
    try:
        host, port = read_authority(match[2])
    except ValueError:
        raise ValueError(expected) from None
    scheme = match[1].lower()
    shown = "" if port is None or port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{shown}{match[3]}"
