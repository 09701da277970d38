"""Writes docs/hooks.md from flaskmail/hookspecs.py."""

from __future__ import annotations

import inspect
from pathlib import Path

from flaskmail import hookspecs
from flaskmail.hookspecs import HOOKS, KINDS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hooks.md"

INTRODUCTION = """\
# Hooks

<!-- made from flaskmail/hookspecs.py by make docs -->

What a plugin can have a say in. [writing-a-plugin.md](writing-a-plugin.md) shows how, [plugins.md](plugins.md) where plugins are
found. An implementation takes the arguments that it needs, by these names; `policy` holds `settings`, `server` (or None) and
`options`; values like `Refusal` come from `flaskmail.hookspecs`.

**Order.** Implementations marked `hookimpl(tryfirst=True)` are asked first, then the others, the last loaded before the first,
then those marked `trylast=True`, as our own are.

**Stable** hooks keep their name, arguments and meaning. They may get more arguments, which nobody has to take; one that is to go
warns for two minor versions before. **Provisional** ones may change with a line in the changelog.

**Failures.** An implementation that raises, or answers what cannot be used, is named in the log and counted. What then happens to
the request stands at each hook.

"""


def page() -> str:
    """Name, signature, kind, promise, docstring and error behaviour of every hook."""
    rows = ["| hook | kind | |", "|---|---|---|"]
    parts = []
    for name, hook in HOOKS.items():
        function = getattr(hookspecs, name)
        promise = f"{'stable' if hook.stable else 'provisional'} since {hook.since}"
        rows.append(f"| [`{name}`](#{name}) | {hook.kind} | {promise} |")
        told = (inspect.getdoc(function) or "").replace("``", "`")
        told = told.rpartition("\n\n")[0]
        # Annotations are texts, because the module asks for that.
        signature = str(inspect.signature(function)).replace("'", "")
        parts.append(
            f"## {name}\n\n```python\ndef {name}{signature}: ...\n```\n\n{told}\n\n"
            f"*{hook.kind}*: {KINDS[hook.kind]}. **{promise.capitalize()}.** When it fails: {hook.fails}\n"
        )
    return INTRODUCTION + "\n".join(rows) + "\n\n" + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
