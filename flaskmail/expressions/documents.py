"""The tables of docs/expressions.md, made from the declarations.

``python -m flaskmail.expressions.documents docs/expressions.md`` writes them into the page, between their marks.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from flaskmail.expressions.functions import Function
from flaskmail.expressions.functions.addresses import ADDRESSES
from flaskmail.expressions.functions.forms import FORMS
from flaskmail.expressions.functions.lists import LISTS
from flaskmail.expressions.functions.text import TEXTS
from flaskmail.expressions.types import Value
from flaskmail.expressions.variables import HTTP

_GROUPS = {
    "Texts": TEXTS,
    "Lists": LISTS,
    "Addresses, hashes, and what a value is": ADDRESSES,
    "Choice, patterns, configuration": FORMS,
}


def written(value: Value) -> str:
    """A value as it stands in an expression."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"
    return f"[{', '.join(map(written, value))}]" if isinstance(value, tuple) else str(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _code(text: str) -> str:
    # Inside of a table a bar would end the cell, also in code.
    return f"<code>{text.replace('&', '&amp;').replace('<', '&lt;')}</code>" if "|" in text else f"`{text}`"


def _function(function: Function) -> str:
    takes = ", ".join(f"{one.name}: {one.type}" for one in function.parameters)
    examples = "<br>".join(f"{_code(text)} → {_code(written(value))}" for text, value in function.examples)
    doc = function.doc + (" Of a list: the list of the results." if function.maps else "")
    return _row(f"`{function.name}`({takes})", str(function.returns), doc, examples)


def functions() -> str:
    """The tables of the functions, in Markdown."""
    lines = []
    for title, group in _GROUPS.items():
        lines += [f"### {title}", "", "| Function | Gives | What | Examples |", "|-|-|-|-|", *map(_function, group), ""]
    return "\n".join(lines[:-1])


def variables() -> str:
    """The table of the variables of HTTP requests, in Markdown."""
    rows = (_row(f"`{one.name}`", str(one.type), one.doc, f"`{one.example}`") for one in HTTP)
    return "\n".join(["| Variable | Type | What | Example |", "|-|-|-|-|", *rows])


def filled(page: str) -> str:
    """The page with its tables up to date."""
    tables = {"variables": variables(), "functions": functions()}
    return re.sub(
        r"(<!-- (\w+): [^\n]*-->\n).*?(\n<!-- end of \2 -->)",
        lambda match: match[1] + tables[match[2]] + match[3],
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
