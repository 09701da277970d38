"""``[lookup.<name>]``: tables of plain values for expressions, under names and keys of the administrator's choice."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from datetime import time as clock
from typing import Any

from flaskmail.config.kinds import quote

Plain = str | int | float | bool | tuple["Plain", ...]
"""What a table holds: what TOML has, but for dates and tables; lists are tuples."""

Tables = Mapping[str, Mapping[str, Plain]]
"""Name of a table -> key -> value."""

EXPECTED = "a text, a number, true, false, or a list of them"
NAME_EXPECTED = "a name of at most 64 letters, digits, '-' and '_'"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LIMIT = 2**63


def is_name(name: str) -> bool:
    """Whether a table, or a key in one, may have this name."""
    return bool(_NAME.fullmatch(name))


def parse(raw: object) -> Plain:
    """The value; ValueError for what is none of those in ``EXPECTED``."""
    if isinstance(raw, list):
        if any(isinstance(one, list) for one in raw):
            raise ValueError
        return tuple(parse(one) for one in raw)
    if isinstance(raw, (str, bool)):
        return raw
    if isinstance(raw, int) and -_LIMIT <= raw < _LIMIT:
        return raw
    if isinstance(raw, float) and math.isfinite(raw):
        return raw
    raise ValueError


def write(value: object) -> str:
    """The value as TOML text: what a table holds, or a whole table; dates as TOML has them."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(name)} = {write(one)}' for name, one in value.items())} }}" if value else "{}"
    if isinstance(value, (date, clock)):
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(write, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def _key(name: str) -> str:
    return name if is_name(name) else quote(name)


def plain(value: Any) -> Plain:
    """A setting's typed value as an expression reads it: rates and paths as texts, what is not set as an empty text."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return tuple(f"{name}={one}" for name, one in value.items())
    if isinstance(value, tuple):
        return tuple(plain(one) for one in value)
    return str(value)
