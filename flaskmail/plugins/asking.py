"""Asking hooks: at the start plugin by plugin, so that a mistake has a name; during requests without any way around."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from flaskmail.decisions.mistakes import Mistake
from flaskmail.errors import ConfigError, Problem
from flaskmail.hookspecs import HOOKS, Hook
from flaskmail.plugins.manager import Plugins

log = logging.getLogger("flaskmail.plugins")

TOLD_WHOLE = 10
"""Tracebacks of one plugin in one hook that are logged; later failures are counted, and every thousandth is named."""

RAISED = (Exception, SystemExit)
"""What counts as a failure of a plugin. ``sys.exit`` in one would end a worker, and with some codes gunicorn as a whole."""


class HookFailed(Exception):
    """A plugin failed in a hook that decides something. It is logged already; whoever asks refuses."""


# ---- at the start


def answers(manager: Plugins, hook: str, /, only: str | None = None, **arguments: Any) -> list[tuple[str, Any]]:
    """(plugin, answer) of every implementation of a start-up hook, in load order, those without an opinion left out.

    only: the name of the one plugin to ask. ConfigError that names the plugin when one raises."""
    out: list[tuple[str, Any]] = []
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    answering = {one.plugin: None for one in caller.get_hookimpls() if not (one.wrapper or one.hookwrapper)}
    for name in [one.name for one in manager.found]:
        plugin = manager.get_plugin(name)
        if plugin not in answering or only not in (None, name):
            continue
        # Asked one by one, so that the one that fails is known; wrappers stay around each.
        others = [other for other in answering if other is not plugin]
        try:
            found = manager.subset_hook_caller(hook, others)(**arguments)
        except ConfigError:
            raise
        except RAISED as error:
            raise ConfigError([failed(name, hook, error)]) from error
        out.extend((name, answer) for answer in found if answer is not None)
    return out


def gather(
    manager: Plugins, hook: str, take: Callable[[Any], Any] = lambda member: member, /, **arguments: Any
) -> list[Any]:
    """Everything that the plugins' implementations of a start-up hook answer, in load order, lists put together.

    take: makes of each member what is used; Mistake when it cannot be. ConfigError that names the plugin when one raises, answers
    neither a list nor None, or has a member that cannot be used.
    """
    out: list[Any] = []
    problems: list[Problem] = []
    for name, answer in answers(manager, hook, **arguments):
        if not isinstance(answer, (list, tuple)):
            raise ConfigError([Problem(name, hook, type(answer).__name__, "a list")])
        for member in answer:
            try:
                out.append(take(member))
            except Mistake as mistake:
                problems.append(Problem(name, hook, mistake.found, mistake.expected, mistake.hint))
            except Exception as error:
                problems.append(failed(name, hook, error))
    if problems:
        raise ConfigError(problems)
    return out


def start(manager: Plugins, server: object) -> None:
    """Calls every plugin's ``startup`` in load order; ConfigError that names the plugin when one raises."""
    answers(manager, "startup", server=server)


def failed(where: str, key: str, error: BaseException) -> Problem:
    """The problem of a plugin that raised."""
    return Problem(where, key, f"{type(error).__name__}: {error}", "a plugin that loads and starts")


# ---- during requests


def guard(manager: Plugins) -> None:
    """Puts a guard around every implementation of the hooks that requests ask: a failure is logged with the plugin's name and
    counted; then an isolated hook counts as without an opinion, any other raises HookFailed."""
    for name, hook in HOOKS.items():
        if hook.kind == "start":
            continue
        for one in manager.implementations(name):
            if not (one.wrapper or one.hookwrapper):
                make = _guarded_three if len(one.argnames) == 3 and not one.kwargnames else _guarded
                guarded = make(manager, name, hook, one.plugin_name, one.function)
                # pluggy says that this is final; it reads it anew for each call, and has no other place for a guard.
                setattr(one, "function", guarded)  # noqa: B010


def _guarded(
    manager: Plugins, name: str, hook: Hook, plugin: str, function: Callable[..., Any]
) -> Callable[..., object]:
    check, passes = hook.check, hook.passes

    def guarded(*arguments: object, **further: object) -> object:
        try:
            answer = function(*arguments, **further)
            return answer if answer is None or check is None else check(answer)
        except passes:
            raise
        except RAISED as error:
            _failed(manager, name, hook, plugin, error)
            return None

    return guarded


def _guarded_three(
    manager: Plugins, name: str, hook: Hook, plugin: str, function: Callable[..., Any]
) -> Callable[..., object]:
    """The same for three arguments. Python passes those that are counted in a third of the time of those that are not, and
    response_headers, which has three, is asked for every response."""
    check, passes = hook.check, hook.passes

    def guarded(first: object, second: object, third: object) -> object:
        try:
            answer = function(first, second, third)
            return answer if answer is None or check is None else check(answer)
        except passes:
            raise
        except RAISED as error:
            _failed(manager, name, hook, plugin, error)
            return None

    return guarded


def _failed(manager: Plugins, name: str, hook: Hook, plugin: str, error: BaseException) -> None:
    count = manager.note_failure(plugin, name)
    if count <= TOLD_WHOLE:
        log.error("the plugin %s failed in %s. %s", plugin, name, hook.fails, exc_info=error)
    elif count % 1000 == 0:
        log.error("the plugin %s has failed %d times in %s: %s", plugin, count, name, error)
    if not hook.isolated:
        raise HookFailed(f"{plugin} failed in {name}") from error


Witness = Callable[[str, str, Any], None]
"""Told (hook, plugin, answer) of every implementation that is asked; the answer of one that failed is the exception."""


def ask(
    manager: Plugins, name: str, witness: Witness | None = None, *, builtin: bool = True
) -> Callable[..., Any] | None:
    """What asks a hook, with all its arguments in order; None when nobody but built-in plugins implements it: then there is
    nothing to ask, and who would ask goes the built-in's way directly.

    Answers what counts for hooks of the kind "first", all answers without None for others. Raises HookFailed, unless the hook
    isolates. witness: for who wants to know which plugin has answered; builtin: whether built-in plugins are asked too."""
    implementations = manager.implementations(name)
    ours = [one for one in implementations if manager.is_builtin(one.plugin_name)]
    if len(ours) == len(implementations):
        return None
    caller: pluggy.HookCaller = getattr(manager.hook, name)
    if not builtin:
        implementations = [one for one in implementations if one not in ours]
        caller = manager.subset_hook_caller(name, [one.plugin for one in ours])
    names: tuple[str, ...] = caller.spec.argnames if caller.spec is not None else ()
    if any(one.wrapper or one.hookwrapper for one in implementations):
        around = _around(manager, name, caller, names)
        wrappers = ", ".join(one.plugin_name for one in implementations if one.wrapper or one.hookwrapper)
        return around if witness is None else _witnessed(witness, name, wrappers, around)
    functions = [_positional(one, names) for one in implementations]
    if witness is not None:
        functions = [
            _witnessed(witness, name, one.plugin_name, function)
            for one, function in zip(implementations, functions, strict=True)
        ]
    if HOOKS[name].kind == "first":

        def first(*arguments: object) -> Any:
            for function in functions:
                answer = function(*arguments)
                if answer is not None:
                    return answer
            return None

        return first

    if len(names) == 3:

        def collect_three(first: object, second: object, third: object) -> Any:
            answers = []
            for function in functions:
                answer = function(first, second, third)
                if answer is not None:
                    answers.append(answer)
            return answers

        return collect_three

    def collect(*arguments: object) -> Any:
        return [answer for function in functions if (answer := function(*arguments)) is not None]

    return collect


def _positional(one: pluggy.HookImpl, names: tuple[str, ...]) -> Callable[..., Any]:
    """The implementation as a function of all arguments of its hook: pluggy's own call takes longer than what most do."""
    function: Callable[..., Any] = one.function
    if one.argnames == names:
        return function
    places = [names.index(name) for name in one.argnames]
    # An argument with a default is one that plugins may take where the hook has it already.
    further = [(name, names.index(name)) for name in one.kwargnames if name in names]
    if not further:
        return lambda *arguments: function(*[arguments[place] for place in places])
    return lambda *arguments: function(
        *[arguments[place] for place in places], **{name: arguments[place] for name, place in further}
    )


def _witnessed(witness: Witness, hook: str, plugin: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*arguments: object) -> Any:
        try:
            answer = function(*arguments)
        except Exception as error:
            witness(hook, plugin, error)
            raise
        witness(hook, plugin, answer)
        return answer

    return asked


def _around(manager: Plugins, name: str, caller: pluggy.HookCaller, names: tuple[str, ...]) -> Callable[..., Any]:
    hook = HOOKS[name]
    wrappers = ", ".join(one.plugin_name for one in manager.implementations(name) if one.wrapper or one.hookwrapper)

    def wrapped(*arguments: object) -> Any:
        named: Mapping[str, object] = dict(zip(names, arguments, strict=True))
        try:
            answer = caller(**named)
            if hook.kind == "collect" and not isinstance(answer, list):
                # Else a wrapper that forgets to return would take all objections away.
                raise TypeError(f"{type(answer).__name__}, where the list that yield gave, or another, is wanted")
            if hook.check is None or answer is None:
                return answer
            return hook.check(answer) if hook.kind == "first" else [hook.check(one) for one in answer]
        except HookFailed:
            raise
        except RAISED as error:
            if isinstance(error, hook.passes):
                raise
            _failed(manager, name, hook, wrappers, error)
            return None if hook.kind == "first" else []

    return wrapped
