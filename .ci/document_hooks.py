"""Writes docs/hooks.md from flaskmail/hookspecs.py."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from flaskmail import hookspecs, hookvalues
from flaskmail.hookspecs import HOOKS, KINDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hooks.md"

INTRODUCTION = """\
# Hooks

<!-- made from flaskmail/hookspecs.py by make docs -->

What a plugin can have a say in. [writing-a-plugin.md](writing-a-plugin.md) shows how, [plugins.md](plugins.md) where plugins are
found. An implementation takes the arguments that it needs, by these names; `policy` holds `settings`, `server` (or None) and
`options`; values like `Refusal` come from `flaskmail.hookspecs` ([below](#values)).

**Order.** Implementations marked `hookimpl(tryfirst=True)` are asked first, then the others, the last loaded before the first,
then those marked `trylast=True`, and our own at the end.

**Stable** hooks keep their name, arguments and meaning. They may get more arguments, which nobody has to take; one that is to go
warns for two minor versions before. **Provisional** ones may change with a line in the changelog.

**Failures.** An implementation that raises, or answers what cannot be used, is named in the log and counted. What then happens to
the request stands at each hook.

"""


VALUES = [
    one
    for name, one in vars(hookspecs).items()
    if isinstance(one, type) and one.__module__.startswith("flaskmail.") and getattr(hookvalues, name, None) is one
]
"""What hooks are given and answer."""


def told_of(thing: object) -> str:
    """The docstring as Markdown."""
    return (inspect.getdoc(thing) or "").replace("``", "`")


def argument(one: inspect.Parameter) -> str:
    """One argument of a value; of a default that is made anew each time it says only that there is one."""
    annotation = getattr(one.annotation, "__forward_arg__", one.annotation)
    if one.default is one.empty:
        return f"{one.name}: {annotation}"
    plain = isinstance(one.default, (str, int, tuple, type(None)))
    return f"{one.name}: {annotation} = {one.default!r}" if plain else f"{one.name}: {annotation} = ..."


def value(kind: type) -> str:
    """How a value is made, what its docstring says, and what it can be asked."""
    lines = [f"### {kind.__name__}", ""]
    if kind is not hookspecs.PolicyFacts:
        # An argument stays on one line.
        arguments = [argument(one).replace(" ", "\0") for one in inspect.signature(kind).parameters.values()]
        call = textwrap.fill(f"{kind.__name__}({', '.join(arguments)})", 110, subsequent_indent="    ")
        lines += ["```python", call.replace("\0", " "), "```", ""]
    lines.append(told_of(kind))
    asked = [(name, one) for name, one in vars(kind).items() if not name.startswith("_") and inspect.getdoc(one)]
    further = [
        f"* `{name}`: {told_of(one)}" for name, one in asked if isinstance(one, property) or inspect.isfunction(one)
    ]
    return "\n".join([*lines, *([""] if further else []), *further]) + "\n"


def page() -> str:
    """Name, signature, kind, promise, docstring and error behaviour of every hook; and the values."""
    rows = ["| hook | kind | |", "|---|---|---|"]
    parts = []
    for name, hook in HOOKS.items():
        function = getattr(hookspecs, name)
        promise = f"{'stable' if hook.stable else 'provisional'} since {hook.since}"
        rows.append(f"| [`{name}`](#{name}) | {hook.kind} | {promise} |")
        told = told_of(function).rpartition("\n\n")[0]
        # Annotations are texts, because the module asks for that.
        signature = str(inspect.signature(function)).replace("'", "")
        parts.append(
            f"## {name}\n\n```python\ndef {name}{signature}: ...\n```\n\n{told}\n\n"
            f"*{hook.kind}*: {KINDS[hook.kind]}. **{promise.capitalize()}.** When it fails: {hook.fails}\n"
        )
    values = "## Values\n\nA header is a pair of texts: `(name, value)`.\n\n" + "\n".join(map(value, VALUES))
    return INTRODUCTION + "\n".join(rows) + "\n\n" + "\n".join(parts) + "\n" + values


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
