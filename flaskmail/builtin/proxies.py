"""Who the client is, by ``use-x-forwarded`` and ``trusted-proxies``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flaskmail.decisions.proxyheaders import are_forwarding
from flaskmail.hookspecs import Client, hookimpl

CLAIMS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")


@hookimpl(trylast=True)
def client_address(policy: Any, peer: str, scheme: str, headers: Mapping[str, str]) -> Client:
    """The decision of :func:`flaskmail.decisions.client.decide_client`. BadForwarded becomes 400."""
    claims = [headers.get(name) for name in CLAIMS]
    client: Client = policy.client(peer, scheme, *claims, proxied=are_forwarding(headers))
    return client
