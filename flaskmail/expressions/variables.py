"""The variables that expressions about an HTTP request may use."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.expressions.types import Type


@dataclass(frozen=True, slots=True)
class Variable:
    """name; type; doc: sentences in Markdown; example: a likely value as it stands in an expression."""

    name: str
    type: Type
    doc: str
    example: str


HTTP: tuple[Variable, ...] = (
    Variable(
        "listener",
        Type.TEXT,
        "The id of the listener that took the connection; `default` where none is named.",
        "'default'",
    ),
    Variable(
        "remote_ip",
        Type.TEXT,
        "The address of the client; behind a trusted proxy the one that the proxy names. Empty when it is unknown.",
        "'192.0.2.1'",
    ),
    Variable(
        "remote_port", Type.INTEGER, "The port of the other end of the connection; 0 when it is unknown.", "50000"
    ),
    Variable("local_ip", Type.TEXT, "The address that took the connection; empty on a Unix socket.", "'127.0.0.1'"),
    Variable(
        "local_port",
        Type.INTEGER,
        "The port that took the connection; behind a trusted proxy the one that the client used.",
        "8080",
    ),
    Variable("protocol", Type.TEXT, "`https` or `http`, as the client used it.", "'https'"),
    Variable("is_tls", Type.INTEGER, "1 if `protocol` is `https`, else 0.", "1"),
    Variable("url", Type.TEXT, "The path and query as they were received.", "'/jmap/session?a=b'"),
    Variable("url_path", Type.TEXT, "The path.", "'/jmap/session'"),
    Variable(
        "headers", Type.LIST, "The header fields of the request, `name: value`, names in lower case.", "['accept: */*']"
    ),
    Variable("method", Type.TEXT, "The method of the request.", "'GET'"),
)
"""Every variable of an HTTP request."""

HTTP_TYPES: dict[str, Type] = {variable.name: variable.type for variable in HTTP}
"""Name -> type, for ``compile_expression``."""
