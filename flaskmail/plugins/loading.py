"""Finds plugins: our own, those of installed packages, those of folders, those that are given."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pluggy

from flaskmail.errors import ConfigError, Problem
from flaskmail.plugins.asking import RAISED, failed, guard
from flaskmail.plugins.manager import Loaded, Plugins

GROUP = "flaskmail"
"""The group of entry points in which packages announce plugins."""


def load_plugins(
    builtins: Iterable[tuple[str, object]] = (),
    folders: Iterable[str | Path] = (),
    explicit: Iterable[object] = (),
    *,
    installed: bool = True,
    disabled: Collection[str] = (),
    configured: Iterable[str] = (),
) -> Plugins:
    """A plugin manager with everything registered in load order.

    builtins: (name, plugin) pairs; then, when ``installed``, the entry points of the group ``flaskmail`` by name; then the
    ``*.py`` files of the folders by file name, those that begin with "_" left out, and single files; then the
    explicit ones, modules or objects. disabled: names of plugins of which nothing is run; configured: those that have a table in
    the settings. ConfigError, with all problems, when a plugin cannot be loaded,
    a name is there twice, an implementation is of no hook (the nearest one is named) or takes arguments that its hook does
    not have, a disabled one does not exist or is built in, or a configured one does not exist.
    """
    manager = Plugins()
    problems: list[Problem] = []

    def found(loaded: Loaded, make: Callable[[], object]) -> None:
        loaded = replace(loaded, blocked=loaded.name in disabled and loaded.source != "built-in")
        known = manager.loaded(loaded.name)
        if known is not None:
            of = f"{loaded.place} beside " + ("our own" if known.source == "built-in" else known.place)
            problems.append(Problem(loaded.name, "", f"a second plugin of that name: {of}", "each name once"))
            return
        manager.found.append(loaded)
        if loaded.blocked or loaded.source == "built-in":
            return
        try:
            plugin = make()
        except RAISED as error:
            where = f"entry point {loaded.name}" if loaded.source == "installed" else loaded.place
            problems.append(failed(where, loaded.place if loaded.source == "installed" else "", error))
        else:
            _register(manager, plugin, loaded.name, problems)

    ours = list(builtins)
    for name, plugin in ours:
        found(Loaded(name, "built-in", _place(plugin)), lambda plugin=plugin: plugin)  # type: ignore[misc]
    if installed:
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            version = entry.dist.version if entry.dist is not None else ""
            found(Loaded(entry.name, "installed", entry.value, version), entry.load)
    for place in map(Path, folders):
        if not place.exists():
            problems.append(Problem(str(place), "", "nothing", "a folder with plugins, or a plugin's file"))
            continue
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            if path == place or not path.name.startswith("_"):
                found(Loaded(path.stem, "folder", str(path)), lambda path=path: _load_file(path))  # type: ignore[misc]
    for plugin in explicit:
        if plugin is None or isinstance(plugin, (str, bytes, int, float)):
            problems.append(Problem("plugins", "", ascii(plugin)[:80], "a module or another object with hooks"))
            continue
        if any(plugin is known for known in manager.get_plugins()):
            # An author's tests give what is installed beside them.
            continue
        version = str(getattr(plugin, "__version__", ""))
        found(Loaded(_name_of(plugin), "given", _place(plugin), version), lambda plugin=plugin: plugin)  # type: ignore[misc]
    for name, plugin in ours:
        # Whoever is registered last of those with trylast is asked last: that others are asked too, ours have to be.
        _register(manager, plugin, name, problems)
    problems.extend(_misspelt(manager))
    problems.extend(misnamed(manager, disabled, configured))
    if problems:
        raise ConfigError(problems)
    guard(manager)
    return manager


def misnamed(manager: Plugins, disabled: Iterable[str], configured: Iterable[str]) -> Iterable[Problem]:
    """What is wrong with the names of plugins in the settings; the arguments are those of ``load_plugins``."""
    yield from _not_disabled(manager, disabled)
    names = [one.name for one in manager.found]
    for name in configured:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            wanted = "the table of a plugin that is loaded"
            yield Problem("settings", f"plugins.{name}", "a table", wanted, near[0] if near else "")


def _register(manager: Plugins, plugin: object, name: str, problems: list[Problem]) -> None:
    try:
        hash(plugin)
    except TypeError:
        problems.append(
            Problem(name, "", f"an unhashable {type(plugin).__name__}", "a module or another hashable object")
        )
        return
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        problems.append(Problem(name, "", str(error).replace("\n", " "), "implementations that fit their hooks"))
    except ValueError:
        problems.append(Problem(name, "", "a plugin that is registered under another name", "each plugin once"))
    else:
        problems.extend(_never_asked(manager, plugin, name))


def _never_asked(manager: Plugins, plugin: object, name: str) -> Iterable[Problem]:
    """Implementations that would be called and do nothing, or nothing of what they seem to do."""
    for caller in manager.get_hookcallers(plugin) or ():
        wanted = frozenset(caller.spec.argnames if caller.spec is not None else ())
        for one in caller.get_hookimpls():
            if one.plugin is not plugin or one.wrapper or one.hookwrapper:
                continue
            if inspect.iscoroutinefunction(one.function) or inspect.isasyncgenfunction(one.function):
                yield Problem(name, caller.name, "an async function", "a plain one: nobody awaits what it answers")
            elif inspect.isgeneratorfunction(one.function):
                yield Problem(
                    name, caller.name, "a function that yields", "one that returns, or hookimpl(wrapper=True)"
                )
            for parameter in inspect.signature(one.function).parameters.values():
                if parameter.kind is parameter.KEYWORD_ONLY and (
                    parameter.name in wanted or parameter.default is parameter.empty
                ):
                    found = f"the argument {parameter.name} by name only"
                    yield Problem(name, caller.name, found, "arguments that can be passed by their places")


def _load_file(path: Path) -> ModuleType:
    """The module in a file, loaded anew for each server, so that two servers share nothing."""
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"flaskmail_plugin_{place}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _misspelt(manager: Plugins) -> Iterable[Problem]:
    known: Sequence[str] = [name for name, hook in _hooks(manager) if hook.has_spec()]
    for name, hook in _hooks(manager):
        if hook.has_spec():
            continue
        near = difflib.get_close_matches(name, known, 1)
        for implementation in hook.get_hookimpls():
            if not implementation.optionalhook:
                yield Problem(
                    implementation.plugin_name,
                    name,
                    "a hook implementation",
                    "the name of a hook",
                    near[0] if near else "",
                )


def _hooks(manager: Plugins) -> list[tuple[str, pluggy.HookCaller]]:
    return [(name, hook) for name, hook in vars(manager.hook).items() if isinstance(hook, pluggy.HookCaller)]


def _name_of(plugin: object) -> str:
    name = getattr(plugin, "__name__", None)
    return name if isinstance(name, str) else f"{type(plugin).__module__}.{type(plugin).__qualname__}@{id(plugin):x}"


def _place(plugin: object) -> str:
    """The file of a module, the class of an object."""
    file = getattr(plugin, "__file__", None)
    return file if isinstance(file, str) else f"{type(plugin).__module__}.{type(plugin).__qualname__}"


def _not_disabled(manager: Plugins, disabled: Iterable[str]) -> Iterable[Problem]:
    known = [one.name for one in manager.found if one.source != "built-in"]
    for name in disabled:
        if manager.is_builtin(name):
            wanted = "no built-in plugin: a plugin that answers first takes its place"
            yield Problem("settings", "plugins.disabled", repr(name), wanted)
        elif name not in known:
            near = difflib.get_close_matches(name, known, 1)
            yield Problem("settings", "plugins.disabled", repr(name), "the name of a plugin", near[0] if near else "")
