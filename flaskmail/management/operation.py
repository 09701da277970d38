"""How an operation of the management API is declared: once, as a function with its method, path, permissions and shapes.

The routes, the checks of what comes in, the permission matrix and the OpenAPI document are derived from these declarations.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec

from flaskmail.accounts.authorization import Access
from flaskmail.accounts.principals import Principal
from flaskmail.management.refusals import changed, not_found

if TYPE_CHECKING:
    from flaskmail.server import Server

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

SELF = "authenticate"
"""The permission of operations on what is one's own: everybody has it who may sign in at all."""


class Members(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of a body: names in camelCase, an unknown one is refused."""


class Query(msgspec.Struct, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """Base of a query: names with hyphens, an unknown one is refused. Lists are written with commas."""


class Paged(Query, kw_only=True):
    """The query of a list. page: from 1 on (0 is the first too); limit: items of a page, 0 for all."""

    page: Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="Which page, from 1 on.")] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000, description="Items of a page; 0 for all of them.")] = 0

    def of(self, found: Iterable[T]) -> Listing[T]:
        """The page that was asked for."""
        every = list(found)
        first, last = self.span
        return Listing(items=every[first:last], total=len(every))

    @property
    def span(self) -> tuple[int, int | None]:
        """The index of the first item, and of the one behind the last; None when there is no limit."""
        if not self.limit:
            return 0, None
        first = max(0, self.page - 1) * self.limit
        return first, first + self.limit


class Listing(msgspec.Struct, Generic[T]):
    """A page of a list. total: items of all pages."""

    items: list[T]
    total: int


@dataclass(frozen=True, slots=True)
class Octets:
    """An answer that is no JSON. body: octets, or pieces of them as they come."""

    body: bytes | Iterator[bytes]
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Call:
    """One request that was let in.

    principal: who asks; access: what he may do. address: the client's, "" when not known. base_url: gives what URLs begin with.
    if_match, if_none_match: the entity tags of these fields, None when they were not sent. headers: of the answer, to be
    filled in.
    asker: says anew who asks and what he may do, or raises RequestError; for answers that go on for minutes.
    changed: what the audit log says of the change instead of the body; a handler sets it where the body says too little or
    too much."""

    server: Server
    principal: Principal
    access: Access
    address: str = ""
    base_url: Callable[[], str] = str
    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    asker: Callable[[], tuple[Principal, Access]] | None = None
    changed: Any = None

    def require(self, permission: str) -> None:
        """Raises RequestError 403 that names the permission when he has not got it."""
        if not self.access.may(permission):
            raise self.access.lacking(permission)

    def reach(self, domain: str | None, what: str, name: str) -> None:
        """Raises the 404 of an unknown name when the domain lies outside of his reach. domain: None for what has none."""
        if not self.access.reaches(domain):
            raise not_found(what, name)

    def check_match(self, tag: str) -> None:
        """Before a change: raises RequestError 412 unless what this entity tag (given without quotes) stands for is as If-Match
        and If-None-Match want it, where they were sent."""
        if not self.matches(f'"{tag}"'):
            raise changed("It was changed since you read it: read it again, then change it.")
        # RFC 9110 section 13.1.2: such a request is not performed.
        if self.known(f'"{tag}"'):
            raise changed("It is what If-None-Match names.")

    def matches(self, tag: str | None) -> bool:
        """Whether If-Match names this entity tag (with its quotes; None for what has none), or was not sent."""
        # RFC 9110 section 13.1.1: "*" matches whatever exists; else the strong comparison, to which a weak tag is never equal.
        return self.if_match is None or "*" in self.if_match or tag in self.if_match

    def known(self, tag: str) -> bool:
        """Whether If-None-Match was sent and names this entity tag (with its quotes)."""
        # RFC 9110 section 13.1.2: the weak comparison; a proxy that compresses makes tags weak.
        found = self.if_none_match or ()
        return "*" in found or tag in [one.removeprefix("W/") for one in found]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. path: below ``/api``, with ``{name}`` for a segment. name: its operationId.

    permissions: he has to hold any one of them; the handler asks for more where it depends on the body. query, body: Structs,
    or any type that msgspec decodes, None where there is none. Whatever their schema allows is done, or refused with 403, 404
    or 409: what a value has to look like is said with ``msgspec.Meta`` (pattern, bounds, ``extra_json_schema``), so that the
    document tells it, too. answer: the type of ``data``; Octets for what is no JSON, of the media type ``media``. status: of the
    answer. refuses: further statuses that can come back, with the reason. legacy: a GET of the old API that changes something,
    answered only when ``management.legacy-get`` is on. changes: written to the audit log. tagged: what it answers, or changes,
    has an entity tag; a GET sets the header ETag, and others call ``check_match``.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    permissions: tuple[str, ...]
    handler: Callable[..., Any]
    query: type[Query] | None
    body: Any
    answer: Any
    media: str
    status: int
    refuses: Mapping[int, str]
    legacy: bool
    changes: bool
    tagged: bool
    example: Any

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


class Resource:
    """The operations on one kind of thing. tag: its name in the OpenAPI document; about: a sentence."""

    def __init__(self, tag: str, about: str) -> None:
        self.tag, self.about = tag, about
        self.operations: list[Operation] = []

    def operation(
        self,
        method: str,
        path: str,
        name: str,
        *,
        permissions: tuple[str, ...],
        query: type[Query] | None = None,
        body: Any = None,
        answer: Any = None,
        media: str = "application/json",
        status: int = 200,
        refuses: Mapping[int, str] | None = None,
        legacy: bool = False,
        changes: bool | None = None,
        tagged: bool = False,
        example: Any = None,
    ) -> Callable[[F], F]:
        """Declares the function below as an operation; the arguments are those of Operation.

        The function takes the Call, then by name: each parameter of the path, ``query`` and ``body`` where declared. The first
        line of its docstring is the summary. TypeError when it does not fit; a module with one cannot be imported."""

        def declare(function: F) -> F:
            if not permissions:
                raise TypeError(f"{name} declares no permission")
            told = inspect.cleandoc(function.__doc__ or "")
            if not told:
                raise TypeError(f"{name} has no docstring")
            wanted = {*re.findall(r"{(\w+)}", path)}
            wanted |= {"query"} if query is not None else set()
            wanted |= {"body"} if body is not None else set()
            taken = list(inspect.signature(function).parameters)[1:]
            if set(taken) != wanted:
                raise TypeError(f"{name} takes {sorted(taken)}, its declaration gives {sorted(wanted)}")
            summary, _, rest = told.partition("\n")
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    name=name,
                    tag=self.tag,
                    summary=summary,
                    description=" ".join(rest.split()),
                    permissions=permissions,
                    handler=function,
                    query=query,
                    body=body,
                    answer=answer,
                    media=media,
                    status=status,
                    refuses=refuses or {},
                    legacy=legacy,
                    changes=(method not in ("GET", "HEAD") or legacy) if changes is None else changes,
                    tagged=tagged,
                    example=example,
                )
            )
            return function

        return declare
