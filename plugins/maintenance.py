"""Answers 503 while a file is there; its first line tells clients why.

    [plugins.maintenance]
    file = "/etc/flaskmail/maintenance"
    retry-after = 600                       # seconds
    allow = ["10.1.0.0/16", "127.0.0.1"]    # clients that are let in

Health checks are answered as ever.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from flaskmail.hookspecs import Client, PolicyFacts, Refusal, hookimpl

HEALTH = ("/healthz/live", "/healthz/ready")
NOTHING = "The server is being worked on. Try again later."


@hookimpl
def startup(server: Any) -> None:
    """Finds mistakes in the settings before a request does."""
    options = server.settings.plugins.options.get("maintenance", {})
    unknown = options.keys() - {"file", "retry-after", "allow"}
    if unknown:
        raise ValueError(f"plugins.maintenance has no key {min(unknown)}")
    for network in options.get("allow", ()):
        ipaddress.ip_network(network)
    if not isinstance(options.get("file", ""), str) or type(options.get("retry-after", 0)) is not int:
        raise ValueError("plugins.maintenance: file is a path, retry-after a number of seconds")


@hookimpl
def refuse_request(policy: PolicyFacts, request: Any, client: Client) -> Refusal | None:
    """Looks for the file; without one nothing is refused."""
    options = policy.options.get("maintenance", {})
    flag = policy.folder / options.get("file", "maintenance")
    try:
        with flag.open(encoding="utf-8", errors="replace") as file:
            told = file.readline(1000).strip()
    except FileNotFoundError:
        return None
    if request.path in HEALTH or (client.address and _is_allowed(client.address, options.get("allow", ()))):
        return None
    return Refusal(503, told or NOTHING, (("Retry-After", str(options.get("retry-after", 300))),))


def _is_allowed(address: str, networks: list[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)
