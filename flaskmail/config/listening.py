"""The settings of listeners: where the server listens, and what it serves there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaskmail.config import kinds
from flaskmail.config.declaring import setting

GROUPS: Mapping[str, tuple[str, ...]] = {
    "jmap": ("/jmap",),
    "api": ("/api",),
    "oauth": ("/", "/auth", "/login", "/logout", "/authorize", "/consent", "/device", "/account", "/assets"),
    "admin": ("/admin", "/assets"),
    "discovery": ("/.well-known", "/mail/config-v1.1.xml", "/robots.txt"),
    "health": ("/healthz",),
    "metrics": ("/metrics",),
    "plugins": ("/",),
}
"""What a listener may serve: the name of a group, and the paths (with all below them, but for "/") that belong to it; what
belongs to no other is of "plugins". A path of two groups is served where one of them is."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS on the listeners. Without it the server speaks plain HTTP: for the loopback interface, or behind a proxy. A renewed
    certificate is used from the next connection on."""

    certificate: Path | None = setting(
        kinds.optional(kinds.FILE),
        None,
        "PEM file with the certificate and its chain.",
        example='"/etc/flaskmail/cert.pem"',
        live=False,
    )
    private_key: Path | None = setting(
        kinds.optional(kinds.FILE),
        None,
        "PEM file with the private key of the certificate, without a passphrase.",
        example='"/etc/flaskmail/key.pem"',
        secret=True,
        live=False,
    )


@dataclass(frozen=True, slots=True)
class ListenerProxy:
    """The PROXY protocol (versions 1 and 2) of load balancers that pass connections on, like HAProxy in TCP mode."""

    trusted_networks: tuple[str, ...] = setting(
        kinds.TEXTS,
        (),
        "Peers that begin each connection with a PROXY header: networks, addresses, the names loopback, private and unix, or "
        "names that plugins bring. From them the header is required, from all others it is refused. Not together with "
        "server.http.use-x-forwarded.",
        example='["10.1.2.0/24"]',
        live=False,
    )


@dataclass(frozen=True, slots=True)
class ListenerAuth:
    """Which credentials are taken on this listener."""

    basic: bool | None = setting(
        kinds.optional(kinds.BOOLEAN),
        None,
        "Whether a name and password (HTTP Basic) are accepted here; as authentication.basic, where it is left out. Tokens are "
        "accepted everywhere.",
        example="false",
        live=False,
    )


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener, by an id of your choice; instead of server.bind and [server.tls], which stand for one named default. All
    listeners of a process have the same TLS and PROXY protocol."""

    bind: tuple[str, ...] = setting(
        kinds.BIND,
        (),
        'Where to listen: "host:port", "[ipv6]:port" or "unix:/path", or a list of them. Required.',
        example='["127.0.0.1:8080", "unix:/run/flaskmail/http.sock"]',
        reloadable=False,
    )
    protocol: str = setting(kinds.choice("http"), "http", "What is spoken there.", reloadable=False)
    routes: tuple[str, ...] = setting(
        kinds.choices(*GROUPS),
        tuple(GROUPS),
        "What is served there; anything else is answered 404. jmap: /jmap/; api: /api/; oauth: signing in, with its pages, "
        "/auth/, /login, /authorize, /device, /account and so on, and /, which leads to them; admin: /admin/; discovery: "
        "/.well-known/, /robots.txt and what mail programs look for; health: /healthz/; metrics: /metrics; plugins: every other "
        "path, and / where a plugin has it.",
        example='["jmap", "discovery"]',
        live=False,
    )
    tls: Tls = Tls()
    proxy: ListenerProxy = ListenerProxy()
    auth: ListenerAuth = ListenerAuth()


Mistake = tuple[str, str, str]
"""What is wrong: the dotted key, what was found, what was expected."""


def mistakes(listeners: Mapping[str, Listener], shorthand: tuple[str, ...], use_x_forwarded: bool) -> Iterator[Mistake]:
    """What is wrong between listeners that are each right by themselves.

    listeners: those of the file, by id. shorthand: the keys of ``server.bind`` and ``[server.tls]`` that stand in the file
    too. use_x_forwarded: the setting."""
    prefix = "server.listener."
    taken: dict[str, str] = {}
    for number, (name, one) in enumerate(listeners.items()):
        if number == 0 and shorthand:
            for key in shorthand:
                where = f"[{prefix}{name}]" if key == "server.bind" else f"[{prefix}{name}.tls]"
                yield key, f"a value beside [{prefix}{name}]", f"one of the two: drop {key}, and say it in {where}"
        for address in one.bind:
            if address in taken:
                yield f"{prefix}{name}.bind", address, f"an address that {prefix}{taken[address]} does not have"
            taken.setdefault(address, name)
        if use_x_forwarded and one.proxy.trusted_networks:
            key = f"{prefix}{name}.proxy.trusted-networks"
            yield (
                key,
                "the PROXY protocol together with server.http.use-x-forwarded",
                "one of the two: drop one of them",
            )
    yield from _mixture(listeners, prefix)


def _mixture(listeners: Mapping[str, Listener], prefix: str) -> Iterator[Mistake]:
    kinds_of: dict[Any, list[str]] = {}
    for name, one in listeners.items():
        networks = frozenset(one.proxy.trusted_networks)
        kinds_of.setdefault((one.tls.certificate, one.tls.private_key, networks), []).append(name)
    # Those that are fewer go; of equally many, those that stand later.
    groups = sorted(kinds_of.items(), key=lambda item: -len(item[1]))
    for number, (kind, names) in enumerate(groups):
        if number == 0:
            (kept, *_), (certificate, key, networks) = names, kind
            continue
        for name in names:
            differs = "tls" if (kind[0], kind[1]) != (certificate, key) else "proxy.trusted-networks"
            what = "TLS" if differs == "tls" else "PROXY protocol"
            yield (
                f"{prefix}{name}.{differs}",
                f"another {what} than in {prefix}{kept}",
                "the same for all listeners of a process: move this one into the configuration of a second process",
            )
