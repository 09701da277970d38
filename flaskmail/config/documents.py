"""The settings for people, made from the declarations: the example file, the page of documentation, what is in force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flaskmail.config import lookups
from flaskmail.config.settings import Declaration, Settings, declarations, open_tables, subsections

_INTRODUCTION = """\
The settings stand in one TOML file: the one that the environment variable `FLASKMAIL_CONFIG` names, else `./config.toml`.
Without a file every default below holds. `FLASKMAIL_DATA` names the data folder and wins over `storage.path`. Relative
paths start from the folder of the file.

* `flaskmail config check [FILE]` lists everything that is wrong: file, key, what was found, what was expected, and the
  nearest right name. An unknown key is an error.
* `flaskmail config show` prints the settings in force and where each comes from.
* `flaskmail config example` prints [config.example.toml](../config.example.toml): every key with its default.

**Sizes** are numbers of octets or texts like `"50 MB"` (50,000,000) and `"48 MiB"` (48 × 1,048,576). **Times** are seconds
or texts like `"30s"`, `"5m"`, `"2h"`, `"1d"`. **Rates** are texts like `"10/1m"`: ten a minute.

**Secrets** need not stand in the file: in every text, `%{env:NAME}%` is replaced by an environment variable and
`%{file:/path}%` by the content of a file (without line ends at its end). `config show` and error messages show the text
as it was written.

**Changing settings while the server runs.** What the file and the environment leave open can be stored in the data folder:
`flaskmail config set KEY VALUE`, or `POST /api/settings`. A stored value is in force in every worker within a second. Keys marked
*reload* wait for a reload, keys marked *restart* for a restart; keys marked *file* stand in the file alone. What the file sets,
only the file changes. Stored texts hold no `%{…}%`.

**Reloading.** `kill -HUP` of gunicorn's master process reads the file again. New workers use it; the old ones end their
requests first. A file with a mistake changes nothing, and the log says what is wrong. Keys marked *restart* keep their
value until a restart; the log names those that have changed. `POST /api/reload` does the same, and replaces the workers only when
a key marked *reload* has changed.

Options given to gunicorn itself win over the file: `gunicorn -b 127.0.0.1:9000 -w 4 wsgi:app`.
"""


def tables(section: type[Any] = Settings, prefix: str = "") -> Iterator[tuple[str, str, list[Declaration]]]:
    """Every table with settings of its own: dotted name, what it is about, its settings."""
    for name, below in subsections(section):
        key = prefix + name
        own = list(_own(below, key))
        if own:
            yield key, " ".join((below.__doc__ or "").split()), own
        yield from tables(below, f"{key}.")
    for name, each in open_tables(section):
        key = f"{prefix}{name}.<id>"
        yield key, " ".join((each.__doc__ or "").split()), list(_own(each, key))
        yield from tables(each, f"{key}.")


def _own(section: type[Any], key: str) -> Iterator[Declaration]:
    return (declaration for declaration in declarations(section, f"{key}.") if declaration.section == key)


def example() -> str:
    """``config.example.toml``: every key, commented, with its default."""
    lines = [
        "# Every setting of flaskmail with its default. A file with other names or misspelt ones is refused.",
        "# Copy it to config.toml and change what you need. docs/configuration.md explains sizes, times and secrets.",
        "",
    ]
    for name, about, own in tables():
        lines += [f"# {line}" for line in _wrapped(about)]
        if "<id>" in name:
            # The administrator's own tables: to write them as they stand would make one.
            lines += [f"# [{name.replace('<id>', 'https')}]"]
            for one in own:
                lines += [f"# # {line}" for line in _wrapped(one.doc)]
                lines += [f"# {one.name} = {one.example or one.kind.write(one.default)}"]
            lines += [""]
            continue
        lines += [f"[{name}]"]
        for one in own:
            lines += [f"# {line}" for line in _wrapped(one.doc)]
            if one.default is None:
                lines += [f"# Not set by default. Example:\n#{one.name} = {one.example}"]
            else:
                lines += [f"#{one.name} = {one.kind.write(one.default)}"]
        lines += [""]
    return "\n".join(lines[:-1]) + "\n"


def page() -> str:
    """``docs/configuration.md``."""
    lines = ["# Configuration", "", _INTRODUCTION]
    for name, about, own in tables():
        lines += [f"## [{name}]", "", about, ""]
        for one in own:
            default = "not set" if one.default is None else f"`{one.kind.write(one.default)}`"
            restart = " · *file*" if one.only_file else ""
            restart += "" if one.live else " · *reload*" if one.reloadable else " · *restart*"
            example = f" Example: `{one.name} = {one.example}`." if one.example else ""
            lines += [f"* **`{one.key}`** · {one.kind.expected} · default: {default}{restart}  "]
            lines += [f"  {one.doc}{example}"]
        lines += [""]
    return "\n".join(lines[:-1]) + "\n"


HIDDEN = '"(secret)"'
"""The TOML text that is shown in place of a secret."""

_SECRET = re.compile(
    r"""((?:passw|secret|token|credential|api[_-]?key|private)[A-Za-z0-9_-]*["']?\s*=\s*)"""
    r"""("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[^\s,}\]]+)""",
    re.IGNORECASE,
)


def hidden(name: str, text: str) -> str:
    """The TOML text of a value without what stands under names that speak of secrets: nobody declares those of plugins."""
    line = _SECRET.sub(r'\1"(secret)"', f"{name} = {text}")
    return line.removeprefix(f"{name} = ")


def _looked_up(settings: Settings) -> Iterator[dict[str, Any]]:
    for table, entries in settings.lookup.tables.items():
        for name, value in entries.items():
            key = f"lookup.{table}.{name}"
            yield {
                "key": key,
                "value": hidden(name, settings.written.get(key) or lookups.write(value)),
                "origin": settings.origin(key),
            }
    for name, options in settings.plugins.options.items():
        key = f"plugins.{name}"
        text = settings.written.get(key) or lookups.write(options)
        yield {"key": key, "value": hidden("", text), "origin": settings.origin(key)}


def in_force(settings: Settings) -> list[dict[str, Any]]:
    """The settings as ``config show`` prints them, in order: key, value (TOML text, None when not set), origin.

    The value of a secret, and what a macro stands for, is never in it.
    """
    found = []
    for one in declarations(of=settings):
        value = settings.value(one.key)
        text: str | None = one.kind.write(value)
        if not text:
            text = None
        elif one.secret:
            text = HIDDEN
        elif one.key in settings.written:
            text = settings.written[one.key]
        found.append({"key": one.key, "value": text, "origin": settings.origin(one.key)})
    found += _looked_up(settings)
    sections = {str(one["key"]).rpartition(".")[0]: number for number, one in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda one: sections[str(one["key"]).rpartition(".")[0]])


def _wrapped(text: str, width: int = 110) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
