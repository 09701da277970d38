"""Finds plugins and asks their hooks. One plugin manager for each server or policy, never a global one."""

from flaskmail.plugins.asking import HookFailed, answers, ask, gather, start
from flaskmail.plugins.loading import GROUP, load_plugins
from flaskmail.plugins.manager import Loaded, Plugins

__all__ = ["GROUP", "HookFailed", "Loaded", "Plugins", "answers", "ask", "gather", "load_plugins", "start"]
