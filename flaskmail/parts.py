"""What the code and the plugins bring to a server: data types, methods, capabilities. The same in every process."""

from __future__ import annotations

from collections.abc import Iterable

from flaskmail import builtin
from flaskmail.config import Settings
from flaskmail.datatypes import core, mail
from flaskmail.jmap.context import Limits
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.method import Capability
from flaskmail.plugins import ask, gather, load_plugins
from flaskmail.sessions import SessionExtras

BUILT_IN = (core, mail)


class Parts:
    """What is known from the code alone, and the same in every process: plugins, data types, methods, capabilities."""

    def __init__(self, server: object, settings: Settings, plugins: Iterable[object], installed: bool) -> None:
        self.plugins = load_plugins(
            builtin.PLUGINS,
            settings.plugins.paths,
            plugins,
            installed=installed,
            disabled=settings.plugins.disabled,
            configured=settings.plugins.options,
        )
        own = [kind for module in BUILT_IN for kind in module.types()]
        self.types = [*own, *(kind() for kind in gather(self.plugins, "jmap_datatypes", server=server))]
        self.methods = [method for module in BUILT_IN for method in module.METHODS]
        self.methods += gather(self.plugins, "jmap_methods", server=server)
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
        self.authorize = ask(self.plugins, "authorize")
        self.observe = ask(self.plugins, "observe")

    def engine(self, settings: Settings) -> Engine:
        """The engine with the limits of these settings. ConfigError when the parts do not fit together."""
        limits = Limits(**settings.limits())
        return Engine(self.types, self.methods, self.capabilities, limits, settings.jmap.strict_using)
