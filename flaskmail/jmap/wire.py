"""The Request and Response objects (RFC 8620 sections 3.3 and 3.4) on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flaskmail.errors import RequestError
from flaskmail.jmap.context import Limits
from flaskmail.jmap.storage import Json, Record
from flaskmail.values import ijson
from flaskmail.values.checks import identifier, map_of

ERROR = "urn:ietf:params:jmap:error:"
"""What the problem types of RFC 8620 section 3.6.1 begin with."""

_created_ids = map_of(identifier, identifier)


@dataclass(frozen=True, slots=True)
class Call:
    """One Invocation (RFC 8620 section 3.2). arguments: as sent, result references not yet resolved."""

    name: str
    arguments: Record
    id: str


@dataclass(frozen=True, slots=True)
class Request:
    """One Request object. created_ids: as sent, or None when the client sent none and wants none back."""

    using: Sequence[str]
    calls: Sequence[Call]
    created_ids: Mapping[str, str] | None


def parse_request(body: bytes | memoryview, limits: Limits) -> Request:
    """The Request object in the octets of a body. RequestError 400: ``limit`` (``maxSizeRequest``, ``maxCallsInRequest``),
    ``notJSON`` when it is not I-JSON, ``notRequest`` when it is JSON of another form. RFC 8620 section 3.6.1."""
    if len(body) > limits.maxSizeRequest:
        raise over_limit("maxSizeRequest", f"The request has more than {limits.maxSizeRequest} octets.")
    try:
        document = ijson.loads(body)
    except ijson.NotIJson as error:
        raise RequestError(400, str(error), ERROR + "notJSON") from None
    if not isinstance(document, dict):
        raise _not_request("The request must be an object.")
    # RFC 8620 section 3.3: members that the server does not understand are ignored.
    using, method_calls = document.get("using"), document.get("methodCalls")
    if not isinstance(using, list) or not all(isinstance(urn, str) for urn in using):
        raise _not_request('"using" must be an array of text.')
    if not isinstance(method_calls, list):
        raise _not_request('"methodCalls" must be an array.')
    if len(method_calls) > limits.maxCallsInRequest:
        raise over_limit(
            "maxCallsInRequest", f"{len(method_calls)} method calls are more than {limits.maxCallsInRequest}."
        )
    calls = [_call(index, item) for index, item in enumerate(method_calls)]
    created_ids = document.get("createdIds")
    if created_ids is not None:
        wrong = _created_ids(created_ids)
        if wrong is not None:
            raise _not_request(f'"createdIds" {wrong}.')
    return Request(using, calls, created_ids)


def encode_response(
    responses: Sequence[tuple[str, Json, str]], session_state: str, created_ids: Mapping[str, str] | None
) -> bytes:
    """The Response object. responses: (name, arguments, method call id); created_ids: None leaves the member out."""
    response: Record = {"methodResponses": responses, "sessionState": session_state}
    if created_ids is not None:
        response["createdIds"] = created_ids
    return ijson.dumps(response)


def over_limit(limit: str, detail: str, status: int = 400, headers: Mapping[str, str] | None = None) -> RequestError:
    """The ``limit`` problem (RFC 8620 section 3.6.1); ``limit`` is the name that the session advertises."""
    return RequestError(status, detail, ERROR + "limit", extra={"limit": limit}, headers=headers)


def _call(index: int, item: Json) -> Call:
    if isinstance(item, list) and len(item) == 3:
        name, arguments, call_id = item
        if isinstance(name, str) and isinstance(arguments, dict) and isinstance(call_id, str):
            return Call(name, arguments, call_id)
    raise _not_request(
        f'Item {index} of "methodCalls" must be an array of a name, an object of arguments and a call id.'
    )


def _not_request(detail: str) -> RequestError:
    return RequestError(400, detail, ERROR + "notRequest")
