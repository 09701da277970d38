"""The sockets at which this process listens: which listener accepted a request, and what that listener serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
_refused: dict[str, tuple[str, ...]] = {}


def opened(sockets: Iterable[tuple[Address, str]], listeners: Mapping[str, Listener]) -> None:
    """Says at which sockets this process listens, each with the id of its listener, and what the listeners are; replaces what
    was said before. Processes that are forked from this one know it too."""
    _ids.clear()
    for address, name in sockets:
        _ids[_key(address)] = name
    serve(listeners)


def serve(listeners: Mapping[str, Listener]) -> None:
    """Says what the listeners serve, and replaces what was said before."""
    _refused.clear()
    for name, listener in listeners.items():
        refused = tuple(path for group, paths in GROUPS.items() if group not in listener.routes for path in paths)
        if refused:
            _refused[name] = refused
    _place.cache_clear()


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


def serves(environ: Mapping[str, Any]) -> bool:
    """Whether the listener that accepted a request serves its path."""
    if not _refused:
        return True
    refused = _refused.get(place(environ).listener, ())
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return not any(path == prefix or path.startswith(f"{prefix}/") for prefix in refused)


def balancers(listeners: Mapping[str, Listener]) -> Networks | None:
    """The peers whose connections begin with a PROXY header; None for nobody. The loader has seen to it that all listeners
    say the same."""
    found = Networks()
    for listener in listeners.values():
        found |= read_networks(listener.proxy.trusted_networks, NAMED)[0]
    return None if found == Networks() else found


def check(settings: Settings) -> Iterator[Problem]:
    """What is wrong with the networks of listeners; the loader of the settings asks."""
    for name, listener in settings.server.listener.items():
        for index, mistake in read_networks(listener.proxy.trusted_networks, NAMED)[1]:
            key = f"server.listener.{name}.proxy.trusted-networks[{index}]"
            yield Problem("settings", key, mistake.found, mistake.expected, mistake.hint)


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
