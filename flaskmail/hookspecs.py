"""The hooks that plugins implement. Mark an implementation with ``hookimpl``::

    from flaskmail.hookspecs import hookimpl

    @hookimpl
    def jmap_datatypes(server):
        return [Note]

An implementation may leave out arguments that it does not need. All hooks are provisional until version 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from flaskmail.jmap.datatype import DataType
    from flaskmail.jmap.method import Method

PROJECT = "flaskmail"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function or method as the implementation of the hook of its name."""


@hookspec
def jmap_datatypes(server: Any) -> list[type[DataType]]:  # type: ignore[empty-body]
    """JMAP data types to serve, as classes; the standard methods, changes and storage come with them.

    Called once, when the server is made; what all plugins answer is put together in load order. A name that is there
    already, and an exception, stop the start with a ConfigError that names the plugin. Since 0.1.
    """


@hookspec
def jmap_methods(server: Any) -> list[Method]:  # type: ignore[empty-body]
    """JMAP methods that are none of the standard ones of a data type (``Core/echo``, ``Email/import``).

    Called once, when the server is made, after ``jmap_datatypes``; otherwise as there. Since 0.1.
    """


@hookspec
def startup(server: Any) -> None:
    """The server is whole: settings are read, types and methods registered, the store can be opened.

    Called once in each process that makes a server, before the first request, in load order. An exception stops the start
    with a ConfigError that names the plugin. Since 0.1.
    """
