"""The settings that this process uses, and how new ones come into force while the server runs."""

from __future__ import annotations

import dataclasses

from flaskmail.config.loading import load
from flaskmail.config.settings import Declaration, Settings, build, declarations

_current: Settings | None = None


def current() -> Settings:
    """The settings in force in this process: loaded at the first call, replaced by :func:`adopt`.

    The master process of gunicorn adopts new ones at SIGHUP, before it forks the new workers: what a worker builds after
    the fork from this function is up to date. ConfigError at the first call when they are wrong.
    """
    global _current
    if _current is None:
        _current = load()
    return _current


def adopt(settings: Settings | None) -> None:
    """Make these the settings in force; None: load them anew at the next :func:`current`."""
    global _current
    _current = settings


def diff(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted keys whose values differ: those that can change while the server runs, and those that need a restart."""
    both = {declaration.key: declaration for settings in (old, new) for declaration in declarations(of=settings)}
    changed = [declaration for declaration in both.values() if _value(old, declaration) != _value(new, declaration)]
    fixed = [one for one in changed if not one.reloadable or _belongs_to_changed_tables(one, old, new)]
    tables = {**old.lookup.tables, **new.lookup.tables}
    looked_up = [f"lookup.{one}" for one in tables if old.lookup.tables.get(one) != new.lookup.tables.get(one)]
    old_options, new_options = old.plugins.options, new.plugins.options
    named = [f"plugins.{one}" for one in {**old_options, **new_options} if old_options.get(one) != new_options.get(one)]
    return (*(one.key for one in changed if one not in fixed), *looked_up, *named), tuple(one.key for one in fixed)


def merge(old: Settings, new: Settings) -> Settings:
    """The new settings, but with the old values of what needs a restart."""
    _, fixed = diff(old, new)
    both = {declaration.key: declaration for settings in (old, new) for declaration in declarations(of=settings)}
    values = {}
    for key, declaration in both.items():
        value = _value(old if key in fixed else new, declaration)
        if value is not _NOTHING:
            values[key] = value
    merged = build(values, Settings)
    lookup = dataclasses.replace(merged.lookup, tables=new.lookup.tables)
    plugins = dataclasses.replace(merged.plugins, options=new.plugins.options)
    return dataclasses.replace(
        merged, lookup=lookup, plugins=plugins, source=new.source, origins=new.origins, written=new.written
    )


_NOTHING = object()


def _value(settings: Settings, declaration: Declaration) -> object:
    try:
        return settings.value(declaration.key)
    except KeyError:
        return _NOTHING


def _belongs_to_changed_tables(declaration: Declaration, old: Settings, new: Settings) -> bool:
    # Listeners are opened at the start: with one more or one less, nothing about them changes before a restart.
    return declaration.key.startswith("server.listener.") and set(old.server.listener) != set(new.server.listener)
