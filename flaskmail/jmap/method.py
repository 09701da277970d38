"""What the dispatcher calls: methods by name, and the capabilities that make them known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.storage import Json, Record

Answer = Record | Sequence[tuple[str, Record]]
"""The arguments of one response of the method's own name, or several named responses (implicit calls)."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method, "Foo/bar". capability: the URN that ``using`` must hold, else the call is unknownMethod.

    call: (context, arguments after result references) -> Answer; raises MethodError. Values may hold msgspec.Raw (ready
    JSON). With ``account`` the dispatcher checks ``accountId`` first and sets ``context.account``: missing or not an Id is
    invalidArguments, unknown accountNotFound, ``writes`` to a read-only account accountReadOnly (RFC 8620 section 3.6.2).
    """

    name: str
    capability: str
    call: Callable[[Context, Record], Answer]
    account: bool = True
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability of the session object (RFC 8620 section 2). session: its value there; account: its value in an account's
    ``accountCapabilities``, or None when it is none of an account's; implies: further URNs that a ``using`` with this one opts
    into unless ``jmap.strict-using`` is true (docs/decisions.md)."""

    urn: str
    session: Callable[[Limits], Mapping[str, Json]]
    account: Callable[[AccountAccess, Limits], Mapping[str, Json]] | None = None
    implies: tuple[str, ...] = ()
