"""I-JSON (RFC 7493) to values and back; hostile input is refused, at a bounded price."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

MAX_DEPTH = 100
"""How deeply arrays and objects may lie in each other."""

MAX_DIGITS = 400
"""How many characters a number may have."""

# 18 digits always fit into 64 bits.
_SMALL = 18
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotIJson(ValueError):
    """The octets are not I-JSON; the message says why in a sentence."""


def loads(data: bytes | bytearray | memoryview) -> Any:
    """The value of one I-JSON text.

    Refused with ``NotIJson``: anything but UTF-8, a byte order mark, anything behind the value, a name twice in one object
    (RFC 7493 section 2.3), NaN and numbers beyond a double (section 2.2), lone surrogates (section 2.1), numbers of more
    than ``MAX_DIGITS`` characters, nesting deeper than ``MAX_DEPTH``. A whole number beyond 64 bits becomes a float.
    """
    octets = bytes(data)
    try:
        value = _decoder.decode(str(octets, "utf-8"))
    except NotIJson:
        raise
    except UnicodeDecodeError as error:
        raise NotIJson(f"Not UTF-8 at octet {error.start}.") from None
    except json.JSONDecodeError as error:
        raise NotIJson(f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise NotIJson(_TOO_DEEP) from None
    # Fewer brackets than the limit cannot nest beyond it: the usual request needs no walk.
    if octets.count(b"[") + octets.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    if _SURROGATE_ESCAPE.search(octets) is not None:
        _check_surrogates(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON; ``msgspec.Raw`` values are put in as they are."""
    return msgspec.json.encode(value)


_TOO_DEEP = f"Arrays and objects are nested deeper than {MAX_DEPTH}."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotIJson(f"The name {json.dumps(name[:64])} stands twice in one object.")
            seen.add(name)
    return made


def _constant(name: str) -> Any:
    raise NotIJson(f"{name} is not JSON.")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _SMALL else _real(digits)


def _real(digits: str) -> int | float:
    if len(digits) > MAX_DIGITS:
        raise NotIJson(f"A number has more than {MAX_DIGITS} characters.")
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise NotIJson("A number is greater than a double can hold.")
    return value


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in (dict, list) else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise NotIJson(_TOO_DEEP)
        level = [
            item
            for holder in level
            for item in (holder.values() if type(holder) is dict else holder)
            if type(item) is dict or type(item) is list
        ]


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise NotIJson("A string holds a surrogate without its other half.") from None
    except RecursionError:
        raise NotIJson(_TOO_DEEP) from None


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_real, strict=True
)
