"""Blueprints that plugins bring."""

from __future__ import annotations

from flask import Blueprint, Flask

from flaskmail.errors import ConfigError, Problem
from flaskmail.plugins import answers
from flaskmail.server import Server

HOOK = "register_blueprints"


def register_blueprints(app: Flask, server: Server) -> None:
    """Registers what the plugins answer. ConfigError that names the plugin when one raises or answers something else, and for a
    name that is taken."""
    for plugin, answer in answers(server.plugins, HOOK, server=server):
        pairs = answer if isinstance(answer, (list, tuple)) else [answer]
        for pair in pairs:
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Blueprint)):
                wanted = "a list of pairs (blueprint, path)"
                raise ConfigError([Problem(plugin, HOOK, type(pair).__name__, wanted)])
            blueprint, prefix = pair
            if not isinstance(prefix, str) or (prefix and not prefix.startswith("/")):
                raise ConfigError([Problem(plugin, HOOK, ascii(prefix), "a path that begins with a slash, or ''")])
            if blueprint.name in app.blueprints:
                found = f"the name {blueprint.name!r}, which is already registered"
                raise ConfigError([Problem(plugin, HOOK, found, "a blueprint with a name of its own")])
            try:
                app.register_blueprint(blueprint, url_prefix=prefix.rstrip("/") or None)
            except Exception as error:
                wanted = "a blueprint that can be registered"
                raise ConfigError([Problem(plugin, HOOK, f"{type(error).__name__}: {error}", wanted)]) from error
