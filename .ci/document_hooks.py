"""Writes the part of docs/plugins.md that says which hooks there are, from flaskmail/hookspecs.py."""

from __future__ import annotations

import inspect
from pathlib import Path

from flaskmail import hookspecs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plugins.md"
BEGIN, END = "<!-- made from flaskmail/hookspecs.py by make docs -->\n", "<!-- end -->\n"


def section() -> str:
    """Name, signature and docstring of every hook."""
    parts = []
    for name, hook in vars(hookspecs).items():
        if not inspect.isfunction(hook) or not hasattr(hook, f"{hookspecs.PROJECT}_spec"):
            continue
        told = inspect.getdoc(hook) or ""
        # Annotations are texts, because the module asks for that.
        signature = str(inspect.signature(hook)).replace("'", "")
        parts.append(f"### `{name}{signature}`\n\n{told.replace('``', '`')}\n")
    return "\n".join(parts)


def page(text: str) -> str:
    """The page with its part made anew. ValueError when the two marks are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no marks {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{section()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
