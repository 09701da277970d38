"""The settings that this process uses, and how new ones come into force while the server runs."""

from __future__ import annotations

import dataclasses

from flaskmail.config.loading import load
from flaskmail.config.settings import Settings, build, declarations

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
    changed = [
        declaration for declaration in declarations() if old.value(declaration.key) != new.value(declaration.key)
    ]
    return (
        tuple(declaration.key for declaration in changed if declaration.reloadable),
        tuple(declaration.key for declaration in changed if not declaration.reloadable),
    )


def merge(old: Settings, new: Settings) -> Settings:
    """The new settings, but with the old values of what needs a restart."""
    values = {
        declaration.key: (new if declaration.reloadable else old).value(declaration.key)
        for declaration in declarations()
    }
    merged = build(values, Settings)
    return dataclasses.replace(merged, source=new.source, origins=new.origins, written=new.written)
