"""What the doctor says: each finding in plain words, why it matters, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["wrong", "note", "right"]

PAGE = "docs/behind-a-proxy.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """code: a stable name. level: "wrong", "note" (worth knowing) or "right". seen, why, fix: sentences; the last two are empty
    for what is right."""

    code: str
    level: Level
    seen: str
    why: str = ""
    fix: str = ""


RECIPES: Mapping[str, Mapping[str, str]] = {
    "X-Forwarded-For": {
        "nginx": "proxy_set_header X-Forwarded-For $remote_addr;",
        "HAProxy": "http-request set-header X-Forwarded-For %[src]",
    },
    "X-Forwarded-Proto": {
        "nginx": "proxy_set_header X-Forwarded-Proto $scheme;",
        "HAProxy": "http-request set-header X-Forwarded-Proto https",
    },
    "X-Forwarded-Host": {
        "nginx": 'proxy_set_header X-Forwarded-Host "";',
        "HAProxy": "http-request del-header X-Forwarded-Host",
    },
    "Forwarded": {
        "nginx": 'proxy_set_header Forwarded "";',
        "Caddy": "header_up -Forwarded",
        "HAProxy": "http-request del-header Forwarded",
    },
}
"""The lines of our recipes that set or remove a header."""


def recipe(header: str) -> str:
    """A sentence with the lines for the usual proxies."""
    lines = ", ".join(f"{proxy} `{line}`" for proxy, line in RECIPES[header].items())
    return f"In the proxy's configuration ({PAGE}): {lines}"


CERTIFICATE: Mapping[int, tuple[str, str]] = {
    9: ("certificate-not-yet-valid", "Set the clocks of both machines right, or wait until it holds."),
    10: ("certificate-expired", "Renew the certificate, and see to it that it is renewed by itself before it ends."),
    62: ("certificate-name", "Get a certificate for this name, or ask by the name that the certificate has."),
    64: ("certificate-name", "Get a certificate for this address, or ask by the name that the certificate has."),
}
"""OpenSSL's numbers of what can be wrong with a certificate: code and remedy; every other is one of trust."""
UNTRUSTED = (
    "certificate-untrusted",
    "Use a certificate of an authority that clients know, and send its intermediate certificates along (the full chain). For an "
    "authority of your own, name its certificate in the environment variable SSL_CERT_FILE.",
)

UNREACHABLE: Mapping[str, tuple[str, str]] = {
    "name": (
        "The name does not lead to any address",
        "Make a DNS entry (A, AAAA) for it, or test before that with --connect HOST:PORT.",
    ),
    "refused": (
        "Nobody listens there",
        "Start the proxy or the server, and compare the port of the URL with the one that it listens at (server.bind, "
        "server.listener.<id>.bind).",
    ),
    "timeout": (
        "Nobody answers there",
        "See whether a firewall drops the connections, and whether the proxy can reach the server.",
    ),
    "network": ("The network cannot reach it", "See whether the address that the name leads to is right."),
    "tls": (
        "The port answers, but not with TLS as a client understands it",
        "Compare scheme and port of the URL with what the proxy or server listens at: https needs a port with a certificate.",
    ),
    "http": (
        "The port answers, but not with HTTP",
        "Compare scheme and port of the URL with what the proxy or server listens at: http does not work on a port with TLS.",
    ),
}
"""Kinds of failure: what is seen, and what to do."""
