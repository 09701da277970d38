"""The plugins of one server or policy, and what is known of each."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

import pluggy

from flaskmail import hookspecs
from flaskmail.hookspecs import HOOKS


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that was found. source: "built-in", "installed", "folder" or "given"; place: the file or the class; version: of
    the package that announces it, "" for others; blocked: it is in ``plugins.disabled``, so nothing of it was run."""

    name: str
    source: str
    place: str
    version: str = ""
    blocked: bool = False


class Plugins(pluggy.PluginManager):
    """A plugin manager that knows the hooks of flaskmail.

    found: every plugin in load order, blocked ones too. failures: how often a plugin failed a hook, by (plugin, hook).
    """

    def __init__(self) -> None:
        super().__init__(hookspecs.PROJECT)
        self.add_hookspecs(hookspecs)
        self.found: list[Loaded] = []
        self.failures: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note_failure(self, plugin: str, hook: str) -> int:
        """Counts a failure and answers how many there are now."""
        with self._lock:
            self.failures[plugin, hook] += 1
            return self.failures[plugin, hook]

    def loaded(self, name: str) -> Loaded | None:
        """What is known of a plugin."""
        return next((one for one in self.found if one.name == name), None)

    def is_builtin(self, name: str) -> bool:
        """Whether a plugin is ours."""
        one = self.loaded(name)
        return one is not None and one.source == "built-in"

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Who implements a hook, in the order in which they are asked; wrappers first."""
        caller: pluggy.HookCaller = getattr(self.hook, hook)
        return list(reversed(caller.get_hookimpls()))

    def hooks_of(self, name: str) -> dict[str, int]:
        """The hooks that a plugin implements, each with its place, from 1, among those that are asked."""
        places = {}
        for hook in HOOKS:
            for place, one in enumerate(self.implementations(hook), 1):
                if one.plugin_name == name:
                    places[hook] = place
        return places
