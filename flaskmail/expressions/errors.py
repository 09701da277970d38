"""What is wrong with an expression, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flaskmail.errors import FlaskmailError, Problem

_EXCERPT = 100


class ExpressionError(FlaskmailError):
    """An expression that cannot be used.

    message: what is wrong, a phrase without a full stop; position: index of the character in ``text`` where it is wrong, from 0
    to ``len(text)``; text: the source of the expression; hint: the nearest right name, or ""; path: where in the
    setting the expression stands, "" or like ``[1].then``.
    """

    def __init__(self, message: str, position: int, text: str, *, hint: str = "", path: str = "") -> None:
        self.message, self.position, self.text, self.hint, self.path = message, position, text, hint, path
        super().__init__(message, position, text)

    def __str__(self) -> str:
        hint = f" (did you mean {self.hint!r}?)" if self.hint else ""
        return f"{self.message}{hint}, {self.place()}"

    def place(self) -> str:
        """The position for people, counted from 1: ``at character 5`` or ``at line 2, character 5``."""
        lines = self.text[: self.position].split("\n")
        column = f"character {len(lines[-1]) + 1}"
        return f"at line {len(lines)}, {column}" if "\n" in self.text else f"at {column}"

    def excerpt(self) -> str:
        """The line of the expression that is wrong, and a caret below the place; without control characters, at most 106
        characters wide."""
        start = self.text.rfind("\n", 0, self.position) + 1
        end = self.text.find("\n", self.position)
        line, column = self.text[start : len(self.text) if end < 0 else end], self.position - start
        line = "".join(character if character.isprintable() else " " for character in line)
        before = after = ""
        if column > _EXCERPT * 2 // 3:
            cut = column - _EXCERPT // 2
            line, column, before = line[cut:], column - cut, "..."
        if len(line) > _EXCERPT:
            line, after = line[:_EXCERPT], "..."
        return f"{before}{line}{after}\n{' ' * (column + len(before))}^"

    def problem(self, where: str, key: str) -> Problem:
        """The same as a problem of the configuration. where: the file; key: the dotted key of the whole setting."""
        found = f"{self.message} {self.place()}"
        excerpt = self.excerpt() if self.text else ""
        return Problem(where, key + self.path, found, "a right expression", self.hint, excerpt)


class BlockError(ExpressionError):
    """An if-block that is none, whatever its expressions say: it has no position but the ``path`` of a member, "" for all."""

    def __init__(self, message: str, *, hint: str = "", path: str = "") -> None:
        super().__init__(message, 0, "", hint=hint, path=path)

    def __str__(self) -> str:
        return self.message + (f" (did you mean {self.hint!r}?)" if self.hint else "")

    def problem(self, where: str, key: str) -> Problem:
        """See ExpressionError."""
        # "found" stands before it in a report.
        found = re.sub(r" found( in 'if' block)?$", r"\1", self.message.removeprefix("Found "))
        found = found[:1].lower() + found[1:]
        return Problem(where, key + self.path, found, "tables {if, then}, and at last one {else}", self.hint)


class EvaluationError(ExpressionError):
    """An expression that is right in form failed with the values that it met, or went over its budget."""


class ExpressionErrors(FlaskmailError):
    """Everything that is wrong with a setting made of expressions, in ``errors``: one at least."""

    def __init__(self, errors: Sequence[ExpressionError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(f"{error.path}: {error}" if error.path else str(error) for error in self.errors))


class Refusal(Exception):
    """A function or an operator cannot do it with these values; the message is a phrase. The compiler adds the position
    and raises EvaluationError."""
