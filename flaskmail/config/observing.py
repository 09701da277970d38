"""The settings of what the server tells of itself: its log and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from flaskmail.config import kinds
from flaskmail.config.declaring import setting
from flaskmail.config.kinds import Kind, quote

_NAMED = ("loopback", "private")


def _parse_networks(value: object, folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    for one in value:
        if not isinstance(one, str):
            raise ValueError
        if one not in _NAMED:
            try:
                ip_network(one)
            except ValueError:
                # What that says of itself would stand in the place of what is expected.
                raise ValueError from None
    return tuple(value)


def _parse_secret(value: object, folder: Path) -> str:
    if not isinstance(value, str) or len(value) < SHORTEST_SECRET:
        raise ValueError
    return value


SHORTEST_SECRET = 16
SECRET = Kind(f"a text of at least {SHORTEST_SECRET} characters that nobody can guess", _parse_secret, quote)
NETWORKS = Kind(
    "a list of networks and addresses, like '10.1.2.0/24', or of the names loopback and private",
    _parse_networks,
    lambda values: f"[{', '.join(quote(value) for value in values)}]",
)


@dataclass(frozen=True, slots=True)
class Log:
    """The log that can be searched: one JSON object a line, one file a day. The same messages go to standard error, as far as
    server.log-level lets them; docs/operations.md explains both."""

    enable: bool = setting(kinds.BOOLEAN, True, "Keep messages in files.", live=False)
    path: Path | None = setting(
        kinds.optional(kinds.PATH),
        None,
        "The folder of the files; it is made when it is missing. Unset: logs, in the folder of the data.",
        example='"/var/log/flaskmail"',
        live=False,
        only_file=True,
    )
    max_size: int = setting(
        kinds.size(64_000, 4_000_000_000),
        16_000_000,
        "A file that is larger is followed by a second one of the same day.",
        live=False,
    )
    max_total: int = setting(
        kinds.size(1_000_000),
        512_000_000,
        "All files together; when a new file begins, the oldest go until the rest fits.",
        live=False,
    )
    keep: int = setting(
        kinds.duration(86400, 100 * 365 * 86400),
        30 * 86400,
        "How long a file is kept, in whole days.",
        example='"90d"',
        live=False,
    )

    def folder(self, data: Path) -> Path:
        """Where the files are. data: the folder of the data."""
        return data / "logs" if self.path is None else self.path


@dataclass(frozen=True, slots=True)
class PrometheusAuth:
    """A name and password (HTTP Basic) with which a Prometheus server may read the figures."""

    username: str | None = setting(kinds.optional(kinds.TEXT), None, "The name.", example='"prometheus"')
    secret: str | None = setting(
        kinds.optional(SECRET),
        None,
        "The password, 16 characters or more.",
        example='"a-long-random-text"',
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Figures at /metrics and /metrics/prometheus, in the text format of Prometheus. Who may read them: clients in ``networks``,
    whoever has the name and password of [metrics.prometheus.auth], and principals with the permission metrics-view."""

    enable: bool = setting(kinds.BOOLEAN, False, "Count, and answer there. Off: there is nothing at these addresses.")
    networks: tuple[str, ...] = setting(
        NETWORKS,
        (),
        "Clients that need no credentials: networks, addresses, or the names loopback and private. With "
        "server.http.use-x-forwarded, what is in trusted-proxies never counts as one of them: give it the name and password.",
        example='["10.1.2.3", "loopback"]',
    )
    auth: PrometheusAuth = PrometheusAuth()


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures about the server."""

    prometheus: Prometheus = Prometheus()
