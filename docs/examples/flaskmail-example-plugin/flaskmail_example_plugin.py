"""Says hello: a page, a JMAP method with its capability, and a function for expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from flaskmail.expressions import Function, Parameter, Type
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.method import Method

CAPABILITY = "https://example.com/jmap/hello"
NAME = "example"


def greeting(options: Mapping[str, Any], who: str) -> str:
    """What is said to somebody. options: the table ``[plugins.example]``."""
    return f"{options.get('greeting', 'Hello')}, {who}!"


@hookimpl
def startup(server: Any) -> None:
    """Refuses settings that make no sense."""
    if not isinstance(options_of(server).get("greeting", ""), str):
        raise ValueError("plugins.example.greeting is no text")


@hookimpl
def register_blueprints(server: Any) -> list[tuple[Blueprint, str]]:
    """The page ``/hello``."""
    pages = Blueprint("example", __name__)

    @pages.get("/hello")
    def hello() -> tuple[str, int, dict[str, str]]:
        return greeting(options_of(server), "world"), 200, {"Content-Type": "text/plain; charset=utf-8"}

    return [(pages, "")]


@hookimpl
def jmap_methods(server: Any) -> list[Method]:
    """The method ``Example/hello``."""
    return [Method("Example/hello", CAPABILITY, lambda ctx, _: {"text": greeting(options_of(server), ctx.username)})]


@hookimpl
def session_capabilities(account: object) -> dict[str, Any]:
    """What clients may know of the capability before they use it."""
    return {CAPABILITY: {"version": 1} if account is None else {}}


@hookimpl
def discovery_metadata(server: Any) -> dict[str, str]:
    """Where people find help, for clients that show it."""
    support = options_of(server).get("support")
    return {"https://example.com/support": support} if support else {}


@hookimpl
def expression_functions() -> list[Function]:
    """``is_greeting(text)`` for the expressions of the settings."""
    return [
        Function(
            "is_greeting",
            lambda text: int(text.lower().startswith("hello")),
            (Parameter("text"),),
            Type.INTEGER,
            "Whether a text begins with hello.",
            (("is_greeting('Hello, world')", 1),),
        )
    ]


def options_of(server: Any) -> Mapping[str, Any]:
    """The table ``[plugins.example]``."""
    found: Mapping[str, Any] = server.settings.plugins.options.get(NAME, {})
    return found
