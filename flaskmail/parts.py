"""What the code and the plugins bring to a server: data types, methods, capabilities. The same in every process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flaskmail import builtin
from flaskmail.config import Settings
from flaskmail.datatypes import core, mail
from flaskmail.decisions.mistakes import Mistake
from flaskmail.errors import ConfigError, Problem
from flaskmail.jmap.context import Limits
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.method import Capability, Method
from flaskmail.jmap.methods import standard_methods
from flaskmail.plugins import ask, gather, load_plugins
from flaskmail.sessions import SessionExtras

BUILT_IN = (core, mail)

_METHOD = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)


class Parts:
    """What is known from the code alone, and the same in every process: plugins, data types, methods, capabilities."""

    def __init__(self, server: object, settings: Settings, plugins: Iterable[object], installed: bool) -> None:
        try:
            self.plugins = load_plugins(
                builtin.PLUGINS,
                settings.plugins.paths,
                plugins,
                installed=installed,
                disabled=settings.plugins.disabled,
                configured=settings.plugins.options,
            )
        except ConfigError as error:
            raise ConfigError([_located(problem, settings) for problem in error.problems]) from None
        own = [kind for module in BUILT_IN for kind in module.types()]
        self.types = [*own, *gather(self.plugins, "jmap_datatypes", _types(own), server=server)]
        self.methods = [method for module in BUILT_IN for method in module.METHODS]
        standard = [method for kind in self.types for method in standard_methods(kind)]
        self.methods += gather(self.plugins, "jmap_methods", _methods([*standard, *self.methods]), server=server)
        self.capabilities = [capability for module in BUILT_IN for capability in module.CAPABILITIES]
        known = {capability.urn for capability in self.capabilities}
        silent: set[str] = set()
        for urn in (*(kind.capability for kind in self.types), *(method.capability for method in self.methods)):
            # A capability that only a plugin names has nothing to say of itself.
            if urn not in known:
                known.add(urn)
                silent.add(urn)
                self.capabilities.append(Capability(urn, lambda limits: {}, lambda account, limits: {}))
        self.blob_finders = tuple(finder for module in BUILT_IN for finder in module.BLOB_FINDERS)
        self.session_extras = SessionExtras(self.plugins, silent)
        self.authenticate = ask(self.plugins, "authenticate")
        self.authenticate_elsewhere = ask(self.plugins, "authenticate", builtin=False)
        self.authorize = ask(self.plugins, "authorize")
        self.observe = ask(self.plugins, "observe")

    def engine(self, settings: Settings) -> Engine:
        """The engine with the limits of these settings. ConfigError when the parts do not fit together."""
        limits = Limits(**settings.limits())
        return Engine(self.types, self.methods, self.capabilities, limits, settings.jmap.strict_using)


def _located(problem: Problem, settings: Settings) -> Problem:
    """With where a setting that names plugins stands."""
    return replace(problem, where=settings.origin(problem.key)) if problem.where == "settings" else problem


def _types(known: Iterable[DataType]) -> Callable[[Any], DataType]:
    """Makes a type of the class that a plugin answers. known: those that are there already."""
    names = {kind.name for kind in known}

    def take(answer: Any) -> DataType:
        if not (isinstance(answer, type) and issubclass(answer, DataType)):
            raise Mistake(answer, "a class made of flaskmail.jmap.datatype.DataType")
        kind = answer()
        if kind.name in names:
            raise Mistake(kind.name, "a data type with a name that is not there yet")
        names.add(kind.name)
        return kind

    return take


def _methods(known: Iterable[Method]) -> Callable[[Any], Method]:
    """Takes a method that a plugin answers. known: those that are there already."""
    taken = {method.name: method for method in known}

    def take(answer: Any) -> Method:
        if not isinstance(answer, Method):
            raise Mistake(answer, "a flaskmail.jmap.method.Method")
        if not _METHOD.fullmatch(str(answer.name)):
            raise Mistake(answer.name, "the name of a method, like 'Foo/bar'")
        # RFC 8620 section 2: capabilities are URIs.
        if not _URI.fullmatch(str(answer.capability)):
            raise Mistake(answer.capability, f"the capability of {answer.name} as a URI")
        if not callable(answer.call):
            raise Mistake(answer.call, f"a function that answers {answer.name}")
        if taken.setdefault(answer.name, answer) is not answer:
            raise Mistake(answer.name, "a method with a name that is not there yet")
        return answer

    return take
