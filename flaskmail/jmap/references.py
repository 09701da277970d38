"""References to results of earlier method calls (RFC 8620 section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence

from flaskmail.errors import MethodError
from flaskmail.jmap.context import Limits
from flaskmail.jmap.storage import Json, Record
from flaskmail.values import ijson, pointer
from flaskmail.values.checks import shown

OCTETS = 2_000_000
"""How much JSON the references of one request may bring in."""

STEPS = 500_000
"""How many items the "*" of all references of one request may look at."""

MOST = 1000
"""How many references one request may have."""

_SINGLE = {str, int, float, bool, type(None)}

Response = tuple[str, Json, str]
"""Name, arguments, method call id."""


class References:
    """The references of one request. What they bring in all together is bounded, because a reference to the result of a
    reference could otherwise double with every call."""

    def __init__(self, limits: Limits) -> None:
        self._items = max(limits.maxObjectsInGet, limits.maxObjectsInSet)
        self._octets = min(OCTETS, limits.maxSizeRequest)
        self._steps = pointer.Steps(STEPS)
        self._left = MOST

    def resolve(self, arguments: Record, responses: Sequence[Response]) -> Record:
        """The arguments with every "#name" replaced by "name" and the value that it refers to.

        MethodError: ``invalidArguments`` when an argument is there in both forms, ``invalidResultReference`` when a
        reference is malformed, names nothing, or brings more than may be.
        """
        for name in arguments:
            if name[:1] == "#":
                break
        else:
            return arguments
        out: Record = {}
        for name, value in arguments.items():
            if name[:1] != "#":
                out[name] = value
                continue
            plain = name[1:]
            if plain in arguments:
                raise MethodError("invalidArguments", f"{shown(plain)} is there as a value and as a reference.")
            out[plain] = self._one(name, value, responses)
        return out

    def _one(self, name: str, reference: Json, responses: Sequence[Response]) -> Json:
        self._left -= 1
        if self._left < 0:
            raise _invalid(name, f"is one more than the {MOST} references that a request may have")
        if not isinstance(reference, dict):
            raise _invalid(name, "is no object")
        result_of, response_name, path = (reference.get(member) for member in ("resultOf", "name", "path"))
        if not (isinstance(result_of, str) and isinstance(response_name, str) and isinstance(path, str)):
            raise _invalid(name, 'must have the texts "resultOf", "name" and "path"')
        # RFC 8620 section 3.7: the first response with that call id, which must have that name.
        found_name, result = next(((named, made) for named, made, id in responses if id == result_of), (None, None))
        if found_name is None:
            raise _invalid(name, f"refers to the call {shown(result_of)}, which has not been made")
        if found_name != response_name:
            raise _invalid(name, f"refers to {shown(response_name)}, but the answer was {shown(found_name)}")
        try:
            value = pointer.resolve(result, path, star=True, limit=self._items, steps=self._steps)
        except pointer.PointerError as error:
            raise _invalid(name, f"does not resolve: {str(error).removesuffix('.')}") from None
        return self._bounded(name, value)

    def _bounded(self, name: str, value: Json) -> Json:
        """A copy of the value as plain JSON, when it fits into what is left of the request's share."""
        if isinstance(value, str):
            self._octets -= len(value)
        elif isinstance(value, (list, tuple)) and (kinds := set(map(type, value))) <= _SINGLE:
            # Nothing in it can change elsewhere, or be nested too deeply: it need not be written and read again.
            texts = kinds <= {str}
            self._octets -= sum(map(len, value)) + 3 * len(value) if texts else len(ijson.dumps(value))
            value = list(value)
        elif isinstance(value, (dict, list, tuple)):
            octets = ijson.dumps(value)
            self._octets -= len(octets)
            if self._octets >= 0:
                try:
                    value = ijson.loads(octets)
                except ijson.NotIJson as error:
                    raise _invalid(name, f"brings what no request may hold: {str(error).removesuffix('.')}") from None
        if self._octets < 0:
            raise _invalid(name, "brings more than a request may hold")
        return value


def _invalid(name: str, what: str) -> MethodError:
    return MethodError("invalidResultReference", f"{shown(name)} {what}.")
