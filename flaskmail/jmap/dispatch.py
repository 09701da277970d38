"""The engine: one API request in, one response out (RFC 8620 sections 3.3 to 3.7)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flaskmail.errors import ConfigError, MethodError, Problem, RequestError
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.failures import as_method_error
from flaskmail.jmap.method import Capability, Method
from flaskmail.jmap.methods import standard_methods
from flaskmail.jmap.references import References, Response
from flaskmail.jmap.snapshots import Snapshots
from flaskmail.jmap.storage import Json, Record, Store
from flaskmail.jmap.wire import ERROR, Call, Request, encode_response, parse_request
from flaskmail.values import ijson
from flaskmail.values.checks import identifier, shown


class Engine:
    """The data types, methods and capabilities of one server. Stateless between requests; safe to use from many threads.

    types: their standard methods are added by the engine. methods: all others. strict_using: whether a capability opts
    into itself alone (``Capability.implies``). ConfigError names everything that is declared twice or refers to nothing.
    """

    def __init__(
        self,
        types: Iterable[DataType],
        methods: Iterable[Method],
        capabilities: Iterable[Capability],
        limits: Limits,
        strict_using: bool = False,
    ) -> None:
        types, methods, capabilities = list(types), list(methods), list(capabilities)
        self.types: Mapping[str, DataType] = {kind.name: kind for kind in types}
        self.capabilities: Mapping[str, Capability] = {capability.urn: capability for capability in capabilities}
        self.limits = limits
        found = [method for kind in types for method in standard_methods(kind)]
        # Whoever passes a type's standard methods too has not declared anything twice.
        found += [method for method in methods if not any(method is other for other in found)]
        self.methods: Mapping[str, Method] = {method.name: method for method in found}
        problems = [
            *_twice("data type", [kind.name for kind in types]),
            *_twice("method", [method.name for method in found]),
            *_twice("capability", [capability.urn for capability in capabilities]),
            *self._dangling(),
        ]
        if problems:
            raise ConfigError(problems)
        self._opts_into = {
            urn: frozenset({urn} if strict_using else {urn, *capability.implies})
            for urn, capability in self.capabilities.items()
        }

    def handle(self, ctx: Context, body: bytes, session_state: str) -> bytes:
        """The octets of the Response object for the octets of a Request object.

        ctx: made for this request alone. RequestError when the request as a whole is refused (RFC 8620 section 3.6.1);
        what goes wrong in a method call becomes its error response.
        """
        request = parse_request(body, self.limits)
        opted = self._opted(request.using, ctx.capabilities)
        if request.created_ids is not None:
            ctx.created_ids.update(request.created_ids)
        responses: list[Response] = []
        references = References(self.limits)
        store = ctx.store
        # What one call alone reads is one snapshot anyway.
        snapshots = Snapshots(store) if len(request.calls) > 1 else None
        try:
            for call in request.calls:
                ctx.store = self._store_for(call, store, snapshots)
                for name, arguments in self._respond(ctx, call, opted, references, responses):
                    responses.append((name, arguments, call.id))
        finally:
            ctx.store = store
            if snapshots is not None:
                snapshots.release()
        return _encode(responses, session_state, request, ctx)

    def _store_for(self, call: Call, store: Store, snapshots: Snapshots | None) -> Store:
        """Calls that only read share a snapshot; one that writes begins and leaves with none."""
        if snapshots is None:
            return store
        method = self.methods.get(call.name)
        if method is None or method.writes:
            snapshots.release()
            return store
        return snapshots

    def _opted(self, using: Sequence[str], allowed: frozenset[str] | None) -> frozenset[str]:
        opted: frozenset[str] = frozenset()
        for urn in using:
            urns = self._opts_into.get(urn)
            if urns is not None and allowed is not None:
                # RFC 8620 section 2: what the session does not show is not there for this credential.
                urns = urns & allowed if urn in allowed else None
            if urns is None:
                raise RequestError(
                    400, f"The server does not have the capability {shown(urn)}.", ERROR + "unknownCapability"
                )
            opted |= urns
        return opted

    def _respond(
        self, ctx: Context, call: Call, opted: frozenset[str], references: References, responses: Sequence[Response]
    ) -> Sequence[tuple[str, Json]]:
        try:
            method = self.methods.get(call.name)
            if method is None or method.capability not in opted:
                raise self._unknown(call.name, method)
            ctx.check_time()
            arguments = references.resolve(call.arguments, responses)
            ctx.account = _account(ctx, method, arguments) if method.account else None
            answer = method.call(ctx, arguments)
            return [(method.name, answer)] if isinstance(answer, Mapping) else _named(answer)
        except (Exception, SystemExit) as error:
            return [("error", as_method_error(error, call.name).wire())]
        finally:
            ctx.account = None

    def _unknown(self, name: str, method: Method | None) -> MethodError:
        if method is not None:
            return MethodError("unknownMethod", f'{name} needs {method.capability} in "using".')
        near = difflib.get_close_matches(name[:100], self.methods, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return MethodError("unknownMethod", f"There is no method {shown(name)}.{hint}")

    def _dangling(self) -> Iterable[Problem]:
        for method in self.methods.values():
            if method.capability not in self.capabilities:
                yield Problem("jmap", method.name, repr(method.capability), "a capability that is registered")
        for kind in self.types.values():
            for name, prop in kind.props.items():
                if prop.xref is not None and prop.xref not in self.types:
                    yield Problem(
                        "jmap", f"{kind.name}.{name}", f"xref {prop.xref!r}", "a data type that is registered"
                    )


def _named(answer: Any) -> list[tuple[str, Record]]:
    """Several responses of one call, each with its name. TypeError for what a method must not answer."""
    found = [(name, arguments) for name, arguments in answer]
    if not all(isinstance(name, str) and isinstance(arguments, Mapping) for name, arguments in found):
        raise TypeError("a method answered neither an object nor named objects")
    return found


def _account(ctx: Context, method: Method, arguments: Record) -> AccountAccess:
    """The account that a call is about. RFC 8620 section 3.6.2."""
    if "accountId" not in arguments:
        raise MethodError("invalidArguments", '"accountId" is required.', arguments=["accountId"])
    wrong = identifier(arguments["accountId"])
    if wrong is not None:
        raise MethodError("invalidArguments", f'"accountId" {wrong}.', arguments=["accountId"])
    access = ctx.accounts.get(arguments["accountId"])
    if access is None:
        raise MethodError("accountNotFound", "There is no such account, or not for this user.")
    if method.writes and access.is_read_only:
        raise MethodError("accountReadOnly", "This account is read-only.")
    return access


def _encode(responses: list[Response], session_state: str, request: Request, ctx: Context) -> bytes:
    created_ids = None if request.created_ids is None else ctx.created_ids
    try:
        return encode_response(responses, session_state, created_ids)
    except Exception:
        # One answer that is no JSON must not take the others with it.
        return encode_response([_checked(response) for response in responses], session_state, created_ids)


def _checked(response: Response) -> Response:
    try:
        ijson.dumps(response)
    except Exception as error:
        return "error", as_method_error(error, response[0]).wire(), response[2]
    return response


def _twice(what: str, names: Sequence[str]) -> Iterable[Problem]:
    seen: dict[str, Any] = {}
    for name in names:
        if name in seen:
            yield Problem("jmap", name, f"a second {what} of that name", f"each {what} once")
        seen[name] = True
