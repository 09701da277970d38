"""Regular expressions in linear time: RE2, imported when an expression first uses ``matches``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.types import octets

MAX_PATTERN = 1000
"""Characters of a pattern."""
MAX_PROGRAM = 10_000
"""Instructions of a compiled pattern: a counted repetition repeats them."""
MAX_GROUPS = 50
"""Groups that a pattern may capture."""
_MEMORY = 1 << 20


class Pattern:
    """A compiled pattern. groups: how many it captures; cost: of a search, for four octets."""

    __slots__ = ("_search", "cost", "groups")

    def __init__(self, source: str) -> None:
        """Refusal when it cannot be compiled, or RE2 is not installed."""
        if len(source) > MAX_PATTERN:
            raise Refusal(f"a pattern of more than {MAX_PATTERN} characters")
        try:
            import re2
        except ImportError:
            raise Refusal("matches needs the Python package google-re2, which is not installed") from None
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        try:
            # Not re2.compile(): its cache would keep patterns of settings that are long gone.
            compiled: Any = re2._Regexp(octets(source), options)
        except re2.error as error:
            told = error.args[0] if error.args else error
            detail = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
            raise Refusal(f"the pattern is wrong for RE2: {detail}") from None
        self.groups: int = compiled.groups
        if self.groups > MAX_GROUPS:
            raise Refusal(f"the pattern has more than {MAX_GROUPS} groups")
        if compiled.programsize > MAX_PROGRAM:
            raise Refusal("the pattern is too large: fewer or smaller counted repetitions are needed")
        # At worst each octet visits each instruction, and each visit copies the groups.
        self.cost: int = max(compiled.programsize, 1) * (8 + self.groups) // 8
        self._search: Callable[[bytes], Any] = compiled.search

    def search(self, subject: bytes) -> tuple[str, ...] | None:
        """What matched first, and its groups ("" for one that took no part); None without a match."""
        match = self._search(subject)
        if match is None:
            return None
        return tuple((part or b"").decode("utf-8", "replace") for part in (match.group(0), *match.groups()))
