"""Core/echo. RFC 8620 section 4."""

from __future__ import annotations

from flaskmail.datatypes.core.capability import CORE
from flaskmail.jmap.method import Method

ECHO = Method("Core/echo", CORE, lambda ctx, arguments: arguments, account=False)
"""Answers its own arguments, whatever they are."""
