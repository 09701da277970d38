"""The six standard methods (RFC 8620 section 5), written once for every data type."""

from __future__ import annotations

from functools import cache

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method


@cache
def _made(kind: DataType) -> tuple[Method, ...]:
    from flaskmail.jmap.methods.changes import changes_method
    from flaskmail.jmap.methods.copy import copy_method
    from flaskmail.jmap.methods.get import get_method
    from flaskmail.jmap.methods.query import query_method
    from flaskmail.jmap.methods.querychanges import query_changes_method
    from flaskmail.jmap.methods.set import set_method

    makers = {
        "get": get_method,
        "changes": changes_method,
        "set": set_method,
        "copy": copy_method,
        "query": query_method,
        "queryChanges": query_changes_method,
    }
    return tuple(makers[name](kind) for name in kind.methods)


def standard_methods(kind: DataType) -> list[Method]:
    """The standard methods that the type declares; the same objects each time for the same type."""
    return list(_made(kind))
