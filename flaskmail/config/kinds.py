"""The kinds of value that a setting can have: how each is read from TOML, checked, and written back.

A kind is pure: it touches no file and no environment, except :data:`FILE`, which asks whether a file can be read.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

Rules = str | tuple[tuple[tuple[str, str], ...], ...]
"""The text of an expression, or of the blocks of a list of rules, each as (name, text) pairs."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value.

    expected: completes "expected …" in a report. parse: (TOML value, folder that relative paths start from) -> the
    typed value, or ValueError, whose text (when there is one) says better than ``expected`` what is wanted.
    write: the typed value -> TOML text.
    """

    expected: str
    parse: Callable[[object, Path], T]
    write: Callable[[T], str]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events (``count`` ≥ 1) in so many seconds (``seconds`` ≥ 1)."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{write_duration(self.seconds)}"


def quote(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _refuse(condition: bool, expected: str = "") -> None:
    if condition:
        raise ValueError(expected)


_UNITS = {
    "": 1, "B": 1,
    "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,3}))? ?([A-Za-z]{0,3})", re.ASCII)
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9}) ?([smhd])", re.ASCII)
_RATE = re.compile(r"([0-9]{1,9}) ?/ ?([0-9]{1,9} ?[smhd])", re.ASCII)
MAX_SIZE = 2**53 - 1
"""The largest size that a client can be told (RFC 8620 section 1.3)."""


def parse_size(value: object) -> int:
    """Octets of ``50_000_000``, ``"50 MB"`` (10^6) or ``"48 MiB"`` (2^20); ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        _refuse(not 0 <= value <= MAX_SIZE)
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[3] not in _UNITS:
        raise ValueError
    fraction = int((match[2] or "").ljust(3, "0"))
    size = (int(match[1]) * 1000 + fraction) * _UNITS[match[3]] // 1000
    _refuse(size > MAX_SIZE)
    return size


def parse_duration(value: object) -> int:
    """Seconds of ``30``, ``"30s"``, ``"5m"``, ``"2h"`` or ``"1d"``; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        _refuse(value < 0)
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    return int(match[1]) * _PERIODS[match[2]]


def parse_rate(value: object) -> Rate:
    """The rate of ``"10/1m"``; ValueError for anything else, also for zero events or no time."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    count, seconds = int(match[1]), parse_duration(match[2])
    _refuse(count < 1 or seconds < 1)
    return Rate(count, seconds)


def write_size(size: int) -> str:
    """The shortest exact text: ``50 MB``, ``19 MiB``, ``1234 B``."""
    for unit in ("TB", "TiB", "GB", "GiB", "MB", "MiB", "kB", "KiB"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]} {unit}"
    return f"{size} B"


def write_duration(seconds: int) -> str:
    """The shortest exact text: ``5m``, ``90s``."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _PERIODS[unit] == 0:
            return f"{seconds // _PERIODS[unit]}{unit}"
    return f"{seconds}s"


_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)


def _is_host(host: str) -> bool:
    """Whether it is an IPv4 address or a host name; IPv6 is told by its brackets, elsewhere."""
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


_BIND = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/]+)):([0-9]{1,5})", re.ASCII)


def _parse_bind(value: object, folder: Path) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise ValueError
    return tuple(_parse_listener(one, folder) for one in values)


def _parse_listener(value: object, folder: Path) -> str:
    if not isinstance(value, str):
        raise ValueError
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        _refuse(not path or "\0" in path)
        return f"unix:{folder / path}"
    match = _BIND.fullmatch(value)
    if match is None or int(match[3]) > 65535:
        raise ValueError
    _refuse(not (_is_ipv6(match[1]) if match[1] is not None else _is_host(match[2])))
    return value


def _parse_path(value: object, folder: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return folder / Path(value).expanduser()


def _parse_file(value: object, folder: Path) -> Path:
    path = _parse_path(value, folder)
    _refuse(not path.is_file(), "the path of a file that exists")
    _refuse(not os.access(path, os.R_OK), "the path of a file that this user may read")
    return path


def _parse_bool(value: object, folder: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _parse_log(value: object, folder: Path) -> str | None:
    if value is False:
        return None
    return "-" if value == "-" else str(_parse_path(value, folder))


def _parse_text(value: object, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _parse_texts(value: object, folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    texts = tuple(one for one in value if isinstance(one, str))
    _refuse(len(texts) != len(value))
    return texts


def _parse_names(value: object, folder: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError
    names = tuple(one for one in value if isinstance(one, str) and one)
    _refuse(len(names) != len(value))
    return names


def _parse_paths(value: object, folder: Path) -> tuple[Path, ...]:
    return tuple(_parse_path(name, folder) for name in _parse_names(value, folder))


def _parse_rules(value: object, folder: Path) -> Rules:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError
    blocks = []
    for block in value:
        _refuse(not isinstance(block, dict), 'tables like { if = "…", then = "…" } and { else = "…" } in the list')
        parts = []
        for name, text in block.items():
            _refuse(
                not isinstance(text, (str, int)) or isinstance(text, bool),
                f"an expression in quotes after {quote(name)}",
            )
            parts.append((name, str(text)))
        blocks.append(tuple(parts))
    return tuple(blocks)


def _write_rules(value: Rules) -> str:
    if isinstance(value, str):
        return quote(value)
    blocks = ("{ " + ", ".join(f"{name} = {quote(text)}" for name, text in block) + " }" for block in value)
    return f"[{', '.join(blocks)}]"


def _parse_status(value: object, folder: Path) -> Rules:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _parse_rules(value, folder)


def _parse_flag_or_table(value: object, folder: Path) -> bool | tuple[tuple[str, object], ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, Mapping):
        raise ValueError
    return tuple(value.items())


def _write_flag_or_table(value: bool | tuple[tuple[str, object], ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "{ " + ", ".join(f"{name} = {json.dumps(one)}" for name, one in value) + " }"


def _write_list(values: tuple[object, ...]) -> str:
    return f"[{', '.join(quote(str(value)) for value in values)}]"


def integer(low: int, high: int) -> Kind[int]:
    """Whole numbers from low to high, both included."""

    def parse(value: object, folder: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"a whole number from {low} to {high}", parse, str)


def size(low: int = 1, high: int = MAX_SIZE) -> Kind[int]:
    """Numbers of octets from low to high."""

    def parse(value: object, folder: Path) -> int:
        found = parse_size(value)
        _refuse(not low <= found <= high, f"a size from {write_size(low)} to {write_size(high)}")
        return found

    return Kind("a size, like '50 MB', '48 MiB' or a number of octets", parse, lambda value: quote(write_size(value)))


def duration(low: int, high: int) -> Kind[int]:
    """Numbers of seconds from low to high."""

    def parse(value: object, folder: Path) -> int:
        found = parse_duration(value)
        _refuse(not low <= found <= high, f"a time from {write_duration(low)} to {write_duration(high)}")
        return found

    return Kind("a time, like '30s', '5m', '2h' or '1d'", parse, lambda value: quote(write_duration(value)))


class Misnamed(ValueError):
    """Something that is none of the names that are known. hint: the nearest of them, or ""."""

    def __init__(self, value: object, names: tuple[str, ...]) -> None:
        super().__init__()
        self.hint = next(iter(difflib.get_close_matches(str(value), names, 1, 0.6)), "")


def choice(*names: str) -> Kind[str]:
    """One of the names."""

    def parse(value: object, folder: Path) -> str:
        if not isinstance(value, str) or value not in names:
            raise Misnamed(value, names)
        return value

    return Kind(f"one of {', '.join(quote(name) for name in names)}", parse, quote)


def choices(*names: str) -> Kind[tuple[str, ...]]:
    """A list of some of the names."""

    def parse(value: object, folder: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError
        for one in value:
            if one not in names:
                raise Misnamed(one, names)
        return tuple(value)

    return Kind(f"a list of some of {', '.join(quote(name) for name in names)}", parse, _write_list)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The kind, or None when the setting is left out; TOML has no null, so None cannot be written."""

    def write(value: T | None) -> str:
        return "" if value is None else kind.write(value)

    return Kind(kind.expected, kind.parse, write)


BOOLEAN: Kind[bool] = Kind("true or false", _parse_bool, lambda value: "true" if value else "false")
BIND: Kind[tuple[str, ...]] = Kind(
    "a list of addresses like '127.0.0.1:8080', '[::1]:8080' or 'unix:/run/flaskmail.sock'", _parse_bind, _write_list
)
EXPRESSION: Kind[Rules] = Kind(
    'an expression, or a list of tables { if = "…", then = "…" } … { else = "…" }', _parse_rules, _write_rules
)
STATUS: Kind[Rules] = Kind("a status, or an expression that gives one", _parse_status, _write_rules)
FLAG_OR_TABLE: Kind[bool | tuple[tuple[str, object], ...]] = Kind(
    "true, false or a table", _parse_flag_or_table, _write_flag_or_table
)
PATH: Kind[Path] = Kind("a path", _parse_path, lambda value: quote(str(value)))
FILE: Kind[Path] = Kind("the path of a file", _parse_file, lambda value: quote(str(value)))
LOG: Kind[str | None] = Kind(
    "a path, '-' for standard output, or false for none",
    _parse_log,
    lambda value: "false" if value is None else quote(value),
)
TEXT: Kind[str] = Kind("a text", _parse_text, quote)
TEXTS: Kind[tuple[str, ...]] = Kind("a list of texts", _parse_texts, _write_list)
NAMES: Kind[tuple[str, ...]] = Kind("a list of names", _parse_names, _write_list)
PATHS: Kind[tuple[Path, ...]] = Kind("a list of folders", _parse_paths, _write_list)
RATE: Kind[Rate] = Kind(
    "a rate, like '10/1m'", lambda value, folder: parse_rate(value), lambda value: quote(str(value))
)
LIMIT: Kind[Rate | None] = Kind(
    "a rate, like '10/1m', or false for no limit",
    lambda value, folder: None if value is False else parse_rate(value),
    lambda value: "false" if value is None else quote(str(value)),
)
