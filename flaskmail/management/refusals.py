"""Why the management API refuses: problem details (RFC 9457) that also carry the members of the old API's errors.

The old API answered such errors with the status 200 and ``{"error": …}``; clients that read those members find them in the
problem object. docs/compatibility.md lists them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from flaskmail.accounts.drafts import Absent, BadField, Further, Unfit
from flaskmail.accounts.entries import Exceeds
from flaskmail.accounts.faults import BadName, BadPassword, DirectoryError, InUse, NameTaken, UnknownName
from flaskmail.errors import ConfigError, RequestError
from flaskmail.management.expecting import wanted_at


def _nearest(name: str, known: Iterable[str]) -> dict[str, Any]:
    close = difflib.get_close_matches(name[:80], list(known), 1, 0.6)
    return {"nearest": close[0]} if close else {}


def invalid(member: str, expected: str, found: str = "", *, status: int = 400, **more: Any) -> RequestError:
    """A member of the body or a parameter of the query is wrong. member: where, such as ``members[2]``; expected: a sentence."""
    told = f"{member}: {expected}" if not found else f"{member}: found {found}; {expected}"
    if "nearest" in more:
        told += f" (did you mean {more['nearest']!r}?)"
    named = {"member": member, "expected": expected}
    return RequestError(status, told, extra=named | more | {"error": "other", "details": told, "reason": None})


def missing(member: str, detail: str = "") -> RequestError:
    """A member that has to be there is not."""
    told = detail or f"The member {member!r} is missing."
    named = {"member": member, "expected": "a value"}
    return RequestError(400, told, extra=named | {"error": "fieldMissing", "field": member})


def exists(field: str, value: str, detail: str = "") -> RequestError:
    """Something of that name exists already."""
    told = detail or f"There is one with {field} {value!r} already."
    return RequestError(409, told, extra={"error": "fieldAlreadyExists", "field": field, "value": value})


def not_found(what: str, name: str, nearest: str = "") -> RequestError:
    """There is none of that name, or it lies outside of what the one who asks may see: both look the same."""
    hint = f" Did you mean {nearest!r}?" if nearest else ""
    return RequestError(404, f"There is no {what} {name!r}.{hint}", extra={"error": "notFound", "item": name})


def conflict(detail: str, **more: Any) -> RequestError:
    """The present state does not allow it."""
    return RequestError(409, detail, extra=more | {"error": "assertFailed"})


def changed(detail: str) -> RequestError:
    """If-Match names another state than the present one (RFC 9110 section 13.1.1)."""
    return RequestError(412, detail, extra={"error": "assertFailed"})


def unsupported(detail: str) -> RequestError:
    """This server is not set up for it."""
    return RequestError(409, detail, extra={"error": "unsupported", "details": detail})


def of_directory(error: DirectoryError) -> RequestError:
    """The refusal for what the directory says."""
    told = str(error)
    detail = told[:1].upper() + told[1:] + ("" if told.endswith((".", "?", ")")) else ".")
    if isinstance(error, Absent):
        named = {"member": error.field, "expected": error.expected}
        return RequestError(404, f"{told}.", extra=named | {"error": "notFound", "item": error.item})
    if isinstance(error, Unfit):
        return conflict(f"{told}.", member=error.field, expected=error.expected)
    if isinstance(error, Further):
        return RequestError(403, f"{told}.", extra={"member": error.field, "expected": error.expected})
    if isinstance(error, BadField):
        return invalid(error.field, error.expected)
    if isinstance(error, Exceeds):
        return RequestError(403, detail, extra={"permission": error.permission})
    if isinstance(error, UnknownName):
        return RequestError(404, detail, extra={"error": "notFound", "item": error.name})
    if isinstance(error, NameTaken):
        return RequestError(
            409, detail, extra={"error": "fieldAlreadyExists", "field": error.field, "value": error.name}
        )
    if isinstance(error, InUse):
        return RequestError(409, detail, extra={"error": "assertFailed"})
    if isinstance(error, (BadName, BadPassword)):
        member = "password" if isinstance(error, BadPassword) else "name"
        return RequestError(
            400, detail, extra={"member": member, "expected": told, "error": "other", "details": told, "reason": None}
        )
    return RequestError(409, detail, extra={"error": "other", "details": told, "reason": None})


def of_settings(error: ConfigError) -> RequestError:
    """The refusal for settings that are wrong: every problem, each with its key."""
    problems = [
        {"member": p.key, "found": p.found, "expected": p.expected} | ({"nearest": p.hint} if p.hint else {})
        for p in error.problems
    ]
    told = "; ".join(
        f"{p.key}: found {p.found}, expected {p.expected}" + (f" (did you mean {p.hint!r}?)" if p.hint else "")
        for p in error.problems
    )
    return RequestError(
        400,
        f"The settings are wrong, and nothing was changed. {told}",
        extra={"problems": problems, "error": "other", "details": told, "reason": None},
    )


_PLACE = re.compile(r" - at `([^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`$", re.DOTALL)


_OTHER = re.compile(r"Expected (.*?)(?:, got (.*))?$", re.DOTALL)
_VALUE = re.compile(r"Invalid (?:enum )?value '(.*)'$", re.DOTALL)


_TYPES = re.compile(r"`([^`]*)`")
_JSON = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}


def _in_json(told: str) -> str:
    """A sentence that begins with names of Python's types, with those of JSON."""
    types = _TYPES.match(told)
    if types is None:
        return told
    names = [_JSON.get(name, name.replace("NoneType", "null")) for name in types[1].split(" | ")]
    return " or ".join(names) + told[types.end() :]


def of_validation(message: str, kind: Any, value: Any, what: str = "") -> RequestError:
    """The refusal for a msgspec.ValidationError. kind: the declared type; value: what was to be one; what: how that is called
    when it is wrong itself."""
    place = _PLACE.search(message)
    path = "" if place is None else place[1]
    told = message if place is None else message[: place.start()]
    where = path.removeprefix("$").removeprefix(".")
    unknown, lost = _UNKNOWN.match(told), _MISSING.match(told)
    if unknown is not None:
        name = f"{where}.{unknown[1]}" if where else unknown[1]
        return invalid(name, "there is no such member", **_nearest(unknown[1], wanted_at(kind, value, path).names))
    wrong = _VALUE.match(told)
    # An empty text stands for what was left out.
    values = [] if wrong is None else [one for one in wanted_at(kind, value, path).values if one]
    if wrong is not None and values:
        wanted = f"one of these is wanted: {', '.join(values)}" if len(values) > 1 else f"{values[0]} is wanted"
        return invalid(where or what, wanted, repr(wrong[1][:80]), **_nearest(wrong[1], values))
    if lost is not None:
        return missing(f"{where}.{lost[1]}" if where else lost[1])
    other = _OTHER.match(told)
    if other is not None:
        return invalid(where or what, f"{_in_json(other[1])} is wanted", _in_json(other[2] or ""))
    return invalid(where or what, told[:1].lower() + told[1:])
