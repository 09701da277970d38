"""The plugins: which there are, what they do, and how often they failed."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from flaskmail.hookspecs import HOOKS
from flaskmail.management.operation import Call, Listing, Paged, Resource
from flaskmail.plugins import Plugins

resource = Resource("plugins", "The plugins: which there are, what they do, and how often they failed.")


class Failure(msgspec.Struct):
    """How often a plugin failed a hook since its worker started. pid: that worker."""

    hook: str
    count: int
    pid: int


class Plugin(msgspec.Struct):
    """A plugin. source: built-in, installed, folder or given; blocked: it stands in plugins.disabled; hooks: each with the
    plugin's turn when it is asked; provisional: those of them that may still change; failures: those that failed in the process
    that answers."""

    name: str
    version: str
    source: str
    file: str
    blocked: bool
    hooks: dict[str, int]
    provisional: list[str]
    failures: list[Failure]


class PluginQuery(Paged, kw_only=True):
    """Which plugins."""

    all: Annotated[bool, msgspec.Meta(description="The built-in ones, too.")] = False


def described(manager: Plugins) -> list[Plugin]:
    """Every plugin, in load order."""
    found = []
    for one in manager.found:
        plugin = manager.get_plugin(one.name)
        hooks = manager.hooks_of(one.name)
        failed = sorted(manager.failures.items())
        found.append(
            Plugin(
                name=one.name,
                version=one.version or str(getattr(plugin, "__version__", "")),
                source=one.source,
                file=str(getattr(plugin, "__file__", None) or one.place),
                blocked=one.blocked,
                hooks=hooks,
                provisional=[hook for hook in hooks if not HOOKS[hook].stable],
                failures=[Failure(hook, count, os.getpid()) for (name, hook), count in failed if name == one.name],
            )
        )
    return found


@resource.operation(
    "GET", "/plugins", "plugin.list", permissions=("plugin-list",), query=PluginQuery, answer=Listing[Plugin]
)
def plugins(call: Call, query: PluginQuery) -> Listing[Plugin]:
    """List the plugins in the order in which they are loaded.

    Failures are those of the worker process that answers."""
    return query.of(one for one in described(call.server.plugins) if query.all or one.source != "built-in")
