"""Reading the settings: file, environment, macros; everything that is wrong is reported at once."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import tomli

from flaskmail.config import lookups
from flaskmail.config.listening import mistakes
from flaskmail.config.settings import Declaration, Settings, build, declarations, open_tables, subsections
from flaskmail.errors import ConfigError, Problem

T = TypeVar("T")

CONFIG_VARIABLE = "FLASKMAIL_CONFIG"
"""Names the settings file; without it ``./config.toml`` is read when it is there."""
DATA_VARIABLE = "FLASKMAIL_DATA"
"""Names the data folder, before ``storage.path``."""

MAX_FILE_SIZE = 1_000_000
"""Octets of a settings file, or of a file that a ``%{file:…}%`` names."""

_MACRO = re.compile(r"%\{([^{}]*)\}%")


OLD_NAMES = {"jmap.http.headers": "server.http.headers"}
"""Old names of settings that are still read, and the names of today."""

Check = Callable[[Settings], Iterable[Problem]]
CHECKS: list[Check] = []
"""Further checks of whole settings, by parts of the house that stand higher: what they find is reported with everything else.
The file is filled in here. Their keys may go on behind the key of a setting, with ``[0]`` or ``.name``."""


def read_section(table: Mapping[str, Any], prefix: str, section: type[T]) -> tuple[T, list[Problem]]:
    """A section from a mapping with its keys, as in a file, and what is wrong with it, keys without the prefix.

    prefix: the section's dotted name with a dot at its end."""
    problems: list[Problem] = []
    reader = _Reader(None, Path.cwd(), os.environ, problems)
    reader.table(table, prefix, section)

    def short(problem: Problem) -> Problem:
        key, hint = problem.key.removeprefix(prefix), problem.hint.removeprefix(prefix)
        return dataclasses.replace(problem, where="settings", key=key, hint=hint)

    return build(reader.values, section, prefix), [short(problem) for problem in problems]


class _Trouble(Exception):
    """A macro that cannot be expanded: what was found, what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found, self.expected = found, expected


def load(path: str | Path | None = None, environ: Mapping[str, str] | None = None, *, checked: bool = True) -> Settings:
    """The settings in force.

    path: the file; None: the one that FLASKMAIL_CONFIG names, else ``./config.toml``, else there is none and the defaults
    hold. environ: instead of ``os.environ``. Relative paths start from the folder of the file they stand in; those of
    the environment and of the defaults from the working directory. checked: False leaves out what an application checks again
    when it is made, for settings that name what plugin objects bring. ConfigError holds everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd()
    source = _source(path, environ, here)
    problems: list[Problem] = []
    reader = _Reader(source, here if source is None else source.parent, environ, problems)
    if source is not None:
        reader.table(_read(source), "", Settings)
        reader.take_old_names()
    values, origins = reader.values, reader.origins
    data = environ.get(DATA_VARIABLE)
    if data:
        values["storage.path"] = here / Path(data).expanduser()
        origins["storage.path"] = DATA_VARIABLE
    else:
        values.setdefault("storage.path", here / Settings().storage.path)
    settings = build(values, Settings)
    settings = dataclasses.replace(
        settings,
        source=source,
        lookup=dataclasses.replace(settings.lookup, tables=reader.tables_looked_up),
        plugins=dataclasses.replace(settings.plugins, options=reader.of_plugins),
    )
    problems += _across(settings, reader)
    failed = {problem.key for problem in problems}
    for check in CHECKS if checked else ():
        problems += (reader.found_later(one) for one in check(settings) if _setting(one.key) not in failed)
    if problems:
        raise ConfigError(problems)
    return dataclasses.replace(settings, origins=origins, written=reader.written)


def _source(path: str | Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    if path is not None:
        return here / path
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return here / Path(named).expanduser()
    usual = here / "config.toml"
    return usual if usual.exists() else None


def _read(source: Path) -> dict[str, Any]:
    """The tables of a TOML file; ConfigError when it cannot be read or is no TOML."""

    def wrong(key: str, found: str, expected: str) -> ConfigError:
        return ConfigError([Problem(str(source), key, found, expected)])

    try:
        with source.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise wrong("the file", error.strerror or type(error).__name__, "a settings file that can be read") from None
    if len(content) > MAX_FILE_SIZE:
        raise wrong("the file", f"more than {MAX_FILE_SIZE} octets", "a smaller file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise wrong(f"line {line}", f"the octet 0x{content[error.start]:02x}", "UTF-8 text") from None
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise wrong(f"line {error.lineno}, column {error.colno}", f"a syntax error ({error.msg})", "TOML") from None
    except RecursionError:
        raise wrong("the file", "brackets nested too deep", "TOML") from None


class _Reader:
    """Walks the tables of a file along the declarations and collects values, origins and problems."""

    def __init__(self, source: Path | None, folder: Path, environ: Mapping[str, str], problems: list[Problem]) -> None:
        self.source, self.folder, self.environ, self.problems = source, folder, environ, problems
        self.known: dict[str, Declaration] = {declaration.key: declaration for declaration in declarations()}
        self.values: dict[str, Any] = {}
        self.tables_looked_up: dict[str, dict[str, lookups.Plain]] = {}
        self.of_plugins: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, str] = {}
        self.written: dict[str, str] = {}
        self.old: list[tuple[str, Any]] = []
        self.named: list[str] = []

    def wrong(self, key: str, found: str, expected: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(str(self.source), key, found, expected, hint))

    def found_later(self, problem: Problem) -> Problem:
        """A problem that a check found, for the report: with the file, and without what a macro stands for."""
        key = _setting(problem.key)
        if key in self.written:
            expected = self.known[key].kind.expected
            problem = Problem("", problem.key, self.written[key], expected)
        return dataclasses.replace(problem, where=str(self.source or "the defaults"))

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
        found = (
            "a value that is kept secret" if declaration.secret and not isinstance(raw, (dict, list)) else shown(raw)
        )
        try:
            value = self.expand(raw)
            if value != raw:
                self.written[key] = found
            self.values[key] = declaration.kind.parse(value, self.folder)
            self.origins[key] = str(self.source)
        except _Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)
        except ValueError as error:
            self.wrong(key, found, str(error) or declaration.kind.expected)

    def lookup(self, key: str, name: str, raw: object, prefix: str) -> None:
        """Read a table for ``key_get``, or one more key of its default table."""
        if not lookups.is_name(name):
            self.wrong(key, "a name", lookups.NAME_EXPECTED)
        elif prefix == "lookup.default.":
            self.looked_up(key, "default", name, raw)
        elif isinstance(raw, dict):
            self.tables_looked_up.setdefault(name, {})
            for below, one in raw.items():
                if lookups.is_name(below):
                    self.looked_up(f"{key}.{below}", name, below, one)
                else:
                    self.wrong(f"{key}.{json.dumps(below)}", "a name", lookups.NAME_EXPECTED)
        else:
            self.wrong(key, shown(raw), f"a table, [{key}]")

    def looked_up(self, key: str, table: str, name: str, raw: object) -> None:
        """Read one value of a table for ``key_get``."""
        try:
            value = self.expand(raw)
            if value != raw:
                self.written[key] = shown(raw)
            self.tables_looked_up.setdefault(table, {})[name] = lookups.parse(value)
            self.origins[key] = str(self.source)
        except _Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)
        except ValueError:
            self.wrong(key, shown(raw), lookups.EXPECTED)

    def of_plugin(self, key: str, name: str, raw: dict[str, Any]) -> None:
        """Read the table of a plugin, which knows itself what belongs into it."""
        try:
            expanded = self.expand(raw)
            if expanded != raw:
                self.written[key] = lookups.write(raw)
            self.of_plugins[name] = cast("dict[str, Any]", expanded)
            self.origins[key] = str(self.source)
        except _Trouble as trouble:
            self.wrong(key, trouble.found, trouble.expected)

    def expand(self, raw: object) -> object:
        """The value with its ``%{env:NAME}%`` and ``%{file:path}%`` replaced; _Trouble when one cannot be."""
        if isinstance(raw, dict):
            return {name: self.expand(one) for name, one in raw.items()}
        if isinstance(raw, list):
            return [self.expand(one) for one in raw]
        return _MACRO.sub(self.macro, raw) if isinstance(raw, str) else raw

    def macro(self, match: re.Match[str]) -> str:
        """What stands for one macro."""
        scheme, _, name = match[1].partition(":")
        if scheme == "env" and name:
            if name not in self.environ:
                raise _Trouble(f"{match[0]}, which is not set", f"the environment variable {name}")
            return self.environ[name]
        if scheme == "file" and name:
            try:
                with (self.folder / Path(name).expanduser()).open("rb") as file:
                    return file.read(MAX_FILE_SIZE).decode().rstrip("\r\n")
            except (OSError, ValueError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
                raise _Trouble(f"{match[0]} ({reason})", "the path of a file that can be read") from None
        raise _Trouble(match[0], "%{env:NAME}% or %{file:/path}%")

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
        return next(iter(difflib.get_close_matches(key, set(_tables()), 1, 0.6)), "")


def _setting(key: str) -> str:
    """The key of the setting that a longer key lies in."""
    return key.partition("[")[0]


def _tables(section: type[Any] = Settings, prefix: str = "") -> Iterator[str]:
    for name, below in subsections(section):
        yield prefix + name
        yield from _tables(below, f"{prefix}{name}.")


def shown(raw: object) -> str:
    """A value of the file for a report: short, on one line, control characters escaped."""
    text = json.dumps(raw, ensure_ascii=True, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _across(settings: Settings, reader: _Reader) -> Iterator[Problem]:
    """What is wrong between settings that are each right by themselves."""
    failed = {problem.key for problem in reader.problems}
    listeners = settings.server.listener
    for prefix in ("server.", *(f"server.listener.{name}." for name in listeners)):
        pair = (f"{prefix}tls.certificate", f"{prefix}tls.private-key")
        for one, other in (pair, pair[::-1]):
            if settings.value(one) is not None and settings.value(other) is None and other not in failed:
                yield Problem(str(reader.source), other, "nothing", f"a path, because {one} is set")
    shorthand = tuple(
        key for key in ("server.bind", "server.tls.certificate", "server.tls.private-key") if key in reader.values
    )
    for key, found, expected in mistakes(listeners, shorthand, settings.server.http.use_x_forwarded):
        if key not in failed:
            yield Problem(str(reader.source), key, found, expected)
    for name in reader.named:
        key = f"server.listener.{name}.bind"
        if key not in reader.values and key not in failed:
            yield Problem(str(reader.source), key, "nothing", "the address where it listens")
