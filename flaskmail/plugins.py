"""Finds plugins and asks their hooks. One plugin manager for each server, never a global one."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from flaskmail import hookspecs
from flaskmail.errors import ConfigError, Problem

GROUP = "flaskmail"
"""The group of entry points in which packages announce plugins."""


def load_plugins(
    builtins: Iterable[tuple[str, object]] = (),
    folders: Iterable[str | Path] = (),
    explicit: Iterable[object] = (),
    *,
    installed: bool = True,
) -> pluggy.PluginManager:
    """A plugin manager with everything registered in load order.

    builtins: (name, plugin) pairs; then, when ``installed``, the entry points of the group ``flaskmail`` by name; then the
    ``*.py`` files of the folders by file name, those that begin with "_" left out; then the explicit ones, modules or
    objects. ConfigError, with all problems, when a plugin cannot be loaded, a name is there twice, or an
    implementation is of no hook (the nearest one is named) or takes arguments that its hook does not have.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    problems: list[Problem] = []
    for name, plugin in builtins:
        _register(manager, plugin, name, problems)
    if installed:
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            try:
                plugin = entry.load()
            except Exception as error:
                problems.append(_failed(f"entry point {entry.name}", entry.value, error))
            else:
                _register(manager, plugin, entry.name, problems)
    for folder in folders:
        _register_folder(manager, Path(folder), problems)
    for plugin in explicit:
        _register(manager, plugin, _name_of(plugin), problems)
    problems.extend(_misspelt(manager))
    if problems:
        raise ConfigError(problems)
    return manager


def gather(manager: pluggy.PluginManager, hook: str, server: object) -> list[Any]:
    """Everything that the plugins' implementations of a start-up hook answer, in load order, lists put together.

    ConfigError that names the plugin when one raises or answers neither a list nor None.
    """
    out: list[Any] = []
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    answering = {one.plugin: None for one in caller.get_hookimpls() if not (one.wrapper or one.hookwrapper)}
    for name, plugin in manager.list_name_plugin():
        if plugin not in answering:
            continue
        # Asked one by one, so that the one that fails is known; wrappers stay around each.
        others = [other for other in answering if other is not plugin]
        try:
            answers = manager.subset_hook_caller(hook, others)(server=server)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError([_failed(name, hook, error)]) from error
        for answer in answers:
            if not isinstance(answer, (list, tuple)):
                raise ConfigError([Problem(name, hook, type(answer).__name__, "a list")])
            out.extend(answer)
    return out


def start(manager: pluggy.PluginManager, server: object) -> None:
    """Calls every plugin's ``startup`` in load order; ConfigError that names the plugin when one raises."""
    gather(manager, "startup", server)


def _register(manager: pluggy.PluginManager, plugin: object, name: str, problems: list[Problem]) -> None:
    if manager.get_plugin(name) is not None:
        problems.append(Problem(name, "", "a second plugin of that name", "each plugin once"))
        return
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


def _register_folder(manager: pluggy.PluginManager, folder: Path, problems: list[Problem]) -> None:
    if not folder.is_dir():
        problems.append(Problem(str(folder), "", "no folder", "a folder with plugins"))
        return
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            module = _load_file(path)
        except Exception as error:
            problems.append(_failed(str(path), path.stem, error))
        else:
            _register(manager, module, path.stem, problems)


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


def _misspelt(manager: pluggy.PluginManager) -> Iterable[Problem]:
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


def _hooks(manager: pluggy.PluginManager) -> list[tuple[str, pluggy.HookCaller]]:
    return [(name, hook) for name, hook in vars(manager.hook).items() if isinstance(hook, pluggy.HookCaller)]


def _name_of(plugin: object) -> str:
    name = getattr(plugin, "__name__", None)
    return name if isinstance(name, str) else f"{type(plugin).__module__}.{type(plugin).__qualname__}@{id(plugin):x}"


def _failed(where: str, key: str, error: Exception) -> Problem:
    return Problem(where, key, f"{type(error).__name__}: {error}", "a plugin that loads and starts")
