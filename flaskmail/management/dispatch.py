"""From a request to an operation and back: routing, permissions, what comes in, the audit log, errors.

Nothing here knows of Flask: the blueprint (:mod:`flaskmail.web.management`) and the command line both call :func:`answer`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from flaskmail.accounts.authorization import Access
from flaskmail.accounts.faults import DirectoryError
from flaskmail.accounts.principals import Principal
from flaskmail.errors import ConfigError, OverQuota, RequestError
from flaskmail.management import audit
from flaskmail.management.operation import Call, Octets, Operation, Resource
from flaskmail.management.refusals import changed, invalid, of_directory, of_settings, of_validation
from flaskmail.server import Server
from flaskmail.values import ijson

MAX_BODY = 1024 * 1024
"""Octets of a request's body."""

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. segments: the path below ``/api``, decoded, split at its slashes. query: decoded pairs in their order.
    headers: by names in lower case. read: gives the body, with the most octets that are wanted; it may raise RequestError.
    address: the client's, "" when not known. base_url: gives what URLs begin with."""

    method: str
    segments: tuple[str, ...]
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[int], bytes] = lambda limit: b""
    address: str = ""
    base_url: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. body: octets, or pieces of them as they come. operation: which one answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Iterator[bytes]
    operation: Operation


class Api:
    """Every operation of these resources. ValueError when two have the same method and path, or the same name."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)
        self.operations = tuple(one for resource in self.resources for one in resource.operations)
        names: set[str] = set()
        self._routes: dict[int, list[tuple[tuple[str, ...], dict[str, Operation]]]] = {}
        for operation in self.operations:
            if operation.name in names:
                raise ValueError(f"two operations are called {operation.name}")
            names.add(operation.name)
            self._add(operation)

    def _add(self, operation: Operation) -> None:
        template = tuple(operation.path.strip("/").split("/"))
        same = self._routes.setdefault(len(template), [])
        for other, methods in same:
            if [part if part[0] != "{" else "{}" for part in other] == [
                part if part[0] != "{" else "{}" for part in template
            ]:
                if operation.method in methods:
                    raise ValueError(f"two operations answer {operation.method} {operation.path}")
                methods[operation.method] = operation
                return
        same.append((template, {operation.method: operation}))
        # A fixed segment goes before a parameter in the same place.
        same.sort(key=lambda route: [part[0] == "{" for part in route[0]])

    def find(self, method: str, segments: Sequence[str], legacy: bool = False) -> tuple[Operation, dict[str, str]]:
        """The operation for a path and the values of its parameters. legacy: whether ``management.legacy-get`` is on.

        Raises RequestError 404, or 405 with Allow."""
        found = self._here(segments, legacy)
        wanted = found.get(method) or (found.get("GET") if method == "HEAD" else None)
        if wanted is None:
            raise RequestError(
                405,
                "This address does not take this method; the Allow header names those that it does.",
                headers={"Allow": _allowed(found)},
            )
        return wanted

    def methods(self, segments: Sequence[str], legacy: bool = False) -> str:
        """The value of Allow for a path (RFC 9110 section 10.2.1). Raises RequestError 404."""
        return _allowed(self._here(segments, legacy))

    def _here(self, segments: Sequence[str], legacy: bool) -> dict[str, tuple[Operation, dict[str, str]]]:
        found: dict[str, tuple[Operation, dict[str, str]]] = {}
        for template, methods in self._routes.get(len(segments), ()):
            if any(part[0] != "{" and part != segment for part, segment in zip(template, segments, strict=True)):
                continue
            pairs = zip(template, segments, strict=True)
            values = {part[1:-1]: segment for part, segment in pairs if part[0] == "{"}
            if not all(values.values()):
                continue
            for name, operation in methods.items():
                if legacy or not operation.legacy:
                    found.setdefault(name, (operation, dict(zip(operation.parameters, values.values(), strict=True))))
            if found:
                # As OpenAPI 3.1 section 4.8.8.2 has it: a fixed path is none of those with a parameter in its place.
                break
        if not found:
            raise RequestError(404, "There is nothing at this address.", extra={"error": "notFound", "item": None})
        return found

    def answer(
        self, server: Server, request: Request, who: Callable[[], tuple[Principal, Access]], *, legacy: bool = False
    ) -> Answer:
        """Answers a request. who: says who asks and what he may do, or raises RequestError.

        Raises RequestError for everything that is refused; StoreError when the store cannot do it now."""
        operation, values = self.find(request.method, request.segments, legacy)
        principal, access = who()
        held = next((permission for permission in operation.permissions if access.may(permission)), None)
        if held is None:
            raise access.lacking(*operation.permissions)
        server.heed_plugins(principal, held, {"operation": operation.name, **values})
        given: dict[str, Any] = dict(values)
        if operation.query is not None:
            given["query"] = read_query(operation.query, request.query)
        elif request.query:
            raise invalid(request.query[0][0], "this takes no parameters in the query")
        body = None
        if operation.body is not None:
            body = given["body"] = read_body(operation.body, request)
        call = Call(
            server=server,
            principal=principal,
            access=access,
            address=request.address,
            base_url=request.base_url,
            if_match=_tags(request.headers.get("if-match")),
            if_none_match=_tags(request.headers.get("if-none-match")),
            asker=who,
        )
        # RFC 9110 section 13.1.1: what has no entity tag is none of those that If-Match names, so it is not done.
        if not operation.tagged and not call.matches(None):
            raise changed("If-Match names an entity tag, and what is at this address has none.")
        if not operation.changes:
            return self._said(operation, call, self._handled(operation, call, given))
        with audit.kept(operation, call, "/" + "/".join(request.segments), body):
            result = self._handled(operation, call, given)
        return self._said(operation, call, result)

    def _handled(self, operation: Operation, call: Call, given: dict[str, Any]) -> Any:
        try:
            return operation.handler(call, **given)
        except DirectoryError as error:
            raise of_directory(error) from error
        except ConfigError as error:
            raise of_settings(error) from error
        except OverQuota as error:
            # Here it is the disk's: no quota holds for what administrators make.
            raise RequestError(
                503, f"{str(error)[:1].upper()}{str(error)[1:]}.", headers={"Retry-After": "60"}
            ) from error

    def _said(self, operation: Operation, call: Call, result: Any) -> Answer:
        # Whatever is told here concerns one administrator: no cache may keep it.
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **call.headers}
        if isinstance(result, Octets):
            headers |= {"Content-Type": result.content_type, **dict(result.headers)}
            return Answer(operation.status, tuple(headers.items()), result.body, operation)
        tag = headers.get("ETag")
        if tag is not None and operation.method == "GET":
            if not call.matches(tag):
                raise changed("It is another one by now.")
            if call.known(tag):
                return Answer(304, tuple(headers.items()), b"", operation)
        headers["Content-Type"] = JSON
        return Answer(operation.status, tuple(headers.items()), msgspec.json.encode({"data": result}), operation)

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """The sentence about each tag."""
        return {resource.tag: resource.about for resource in self.resources}


def _allowed(methods: Collection[str]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))


_TAG = r'(?:W/)?"[^"]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")


def _tags(header: str | None) -> tuple[str, ...] | None:
    if header is None:
        return None
    text = header.strip(" \t")
    # RFC 9110 section 13.1.1: "*" stands alone. What is malformed names no state at all.
    if text == "*":
        return ("*",)
    return tuple(re.findall(_TAG, text)) if _TAGS.fullmatch(text) else ()


SWITCHES = MappingProxyType({"": True, "true": True, "True": True, "false": False, "False": False})
"""What a query may say of a switch. Those of the old API are written without a value, as ?dry-run; Python writes True."""


def read_query(kind: type[Any], pairs: Sequence[tuple[str, str]]) -> Any:
    """The query as its Struct. Raises RequestError 400 that names the parameter."""
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    hints = get_type_hints(kind)
    given: dict[str, Any] = {}
    for name, text in pairs:
        if name in given:
            raise invalid(name, "the parameter stands twice in the query")
        one = fields.get(name)
        if one is not None and get_origin(hints[one.name]) in (tuple, list):
            given[name] = [part for part in text.split(",") if part]
            if not all(text.split(",")) and one.name not in _plain(kind):
                raise invalid(name, "names are wanted, separated by commas, none of them empty", repr(text[:80]))
        elif one is not None and hints[one.name] is bool:
            if text not in SWITCHES:
                raise invalid(name, "true or false is wanted", repr(text[:80]))
            given[name] = SWITCHES[text]
        else:
            given[name] = text
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise of_validation(str(error), kind, given, "the query") from None


def _plain(kind: type[Any]) -> frozenset[str]:
    """The lists of any texts, where an empty one says nothing and is passed over."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if str in get_args(_bare(hint)))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def read_body(kind: Any, request: Request) -> Any:
    """The body as the declared type. Raises RequestError 400, 413 or 415."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise RequestError(415, "The Content-Type of the body is application/json.")
    octets = request.read(MAX_BODY)
    try:
        value = ijson.loads(octets)
    except ijson.NotIJson as error:
        raise RequestError(400, str(error), extra={"error": "other", "details": str(error), "reason": None}) from None
    try:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error):
                raise
            # RFC 8259 section 6: 1.0 is the number that 1 is.
            return msgspec.convert(_whole(value), kind)
    except msgspec.ValidationError as error:
        raise of_validation(str(error), kind, value, "the body") from None


def _whole(value: Any) -> Any:
    """The value with integers instead of floats that have no fraction."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
