"""What the standard methods share: checks of arguments, and state strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flaskmail.errors import MethodError
from flaskmail.jmap.storage import Json, Reader, Record
from flaskmail.values.checks import Check, listed, shown


def check_arguments(given: Mapping[str, Json], known: Mapping[str, Check], required: Iterable[str] = ()) -> None:
    """MethodError ``invalidArguments`` that names every argument which is unknown, missing or of the wrong type.

    known: a check for each argument that may be given; ``accountId`` is known anyway, the dispatcher has checked it.
    """
    wrong: list[tuple[str, str]] = []
    for name, value in given.items():
        check = known.get(name)
        if check is not None:
            what = check(value)
            if what is not None:
                wrong.append((name, what))
        elif name != "accountId":
            wrong.append((name, "is not an argument of this method"))
    wrong.extend((name, "is required") for name in required if name not in given)
    if wrong:
        raise invalid_arguments(wrong)


def invalid_arguments(wrong: Sequence[tuple[str, str]]) -> MethodError:
    """The ``invalidArguments`` error (RFC 8620 section 3.6.2) for pairs of an argument and what is wrong with it; the
    member ``arguments`` of the error holds their names."""
    told = [f"{shown(name)} {what}" for name, what in wrong[:10]]
    return MethodError("invalidArguments", "; ".join(told) + ".", arguments=[name for name, _ in wrong[:100]])


def unknown_names(what: str, names: list[str]) -> MethodError:
    """``invalidArguments`` for a list argument that names things which do not exist."""
    return MethodError("invalidArguments", f"{shown(what)} has unknown names: {listed(names)}.", arguments=[what])


def text_list_or_null(value: Any) -> str | None:
    """String[]|null. Ids that cannot exist are left to ``notFound``."""
    if value is None:
        return None
    if not isinstance(value, list):
        return "must be an array or null"
    return None if set(map(type, value)) <= _TEXT else "must be an array of text or null"


_TEXT = {str}


def state_text(reader: Reader, kind: str) -> str:
    """The state string of a type: its modseq in decimal."""
    return str(reader.state(kind))


def parse_state(state: str) -> int | None:
    """The modseq that a state string names; None when it is none of ours."""
    if len(state) > 18 or not (state.isascii() and state.isdigit()) or (state[0] == "0" and state != "0"):
        return None
    return int(state)


def expect_state(reader: Reader, kind: str, expected: str | None) -> None:
    """MethodError ``stateMismatch`` (RFC 8620 section 5.3) unless ``expected`` is None or the type's state."""
    if expected is not None and expected != state_text(reader, kind):
        raise MethodError("stateMismatch", f"The state of {kind} is not {shown(expected)} any more.")


def account_id(arguments: Record) -> str:
    """The ``accountId`` that the dispatcher has checked."""
    value: str = arguments["accountId"]
    return value
