"""The OpenAPI 3.1 document, made from the declarations of the operations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from flaskmail.management.dispatch import MAX_BODY, SWITCHES, Api
from flaskmail.management.operation import Octets, Operation, Query

_REF = "#/components/schemas/{name}"

_INTRODUCTION = (
    'Manages a flaskmail server. Success is `{"data": …}`; a refusal is a problem object (RFC 9457) with a real status, which'
    " also carries the members of the old API's errors (`error`, `field`, `item`, …). Names that lie outside of your domain do"
    " not exist for you: they are 404. Every change is written to the audit log."
)

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457). `error` and its companions are those of the old API.",
    "examples": [
        {
            "type": "about:blank",
            "status": 404,
            "title": "Not Found",
            "detail": "There is no principal 'alcie@example.org' (did you mean 'alice@example.org'?)",
            "error": "notFound",
            "item": "alcie@example.org",
        }
    ],
    "required": ["type", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "about:blank: the status says it all."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "title": {"type": "string"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "member": {"type": "string", "description": "What is wrong in the body or the query."},
        "expected": {"type": "string", "description": "What should stand there."},
        "nearest": {"type": "string", "description": "The nearest right name."},
        "permission": {"type": "string", "description": "The permission that is missing."},
        "problems": {"type": "array", "items": {"type": "object"}, "description": "All that is wrong with settings."},
        "error": {
            "type": "string",
            "enum": ["fieldAlreadyExists", "fieldMissing", "notFound", "unsupported", "assertFailed", "other"],
        },
        "field": {"type": ["string", "null"]},
        "value": {"type": ["string", "null"]},
        "item": {"type": ["string", "null"]},
        "details": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"]},
        "scope": {"type": "string", "description": "The scope that the credential lacks."},
        "job": {"type": ["string", "null"], "description": "The job that runs already."},
        "limit": {"type": "string"},
        "errorId": {"type": "string", "description": "Under which the server's log says more."},
    },
}

REASONS = {
    400: "The query or the body is wrong: the problem names the member.",
    401: "The credentials are missing or wrong.",
    403: "The permission that the problem names is missing.",
    404: "There is none of that name, or it lies outside of your domain.",
    409: "The present state does not allow it.",
    412: "If-Match names another state than the present one.",
    413: f"The body is larger than {MAX_BODY} octets.",
    414: "The URL is longer than server.limit-request-line allows.",
    415: "The body is not application/json.",
    429: "Too many requests or too many wrong passwords: Retry-After says when to come back.",
    500: "An error of the server's.",
    503: "The server cannot do this now.",
}
"""Why a status comes back, where the operation says nothing more special."""

PARAMETERS: Mapping[str, tuple[str, str]] = {
    "principal": ("A name, or an id.", "alice@example.org"),
    "domain": ("The name of a domain.", "example.com"),
    "records": ("The name of a domain.", "example.org"),
    "zone": ("The name of a domain.", "example.org"),
    "check": ("The name of a domain.", "example.org"),
    "dkim": ("The id of a key.", "rsa-example.org"),
    "client": ("The id of a client.", "webmail"),
    "credentials": ("The id of a credential, as the list has it.", "t0123456789abcdef"),
    "settings": ("The key of a setting.", "account.quota"),
    "reindex": ("The name or id of an account.", "bob@example.org"),
    "account": ("The name or id of an account.", "bob@example.org"),
    "blob": ("The name or id of an account.", "bob@example.org"),
    "blobs": ("The SHA-256 of the octets in hex, or a blobId.", hashlib.sha256(b"").hexdigest()),
    "jobs": ("The id of a job.", "0123456789abcdef"),
}
"""By what stands before a parameter in the path: what it is, and an example."""


def statuses(operation: Operation) -> Mapping[int, str]:
    """Every status of refusals that an operation can answer, with the reason."""
    found = {401, 403, 429, 500, 503, 400}
    if operation.parameters:
        found.add(404)
    if operation.query is not None or operation.parameters:
        found.add(414)
    if operation.body is not None:
        found |= {413, 415}
    if operation.tagged and operation.method != "GET":
        found.add(412)
    return {
        status: operation.refuses.get(status, REASONS.get(status, ""))
        for status in sorted({*found, *operation.refuses})
    }


def document(api: Api, base_url: str, *, legacy: bool = False) -> dict[str, Any]:
    """The document. base_url: where ``/api`` lies, without a final slash; legacy: with the old GETs that change something."""
    operations = [one for one in api.operations if legacy or not one.legacy]
    kinds = [kind for one in operations for kind in (one.body, _data(one)) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    of = {_key(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(f"/api{one.path}", {})[one.method.lower()] = dict(_operation(one, of))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "flaskmail management API",
            "version": version("flaskmail"),
            "description": _INTRODUCTION,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": _servers(base_url),
        "security": [{"basic": []}, {"bearer": []}],
        "tags": [{"name": name, "description": about} for name, about in api.tags.items()],
        "paths": paths,
        "components": {
            "schemas": {_clean(name): _renamed(schema) for name, schema in components.items()} | {"Problem": _PROBLEM},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "Name and password, or an app password."},
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, or an API key: api_ and the base64 of name:secret.",
                },
            },
        },
    }


def encoded(api: Api, base_url: str, *, legacy: bool = False) -> bytes:
    """The document as JSON; the arguments are those of ``document``. All but the URL is made once in a process."""
    return msgspec.json.encode(_members(api, legacy) | {"servers": _servers(base_url)})


@lru_cache(maxsize=2)
def _members(api: Api, legacy: bool) -> dict[str, Any]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in document(api, "", legacy=legacy).items()}


def _servers(base_url: str) -> list[dict[str, str]]:
    return [{"url": base_url or "/"}]


def _key(kind: Any) -> str:
    return repr(kind)


def _data(operation: Operation) -> Any:
    return None if operation.answer is Octets else operation.answer


def _operation(one: Operation, of: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "operationId", one.name
    yield "tags", [one.tag]
    yield "summary", one.summary.rstrip(".")
    yield "description", f"{one.description}\n\nNeeds {_either(one.permissions)}.".strip()
    yield "x-permissions", list(one.permissions)
    if one.legacy:
        yield "deprecated", True
    parameters = [*_in_path(one), *_in_query(one.query), *_in_headers(one)]
    if parameters:
        yield "parameters", parameters
    if one.body is not None:
        media: dict[str, Any] = {"schema": _renamed(of[_key(one.body)])}
        if one.example is not None:
            media["example"] = one.example
        yield "requestBody", {"required": True, "content": {"application/json": media}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused: dict[str, Any] = {
        str(status): {"description": why, "content": problem} for status, why in statuses(one).items()
    }
    if "414" in refused:
        # The HTTP server's own words, before any of ours.
        refused["414"].pop("content")
    for status, headers in _HEADERS.items():
        if status in refused:
            refused[status]["headers"] = headers
    unchanged = {"304": _UNCHANGED} if one.tagged and one.method == "GET" else {}
    yield "responses", {str(one.status): _success(one, of), **unchanged, **refused}


_AGAIN = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
_HEADERS: Mapping[str, Any] = {
    # RFC 9110 section 11.6.1.
    "401": {
        "WWW-Authenticate": {
            "description": "How to sign in.",
            "schema": {"type": "string"},
            "example": 'Bearer realm="flaskmail"',
        }
    },
    # RFC 6750 section 3.1.
    "403": {
        "WWW-Authenticate": {
            "description": "Which scope a token would have to have; only for tokens whose owner has the permission.",
            "schema": {"type": "string"},
            "example": 'Bearer realm="flaskmail", error="insufficient_scope", scope="urn:flaskmail:management"',
        }
    },
    "429": _AGAIN,
    "503": _AGAIN,
}
_TAG = {
    "description": "The entity tag of what is answered, or of what it has become.",
    "schema": {"type": "string"},
    "example": '"7-0123456789ab"',
}
_UNCHANGED = {"description": "If-None-Match names what is there still. No body.", "headers": {"ETag": _TAG}}


def _either(permissions: tuple[str, ...]) -> str:
    named = [f"`{name}`" for name in permissions]
    return f"the permission {named[0]}" if len(named) == 1 else f"one of the permissions {', '.join(named)}"


def _success(one: Operation, of: Mapping[str, Any]) -> dict[str, Any]:
    described = HTTPStatus(one.status).phrase
    if one.answer is Octets:
        return {"description": described, "content": {one.media: {"schema": {}}}}
    data = {"type": "null"} if one.answer is None else _renamed(of[_key(one.answer)])
    schema = {"type": "object", "required": ["data"], "properties": {"data": data}, "additionalProperties": False}
    headers = {"headers": {"ETag": _TAG}} if one.tagged else {}
    return {"description": described, **headers, "content": {one.media: {"schema": schema}}}


def _in_path(one: Operation) -> Iterator[dict[str, Any]]:
    parts = one.path.split("/")
    for name in one.parameters:
        told, example = PARAMETERS[parts[parts.index(f"{{{name}}}") - 1]]
        schema = {"type": "string", "minLength": 1}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": told,
            "schema": schema,
            "example": example,
        }


def _in_query(kind: type[Query] | None) -> Iterator[dict[str, Any]]:
    if kind is None:
        return
    schema = next(iter(msgspec.json.schema_components([kind], ref_template=_REF)[1].values()))
    for name, each in schema["properties"].items():
        each = _given(each)
        described = {"description": each.pop("description")} if "description" in each else {}
        if each.get("type") == "boolean":
            texts = [text for text in SWITCHES if text not in ("true", "false")]
            each = {
                "anyOf": [{"type": "boolean"}, {"type": "string", "enum": texts}],
                **{key: one for key, one in each.items() if key == "default"},
            }
        listed = {"style": "form", "explode": False} if each.get("type") == "array" else {}
        if "enum" in each.get("items", ()):
            # In a query, no name at all looks like an empty one.
            each = {key: one for key, one in each.items() if key != "default"} | {"minItems": 1}
        required = {"required": True} if name in schema.get("required", ()) else {}
        yield {"name": name, "in": "query", **described, **required, "schema": each, **listed}


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is there: no query can say null."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) != 1:
        return schema
    rest = {name: one for name, one in schema.items() if name != "anyOf" and (name, one) != ("default", None)}
    return {**others[0], **rest}


def _in_headers(one: Operation) -> Iterator[dict[str, Any]]:
    if one.tagged and one.method == "GET":
        yield {
            "name": "If-None-Match",
            "in": "header",
            "description": "The ETag of what is known already: 304 when it is that still.",
            "schema": {"type": "string"},
            "example": _TAG["example"],
        }
    elif one.tagged:
        yield {
            "name": "If-Match",
            "in": "header",
            "description": "The ETag of what was read: refused with 412 when it is another by now.",
            # RFC 9110 sections 8.8.3 and 13.1.1.
            "schema": {"type": "string", "pattern": r'^(\*|"[!#-~]*"(, ?"[!#-~]*")*)$'},
            "example": "*",
        }


def _clean(name: str) -> str:
    # OpenAPI 3.1 section 4.8.7.1: component names have letters, digits, full stops, hyphens and underscores.
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: "#/components/schemas/" + _clean(one.rpartition("/")[2]) if name == "$ref" else _renamed(one)
            for name, one in schema.items()
            # After maxItems it says nothing, and makers of clients stumble over a schema that is no object.
            if not (name == "items" and one is False and "maxItems" in schema)
        }
    return [_renamed(one) for one in schema] if isinstance(schema, list) else schema
