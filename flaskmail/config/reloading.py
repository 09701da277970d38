"""The settings that this process uses, and how new ones come into force while the server runs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal

from flaskmail.config.loading import load
from flaskmail.config.settings import Declaration, Settings, build, declarations

Need = Literal["reload", "restart"]
"""What a new value waits for: a SIGHUP of gunicorn's master, or a new start."""

_current: Settings | None = None
_serving: Settings | None = None
_adopted_in = 0


def current() -> Settings:
    """What file and environment say, as this process has last read them: loaded at the first call, replaced by :func:`adopt`.

    The master process of gunicorn adopts new ones at SIGHUP, before it forks the new workers: what a worker builds after
    the fork from this function is up to date. ConfigError at the first call when they are wrong.
    """
    global _current
    if _current is None:
        _current = load()
    return _current


def serving() -> Settings | None:
    """The settings, stored ones included, with which this process was made to serve: those that its listeners, threads and
    limits have. None when nobody has said so."""
    return _serving


def adopt(settings: Settings | None, serving: Settings | None = None) -> None:
    """Make these what file and environment say; None: load them anew at the next :func:`current`. serving: what
    :func:`serving` answers."""
    global _current, _serving, _adopted_in
    _current, _serving, _adopted_in = settings, serving, os.getpid()


def master() -> int | None:
    """The process id of gunicorn's master, to which a SIGHUP is sent, when this process is one of its workers; else None."""
    return _adopted_in if _serving is not None and os.getppid() == _adopted_in else None


def diff(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted keys whose values differ: those that can change while the server runs, and those that need a restart."""
    changed = _changed(old, new)
    fixed = [one for one in changed if not one.reloadable or _belongs_to_changed_tables(one, old, new)]
    tables = {**old.lookup.tables, **new.lookup.tables}
    looked_up = [f"lookup.{one}" for one in tables if old.lookup.tables.get(one) != new.lookup.tables.get(one)]
    old_options, new_options = old.plugins.options, new.plugins.options
    named = [f"plugins.{one}" for one in {**old_options, **new_options} if old_options.get(one) != new_options.get(one)]
    return (*(one.key for one in changed if one not in fixed), *looked_up, *named), tuple(one.key for one in fixed)


def pending(old: Settings, new: Settings) -> Mapping[str, Need]:
    """The dotted keys whose new values do not come into force by themselves, and what they wait for."""
    found: dict[str, Need] = {}
    for one in _changed(old, new):
        if not one.reloadable or _belongs_to_changed_tables(one, old, new):
            found[one.key] = "restart"
        elif not one.live:
            found[one.key] = "reload"
    return found


def merge(old: Settings, new: Settings, *, live: bool = False) -> Settings:
    """The new settings, but with the old values of what needs a restart. live: and of what needs a reload."""
    kept = pending(old, new)
    if not live:
        kept = {key: need for key, need in kept.items() if need == "restart"}
    if not kept:
        return new
    values = {}
    for key, declaration in _both(old, new).items():
        value = _value(old if key in kept else new, declaration)
        if value is not _NOTHING:
            values[key] = value
    merged = build(values, Settings)
    lookup = dataclasses.replace(merged.lookup, tables=new.lookup.tables)
    plugins = dataclasses.replace(merged.plugins, options=new.plugins.options)
    return dataclasses.replace(
        merged, lookup=lookup, plugins=plugins, source=new.source, origins=new.origins, written=new.written
    )


def _both(old: Settings, new: Settings) -> dict[str, Declaration]:
    return {declaration.key: declaration for settings in (old, new) for declaration in declarations(of=settings)}


def _changed(old: Settings, new: Settings) -> list[Declaration]:
    return [one for one in _both(old, new).values() if _value(old, one) != _value(new, one)]


_NOTHING = object()


def _value(settings: Settings, declaration: Declaration) -> object:
    try:
        return settings.value(declaration.key)
    except KeyError:
        return _NOTHING


def _belongs_to_changed_tables(declaration: Declaration, old: Settings, new: Settings) -> bool:
    # Listeners are opened at the start: with one more or one less, nothing about them changes before a restart.
    return declaration.key.startswith("server.listener.") and set(old.server.listener) != set(new.server.listener)
