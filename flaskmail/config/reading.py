"""Reading one source of settings along their declarations: values, and everything that is wrong, with the nearest right names."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from flaskmail.config.kinds import Misnamed
from flaskmail.config.lookups import EXPECTED as PLAIN_EXPECTED
from flaskmail.config.lookups import NAME_EXPECTED, Plain, is_name
from flaskmail.config.lookups import parse as parse_plain
from flaskmail.config.lookups import write as write_plain
from flaskmail.config.settings import Declaration, Settings, declarations, open_tables, subsections
from flaskmail.errors import Problem

MAX_FILE_SIZE = 1_000_000
"""Octets of a settings file, or of a file that a ``%{file:…}%`` names."""

OLD_NAMES = {"jmap.http.headers": "server.http.headers"}
"""Old names of settings that are still read, and the names of today."""

_MACRO = re.compile(r"%\{([^{}]*)\}%")


class Trouble(Exception):
    """A macro that cannot be expanded: what was found, what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found, self.expected = found, expected


class Reader:
    """Walks the tables of one source along the declarations and collects values, origins and problems.

    source: what the source is called in reports. folder: where relative paths start from. environ: of ``%{env:NAME}%``; None
    for a source that may use no macros, nor set what only the file may. problems: where they are noted.
    known: declarations by key; values, looked_up, of_plugins: what was read; origins: keys with the source; written: what stands
    there instead of what macros made of it; named: ids of the listeners."""

    def __init__(self, source: str, folder: Path, environ: Mapping[str, str] | None, problems: list[Problem]) -> None:
        self.source, self.folder, self.environ, self.problems = source, folder, environ, problems
        self.known: dict[str, Declaration] = {declaration.key: declaration for declaration in declarations()}
        self.values: dict[str, Any] = {}
        self.lookups: dict[str, dict[str, Plain]] = {}
        self.of_plugins: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.old: list[tuple[str, Any]] = []
        self.named: list[str] = []

    def wrong(self, key: str, found: str, expected: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(self.source, key, found, expected, hint))

    def table(self, table: Mapping[str, Any], prefix: str, section: type[Any]) -> None:
        """Read one table and those in it."""
        below, open_ones = dict(subsections(section)), dict(open_tables(section))
        for name, raw in table.items():
            key = prefix + (name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name))
            if name in below and isinstance(raw, dict):
                self.table(raw, f"{key}.", below[name])
            elif name in open_ones and isinstance(raw, dict):
                self.tables(raw, f"{key}.", open_ones[name])
            elif name in below or name in open_ones:
                self.wrong(key, shown(raw), f"a table, [{key}]")
            elif key in self.known:
                self.setting(self.known[key], raw)
            elif prefix in ("lookup.", "lookup.default."):
                self.lookup(key, name, raw, prefix)
            elif prefix == "plugins." and isinstance(raw, dict):
                self.of_plugin(key, name, raw)
            elif isinstance(raw, dict) and any(old.startswith(f"{key}.") for old in OLD_NAMES):
                self.old += ((f"{key}.{below}", value) for below, value in raw.items())
            elif isinstance(raw, dict):
                self.wrong(key, "an unknown table", "a known one", self.nearest_table(key))
            else:
                self.wrong(key, "an unknown key", "a known one", self.nearest_key(key))

    def tables(self, table: Mapping[str, Any], prefix: str, each: type[Any]) -> None:
        """Read the tables that have an id of the administrator's choice."""
        for name, raw in table.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
                self.wrong(prefix + json.dumps(name), "an id", "an id of at most 32 letters, digits, - and _")
            elif not isinstance(raw, dict):
                self.wrong(prefix + name, shown(raw), f"a table, [{prefix}<id>]", self.nearest_key(prefix + name))
            else:
                key = f"{prefix}{name}."
                if name not in self.named:
                    self.named.append(name)
                self.known |= {declaration.key: declaration for declaration in declarations(each, key)}
                self.table(raw, key, each)

    def take_old_names(self) -> None:
        """Read what stands under an old name, once everything else is read."""
        for old, raw in self.old:
            new = OLD_NAMES.get(old)
            if new is None:
                self.wrong(old, "an unknown key", "a known one", self.nearest_key(old))
            elif new in self.origins:
                self.wrong(old, "the old name", f"{new} alone, which is set too")
            else:
                self.setting(self.known[new], raw)

    def setting(self, declaration: Declaration, raw: object) -> None:
        """Read one value."""
        key = declaration.key
        if self.environ is None and declaration.only_file:
            self.wrong(key, "a value", "nothing: for safety this is set in the settings file alone")
            return
        found = f"{_form(raw)} that is kept secret" if declaration.secret else shown(raw)
        try:
            value = self.expand(raw)
            if value != raw:
                self.written[key] = found
            self.values[key] = declaration.kind.parse(value, self.folder)
            self.origins[key] = self.source
        except Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)
        except ValueError as error:
            hint = error.hint if isinstance(error, Misnamed) else ""
            self.wrong(key, found, str(error) or declaration.kind.expected, hint)

    def lookup(self, key: str, name: str, raw: object, prefix: str) -> None:
        """Read a table for ``key_get``, or one more key of its default table."""
        if not is_name(name):
            self.wrong(key, "a name", NAME_EXPECTED)
        elif prefix == "lookup.default.":
            self.looked_up(key, "default", name, raw)
        elif isinstance(raw, dict):
            self.lookups.setdefault(name, {})
            for below, one in raw.items():
                if is_name(below):
                    self.looked_up(f"{key}.{below}", name, below, one)
                else:
                    self.wrong(f"{key}.{json.dumps(below)}", "a name", NAME_EXPECTED)
        else:
            self.wrong(key, shown(raw), f"a table, [{key}]")

    def looked_up(self, key: str, table: str, name: str, raw: object) -> None:
        """Read one value of a table for ``key_get``."""
        try:
            value = self.expand(raw)
            if value != raw:
                self.written[key] = shown(raw)
            self.lookups.setdefault(table, {})[name] = parse_plain(value)
            self.origins[key] = self.source
        except Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)
        except ValueError:
            self.wrong(key, shown(raw), PLAIN_EXPECTED)

    def of_plugin(self, key: str, name: str, raw: dict[str, Any]) -> None:
        """Read the table of a plugin, which knows itself what belongs into it."""
        try:
            expanded = self.expand(raw)
            if expanded != raw:
                self.written[key] = write_plain(raw)
            self.of_plugins[name] = cast("dict[str, Any]", expanded)
            self.origins[key] = self.source
        except Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)

    def expand(self, raw: object) -> object:
        """The value with its ``%{env:NAME}%`` and ``%{file:path}%`` replaced; Trouble when one cannot be."""
        if isinstance(raw, dict):
            return {name: self.expand(one) for name, one in raw.items()}
        if isinstance(raw, list):
            return [self.expand(one) for one in raw]
        return _MACRO.sub(self.macro, raw) if isinstance(raw, str) else raw

    def macro(self, match: re.Match[str]) -> str:
        """What stands for one macro."""
        if self.environ is None:
            # Whoever may change settings is not therefore to read the files and the environment of the server.
            raise Trouble(match[0], "a value without %{…}%, which only the settings file may hold")
        scheme, _, name = match[1].partition(":")
        if scheme == "env" and name:
            if name not in self.environ:
                raise Trouble(f"{match[0]}, which is not set", f"the environment variable {name}")
            return self.environ[name]
        if scheme == "file" and name:
            try:
                with (self.folder / Path(name).expanduser()).open("rb") as file:
                    return file.read(MAX_FILE_SIZE).decode().rstrip("\r\n")
            except (OSError, ValueError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
                raise Trouble(f"{match[0]} ({reason})", "the path of a file that can be read") from None
        raise Trouble(match[0], "%{env:NAME}% or %{file:/path}%")

    def nearest_key(self, key: str) -> str:
        """The known key that was most likely meant, or ""."""
        close = difflib.get_close_matches(key, self.known, 1, 0.75)
        if close:
            return close[0]
        # A right name in the wrong table is the other common mistake.
        names: dict[str, list[str]] = {}
        for known in self.known.values():
            names.setdefault(known.name, []).append(known.key)
        same = difflib.get_close_matches(key.rpartition(".")[2].replace("_", "-"), names, 1, 0.75)
        if same:
            return max(names[same[0]], key=lambda known: difflib.SequenceMatcher(None, key, known).ratio())
        return next(iter(difflib.get_close_matches(key, self.known, 1, 0.6)), "")

    def nearest_table(self, key: str) -> str:
        """The known table that was most likely meant, or ""."""
        return next(iter(difflib.get_close_matches(key, set(tables_of_settings()), 1, 0.6)), "")


def tables_of_settings(section: type[Any] = Settings, prefix: str = "") -> Iterator[str]:
    """The dotted names of all tables."""
    for name, below in subsections(section):
        yield prefix + name
        yield from tables_of_settings(below, f"{prefix}{name}.")


def _form(raw: object) -> str:
    return "a table" if isinstance(raw, dict) else "a list" if isinstance(raw, list) else "a value"


def shown(raw: object) -> str:
    """A value of the file for a report: short, on one line, control characters escaped."""
    text = json.dumps(raw, ensure_ascii=True, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
