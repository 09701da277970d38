"""The sockets at which this process listens: which listener accepted a request, and what that listener serves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flaskmail.config.listening import GROUPS, Listener
from flaskmail.config.loading import CHECKS
from flaskmail.config.settings import Settings
from flaskmail.decisions.addresses import NAMED, Networks, read_networks, read_peer
from flaskmail.errors import Problem

Address = str | tuple[Any, ...]
"""A listening socket's ``getsockname()``: the path of a Unix socket, or (host, port, …)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request was accepted. listener: its id, "default" when nobody has said. ip, port: of the accepting socket; None
    for a Unix socket, and under servers that do not tell."""

    listener: str
    ip: str | None
    port: int | None


PLACE = "flaskmail.place"
"""Key of the WSGI environ: the Place, for a request that was not accepted at all."""

_ids: dict[tuple[str, int | None], str] = {}
_served: Mapping[str, frozenset[str]] = {}
_anywhere = frozenset(GROUPS)
_without_passwords: frozenset[str] = frozenset()


def opened(sockets: Iterable[tuple[Address, str]], listeners: Mapping[str, Listener]) -> None:
    """Says at which sockets this process listens, each with the id of its listener, and what the listeners are; replaces what
    was said before. Processes that are forked from this one know it too."""
    _ids.clear()
    for address, name in sockets:
        _ids[_key(address)] = name
    serve(listeners)


def serve(listeners: Mapping[str, Listener]) -> None:
    """Says what the listeners serve and take, and replaces what was said before, for all requests at once."""
    global _served, _anywhere, _without_passwords
    # A listener that serves everything is not looked up.
    _served = {name: frozenset(one.routes) for name, one in listeners.items() if not set(GROUPS) <= set(one.routes)}
    _anywhere = frozenset(group for one in listeners.values() for group in one.routes) or frozenset(GROUPS)
    _without_passwords = frozenset(name for name, listener in listeners.items() if listener.auth.basic is False)
    _place.cache_clear()


def listening() -> Collection[tuple[str, int | None]]:
    """Where this process listens: (IP address, port), or (path, None) for a Unix socket. Empty when nobody has said."""
    return _ids.keys()


def assign(listeners: Mapping[str, Listener], binds: Sequence[str], addresses: Sequence[Address]) -> dict[Address, str]:
    """Which listener each open socket belongs to. binds: the addresses that were asked for, as settings write them;
    addresses: of the sockets, in the same order. ValueError when that cannot be said."""
    wanted = [(bind, name) for name, listener in listeners.items() for bind in listener.bind]
    if len(listeners) == 1:
        return dict.fromkeys(addresses, next(iter(listeners)))
    if [bind for bind, _ in wanted] != list(binds) or len(addresses) != len(wanted):
        raise ValueError(
            "gunicorn listens elsewhere than server.listener says: do not give it -b when there are several"
        )
    return {address: name for address, (_, name) in zip(addresses, wanted, strict=True)}


def place(environ: Mapping[str, Any]) -> Place:
    """Where a request was accepted; environ: of WSGI, with a Place under PLACE where it is known already."""
    if PLACE in environ:
        known: Place = environ[PLACE]
        return known
    socket = environ.get("gunicorn.socket")
    if socket is not None:
        try:
            address = socket.getsockname()
        except OSError:
            # The connection is gone already.
            address = None
        if address:
            return _place(address if isinstance(address, str) else address[:2])
    port = str(environ.get("SERVER_PORT") or "")
    return _place(("", int(port) if port.isdigit() and port.isascii() and len(port) <= 5 else None))


def serves(environ: Mapping[str, Any], path: str | None = None) -> bool:
    """Whether the listener that accepted a request serves a path; None for that of the request."""
    if not _served:
        return True
    served = _served.get(place(environ).listener)
    if path is None:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return served is None or not served.isdisjoint(groups_of(path))


def served_anywhere(path: str) -> bool:
    """Whether any listener of this process serves a path."""
    return not _anywhere.isdisjoint(groups_of(path))


def groups_of(path: str) -> list[str]:
    """The groups that a path belongs to."""
    found = [
        group
        for group, prefixes in GROUPS.items()
        if any(path == prefix or (path.startswith(f"{prefix}/") and prefix != "/") for prefix in prefixes)
    ]
    return found or ["plugins"]


def takes_passwords(environ: Mapping[str, Any]) -> bool:
    """Whether the listener that accepted a request takes a name and password, where the server does."""
    return not _without_passwords or place(environ).listener not in _without_passwords


def balancers(listeners: Mapping[str, Listener], named: Mapping[str, Networks] = NAMED) -> Networks | None:
    """The peers whose connections begin with a PROXY header; None for nobody. named: the names for networks. The loader has seen
    to it that all listeners say the same."""
    found = Networks()
    for listener in listeners.values():
        found |= read_networks(listener.proxy.trusted_networks, named)[0]
    return None if found == Networks() else found


def unknown_balancers(listeners: Mapping[str, Listener], named: Mapping[str, Networks]) -> Iterator[Problem]:
    """What is wrong with the networks of balancers. listeners: those of the file; named: as for ``balancers``."""
    for name, listener in listeners.items():
        networks = listener.proxy.trusted_networks
        wrong = read_networks(networks, named)[1]
        # A balancer that is not known as one could not be heard at all.
        empty = [(index, text) for index, text in enumerate(networks) if named.get(text) == Networks()]
        key = f"server.listener.{name}.proxy.trusted-networks"
        for index, mistake in wrong:
            yield Problem("settings", f"{key}[{index}]", mistake.found, mistake.expected, mistake.hint)
        for index, text in empty:
            yield Problem("settings", f"{key}[{index}]", text, "a name of which a network is known")


def check(settings: Settings) -> Iterator[Problem]:
    """What is wrong with the credentials that listeners take, and with their certificates; the loader of the settings asks."""
    for name, listener in settings.server.listener.items():
        if listener.auth.basic and not settings.authentication.basic:
            key = f"server.listener.{name}.auth.basic"
            yield Problem("settings", key, "true", "authentication.basic = true, with false for the other listeners")
    # The loader has seen to it that it is the same pair for all.
    for name, listener in settings.server.listeners().items():
        tls = listener.tls
        if tls.certificate is not None and tls.private_key is not None:
            prefix = f"server.listener.{name}.tls." if name in settings.server.listener else "server.tls."
            yield from _unfit(tls.certificate, tls.private_key, prefix)
            return


def _unfit(certificate: Path, key: Path, prefix: str) -> Iterator[Problem]:
    """What makes two files no pair for TLS: without a look at them now, each connection would fail."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # With a passphrase, so that OpenSSL asks nobody at the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if b"-----BEGIN CERTIFICATE-----" not in certificate.read_bytes():
            yield Problem("settings", f"{prefix}certificate", "a file without a certificate", "a certificate in PEM")
        else:
            other = error.reason == "KEY_VALUES_MISMATCH"
            found = "the key of another certificate" if other else "no key that can be used"
            yield Problem(
                "settings", f"{prefix}private-key", found, "the key of the certificate, in PEM, without a passphrase"
            )
    except OSError as error:
        yield Problem("settings", f"{prefix}certificate", error.strerror or "an error", "files that can be read")


CHECKS.append(check)


@lru_cache(maxsize=1024)
def _place(address: Address) -> Place:
    ip, port = _key(address)
    if isinstance(address, str):
        return Place(_ids.get((address, None), _only()), None, None)
    # A socket for all addresses accepts with the one that the client asked for.
    found = next((_ids[key] for key in ((ip, port), ("0.0.0.0", port), ("::", port)) if key in _ids), None)
    return Place(found or _only(), ip or None, port)


def _only() -> str:
    names = set(_ids.values())
    return names.pop() if len(names) == 1 else "default"


def _key(address: Address) -> tuple[str, int | None]:
    if isinstance(address, str):
        return address, None
    ip = read_peer(str(address[0]))
    return str(address[0]) if ip is None else str(ip), address[1]
