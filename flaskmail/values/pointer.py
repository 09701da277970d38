"""JSON pointers (RFC 6901), their "*" (RFC 8620 section 3.7) and patches (RFC 8620 section 5.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from flaskmail.values.checks import shown

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


class PointerError(ValueError):
    """A pointer is malformed or points at nothing; the message says why in a sentence."""


class TooMany(PointerError):
    """A "*" made more items than the limit."""


class PatchError(ValueError):
    """A PatchObject cannot be applied (``invalidPatch``); the message says why in a sentence."""


class Steps:
    """How many items "*" may still look at; many resolutions can share one. Without it a few octets of pointer could walk through
    a large document again and again. left: what remains."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


def parse(pointer: str) -> tuple[str, ...]:
    """The unescaped tokens of an RFC 6901 pointer; () for "", the whole document. PointerError when malformed."""
    if pointer == "":
        return ()
    if pointer[0] != "/":
        raise PointerError(f'The pointer {shown(pointer)} does not begin with "/".')
    return _tokens(pointer[1:])


def escape(token: str) -> str:
    """A token as it stands in a pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def resolve(
    document: Any, pointer: str, *, star: bool = False, limit: int | None = None, steps: Steps | None = None
) -> Any:
    """The value that ``pointer`` names in ``document``.

    With ``star`` a token "*" on an array applies the rest to each item and flattens results that are arrays, once (RFC 8620
    section 3.7); TooMany when such an array has more than ``limit`` items, or ``steps`` are used up. ``msgspec.Raw`` values on
    the way, and the one at its end, are decoded. PointerError when the pointer is malformed or names nothing.
    """
    return _resolve(document, parse(pointer), 0, star, (limit, steps))


def apply_patch(
    record: Mapping[str, Any], patch: Mapping[str, Any], default: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    """The record after a PatchObject (RFC 8620 section 5.3); ``record`` and ``patch`` stay as they are.

    Top-level values that no pointer touches are shared with ``record``. null removes a value; for a whole property
    ``default(name)`` is set instead when ``default`` is given. PatchError: malformed pointers, one that is the
    prefix of another, parents that are not there, or anything inside an array.
    """
    changed = patched(record, patch, default)
    out = {**record, **changed}
    if default is None:
        for name in changed:
            if changed[name] is None:
                del out[name]
    return out


def patched(
    record: Mapping[str, Any], patch: Mapping[str, Any], default: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    """Only the top-level values that ``apply_patch`` touches, as they are afterwards; a removed one is its default, or None."""
    changed: dict[str, Any] = {}
    parsed = {pointer: patch_tokens(pointer) for pointer in patch}
    _check_prefixes(parsed.values())
    own: set[int] = set()
    for pointer, value in patch.items():
        tokens = parsed[pointer]
        name = tokens[0]
        if len(tokens) == 1:
            if value is not None:
                changed[name] = value
            else:
                changed[name] = None if default is None else default(name)
            continue
        if name not in changed:
            if name not in record:
                raise PatchError(f"{shown(pointer)}: the record has no {shown(name)} to patch.")
            changed[name] = record[name]
        holder: Any = changed
        # Containers on the way are copied once, so that many patches of one large value cost what they change.
        for token in tokens[:-1]:
            if not isinstance(holder, dict) or token not in holder:
                raise _blocked(pointer, holder, token)
            inner = holder[token]
            if isinstance(inner, dict) and id(inner) not in own:
                inner = dict(inner)
                own.add(id(inner))
                holder[token] = inner
            holder = inner
        if not isinstance(holder, dict):
            raise _blocked(pointer, holder, tokens[-1])
        if value is None:
            holder.pop(tokens[-1], None)
        else:
            holder[tokens[-1]] = value
    return changed


def patch_tokens(pointer: str) -> tuple[str, ...]:
    """The tokens of a PatchObject's key, an RFC 6901 pointer without its leading "/". PatchError when malformed."""
    if "/" not in pointer and "~" not in pointer:
        return (pointer,)
    try:
        tokens = _tokens(pointer)
    except PointerError as error:
        raise PatchError(str(error)) from None
    if tokens[0] == "" and len(tokens) > 1:
        raise PatchError(f'The patch pointer {shown(pointer)} must not begin with "/".')
    return tokens


def _tokens(path: str) -> tuple[str, ...]:
    if "~" not in path:
        return tuple(path.split("/"))
    if _BAD_ESCAPE.search(path) is not None:
        raise PointerError(f'The pointer {shown(path)} has a "~" that is not "~0" or "~1".')
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in path.split("/"))


_Bounds = tuple[int | None, Steps | None]


def _resolve(value: Any, tokens: tuple[str, ...], start: int, star: bool, bounds: _Bounds) -> Any:
    for at in range(start, len(tokens)):
        token = tokens[at]
        if type(value) is msgspec.Raw:
            if star and token == "*" and at + 2 == len(tokens):
                column = _column(value, tokens[-1])
                if column is not None:
                    return _flat(column, bounds)
            value = _opened(value)
        if isinstance(value, dict):
            if token not in value:
                raise PointerError(f"There is no {shown(token)}.")
            value = value[token]
        elif isinstance(value, (list, tuple)):
            if star and token == "*":
                return _spread(value, tokens, at + 1, bounds)
            if _INDEX.fullmatch(token) is None or int(token) >= len(value):
                raise PointerError(f"{shown(token)} is no index of an array of {len(value)}.")
            value = value[int(token)]
        else:
            raise PointerError(f"{shown(token)} is asked of {shown(value)}.")
    return msgspec.json.decode(value) if type(value) is msgspec.Raw else value


def _opened(raw: msgspec.Raw) -> Any:
    """The outermost container of ready JSON, with what lies in it left as it is: most of it is not asked for."""
    first = bytes(memoryview(raw)[:1])
    if first == b"{":
        return _open_object(raw)
    return _open_array(raw) if first == b"[" else msgspec.json.decode(raw)


_open_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_open_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _column(raw: msgspec.Raw, name: str) -> list[Any] | None:
    """The member ``name`` of each object of a ready JSON array, read in one go; None when it is anything else."""
    if len(name) > 100:
        return None
    try:
        members = [one.value for one in _column_decoder(name)(raw)]
        found: list[Any] = msgspec.json.decode(b"[%b]" % b",".join(members))
    except (msgspec.MsgspecError, ValueError):
        # No such array, a member that is missing, a name that msgspec does not take: the slow way finds out.
        return None
    return found


@lru_cache(maxsize=64)
def _column_decoder(name: str) -> Callable[[Any], list[Any]]:
    one = msgspec.defstruct("One", [("value", msgspec.Raw)], rename={"value": name}, gc=False)
    return msgspec.json.Decoder(list[one]).decode  # type: ignore[valid-type]


def _spread(items: list[Any] | tuple[Any, ...], tokens: tuple[str, ...], start: int, bounds: _Bounds) -> list[Any]:
    if start == len(tokens):
        if msgspec.Raw in set(map(type, items)):
            items = [msgspec.json.decode(one) if type(one) is msgspec.Raw else one for one in items]
        return _flat(items, bounds)
    _count(len(items), bounds)
    out: list[Any] = []
    limit, again = bounds[0], tokens[start] == "*"
    for item in items:
        if again and type(item) is list:
            # Stars upon stars come to arrays by the hundred thousand.
            if item:
                out += _spread(item, tokens, start + 1, bounds)
        else:
            found = _resolve(item, tokens, start, True, bounds)
            if isinstance(found, (list, tuple)):
                out += found
            else:
                out.append(found)
        if limit is not None and len(out) > limit:
            raise _too_many(limit)
    return out


def _flat(values: list[Any] | tuple[Any, ...], bounds: _Bounds) -> list[Any]:
    _count(len(values), bounds)
    limit = bounds[0]
    if not any(issubclass(kind, (list, tuple)) for kind in set(map(type, values))):
        # Ids by the thousand, mostly.
        if limit is not None and len(values) > limit:
            raise _too_many(limit)
        return list(values)
    out: list[Any] = []
    for found in values:
        if isinstance(found, (list, tuple)):
            out += found
        else:
            out.append(found)
        if limit is not None and len(out) > limit:
            raise _too_many(limit)
    return out


def _count(items: int, bounds: _Bounds) -> None:
    steps = bounds[1]
    if steps is not None:
        steps.left -= items
        if steps.left < 0:
            raise TooMany('The "*" of this request look at too many items.')


def _too_many(limit: int) -> TooMany:
    return TooMany(f'The "*" makes more than {limit} items.')


def _check_prefixes(pointers: Collection[tuple[str, ...]]) -> None:
    # RFC 8620 section 5.3: no pointer may be the prefix of another. Sorted, a prefix stands right before what it covers.
    if len(pointers) < 2:
        return
    ordered = sorted(pointers)
    for shorter, longer in pairwise(ordered):
        if longer[: len(shorter)] == shorter:
            one, other = "/".join(map(escape, shorter)), "/".join(map(escape, longer))
            raise PatchError(f"The patch pointers {shown(one)} and {shown(other)} cover each other.")


def _blocked(pointer: str, holder: Any, token: str) -> PatchError:
    if isinstance(holder, list):
        # RFC 8620 section 5.3: the pointer must not reference inside an array.
        return PatchError(f"{shown(pointer)} points into an array; replace the whole array.")
    return PatchError(f"{shown(pointer)}: there is no object that has {shown(token)}.")
