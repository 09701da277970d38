"""The settings in force, of all their sources: defaults < stored < file < environment. Everything wrong is reported at once."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli

from flaskmail.config.listening import mistakes
from flaskmail.config.reading import MAX_FILE_SIZE, Reader
from flaskmail.config.reading import shown as shown
from flaskmail.config.settings import Settings, build, declarations
from flaskmail.errors import ConfigError, Problem

T = TypeVar("T")

CONFIG_VARIABLE = "FLASKMAIL_CONFIG"
"""Names the settings file; without it ``./config.toml`` is read when it is there."""
DATA_VARIABLE = "FLASKMAIL_DATA"
"""Names the data folder, before ``storage.path``."""

STORED = "the stored settings"
"""The origin of what was changed while the server runs, and is kept in the data folder."""
APPLICATION = "the application"
"""The origin of what somebody's code has set who made the Settings."""

Stored = Mapping[str, str] | Callable[[Path], Mapping[str, str]]
"""The stored settings, TOML texts by dotted keys, or what reads them of a data folder."""

Check = Callable[[Settings], Iterable[Problem]]
CHECKS: list[Check] = []
"""Further checks of whole settings, by parts of the house that stand higher: what they find is reported with everything else.
The file is filled in here. Their keys may go on behind the key of a setting, with ``[0]`` or ``.name``."""


def read_section(table: Mapping[str, Any], prefix: str, section: type[T]) -> tuple[T, list[Problem]]:
    """A section from a mapping with its keys, as in a file, and what is wrong with it, keys without the prefix.

    prefix: the section's dotted name with a dot at its end."""
    problems: list[Problem] = []
    reader = Reader("settings", Path.cwd(), os.environ, problems)
    reader.table(table, prefix, section)

    def short(problem: Problem) -> Problem:
        key, hint = problem.key.removeprefix(prefix), problem.hint.removeprefix(prefix)
        return dataclasses.replace(problem, where="settings", key=key, hint=hint)

    return build(reader.values, section, prefix), [short(problem) for problem in problems]


def load(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    stored: Stored | None = None,
    checked: bool = True,
    checks: Iterable[Check] | None = None,
) -> Settings:
    """The settings of a file, the environment and what is stored.

    path: the file; None: the one that FLASKMAIL_CONFIG names, else ``./config.toml``, else there is none and the defaults
    hold. environ: instead of ``os.environ``. stored: what holds where file and environment say nothing. Relative paths start from
    the folder of the file they stand in; those of the environment, of the defaults and what is stored without a file from the
    working directory. checked: False leaves out what an application checks again when it is made, for settings that name what
    plugin objects bring. checks: instead of CHECKS. ConfigError holds everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd()
    source = _source(path, environ, here)
    reader = Reader(str(source), here if source is None else source.parent, environ, [])
    if source is not None:
        reader.table(_read(source), "", Settings)
        reader.take_old_names()
    data = environ.get(DATA_VARIABLE)
    if data:
        reader.values["storage.path"] = here / Path(data).expanduser()
        reader.origins["storage.path"] = DATA_VARIABLE
    else:
        reader.values.setdefault("storage.path", here / Settings().storage.path)
    try:
        str(reader.values["storage.path"]).encode()
    except UnicodeEncodeError:
        # SQLite opens no other.
        found = ascii(str(reader.values["storage.path"]))
        whose = reader.origins.get("storage.path", "settings")
        reader.problems.append(Problem(whose, "storage.path", found, "a folder whose path is text in UTF-8"))
    if callable(stored):
        # Where the data lies is not known when that is what the file says wrong.
        lost = any(problem.key.startswith("storage") for problem in reader.problems)
        stored = {} if lost else stored(reader.values["storage.path"])
    return _joined(reader, stored or {}, source, _checks(checks) if checked else ())


def overlay(settings: Settings, stored: Mapping[str, str], *, checks: Iterable[Check] | None = None) -> Settings:
    """The settings with these stored ones, in place of those that they were made with. What is stored counts where the settings
    say nothing themselves: neither from a file or the environment, nor, for those that somebody's code made, by a value other
    than the default. checks: instead of CHECKS. ConfigError holds everything that is wrong."""
    reader = Reader(str(settings.source), settings.folder, None, [])
    for one in declarations(of=settings):
        value = settings.value(one.key)
        if settings.origin(one.key) == STORED:
            continue
        reader.known[one.key] = one
        if one.key in settings.origins:
            reader.values[one.key], reader.origins[one.key] = value, settings.origins[one.key]
        elif value != one.default:
            reader.values[one.key] = value
            if not one.only_file:
                reader.origins[one.key] = APPLICATION
    # Of a listener that is stored alone, every key is stored or has its default.
    prefixes = ((name, f"server.listener.{name}.") for name in settings.server.listener)
    reader.named = [name for name, prefix in prefixes if any(key.startswith(prefix) for key in reader.values)]
    for table, entries in settings.lookup.tables.items():
        for name, value in entries.items():
            key = f"lookup.{table}.{name}"
            if settings.origin(key) != STORED:
                reader.lookups.setdefault(table, {})[name] = value
                reader.origins[key] = settings.origins.get(key, APPLICATION)
    for name, options in settings.plugins.options.items():
        key = f"plugins.{name}"
        if settings.origin(key) != STORED:
            reader.of_plugins[name], reader.origins[key] = dict(options), settings.origins.get(key, APPLICATION)
    reader.written = dict(settings.written)
    return _joined(reader, stored, settings.source, _checks(checks))


def _checks(checks: Iterable[Check] | None) -> Iterable[Check]:
    return CHECKS if checks is None else checks


def _joined(top: Reader, stored: Mapping[str, str], source: Path | None, checks: Iterable[Check]) -> Settings:
    """The settings of what was read, with what is stored below it. ConfigError holds everything that is wrong."""
    below = read_stored(stored, top.folder)
    origins = below.origins | top.origins
    tables = {name: below.lookups.get(name, {}) | top.lookups.get(name, {}) for name in below.lookups | top.lookups}
    settings = build(below.values | top.values, Settings)
    settings = dataclasses.replace(
        settings,
        source=source,
        lookup=dataclasses.replace(settings.lookup, tables=tables),
        plugins=dataclasses.replace(settings.plugins, options=below.of_plugins | top.of_plugins),
    )
    problems = [*below.problems, *top.problems]
    failed = {problem.key for problem in problems}

    def located(problem: Problem) -> Problem:
        """With where it stands, and without what a macro stands for."""
        key = _setting(problem.key)
        if key in top.written and key in top.known:
            problem = Problem("", problem.key, top.written[key], top.known[key].kind.expected)
        where = origins.get(key, str(source or "the defaults"))
        if problem.where == STORED or (_lies_in(key, below.origins) and not _lies_in(key, top.origins)):
            where = STORED
        return dataclasses.replace(problem, where=where)

    problems += map(located, _across(settings, below, top, failed))
    failed = {problem.key for problem in problems}
    for check in checks:
        found = [one for one in check(settings) if _setting(one.key) not in failed]
        # All others name the plugin that is wrong.
        problems += (located(one) if one.where in ("settings", STORED) else one for one in found)
    if problems:
        raise ConfigError(problems)
    return dataclasses.replace(settings, origins=origins, written=top.written)


def read_stored(stored: Mapping[str, str], folder: Path) -> Reader:
    """The stored settings, read: values and problems. folder: where relative paths start from."""
    reader = Reader(STORED, folder, None, [])
    for key, text in stored.items():
        try:
            value = read_text(text)
        except ValueError as error:
            reader.wrong(key, shown(text), str(error))
            continue
        *tables, name = split_key(key)
        nested: dict[str, Any] = {name: value}
        for table in reversed(tables):
            nested = {table: nested}
        reader.table(nested, "", Settings)
    reader.take_old_names()
    return reader


def read_text(text: str) -> object:
    """The value of a TOML text; ValueError, which says what is expected, for anything but one value."""
    try:
        found = tomli.loads(f"value = {text}")
    except (tomli.TOMLDecodeError, RecursionError):
        found = {}
    if list(found) != ["value"]:
        raise ValueError('a value as in TOML: true, 12, "text", ["a", "b"] or { name = "value" }')
    return found["value"]


def split_key(key: str) -> list[str]:
    """The parts of a dotted key; what stands behind ``plugins.`` is one name."""
    if key.startswith("plugins.") and key not in _OWN_OF_PLUGINS:
        name = key.removeprefix("plugins.")
        try:
            return ["plugins", json.loads(name) if name.startswith('"') else name]
        except ValueError:
            return ["plugins", name]
    return key.split(".")


_OWN_OF_PLUGINS = {one.key for one in declarations() if one.section == "plugins"}


def _lies_in(key: str, origins: Mapping[str, str]) -> bool:
    return key in origins or any(one.startswith(f"{key}.") for one in origins)


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


def _setting(key: str) -> str:
    """The key of the setting that a longer key lies in."""
    return key.partition("[")[0]


def _across(settings: Settings, below: Reader, top: Reader, failed: set[str]) -> Iterator[Problem]:
    """What is wrong between settings that are each right by themselves."""
    listeners, given = settings.server.listener, {*below.values, *top.values}
    for prefix in ("server.", *(f"server.listener.{name}." for name in listeners)):
        pair = (f"{prefix}tls.certificate", f"{prefix}tls.private-key")
        for one, other in (pair, pair[::-1]):
            if settings.value(one) is not None and settings.value(other) is None and other not in failed:
                # It belongs where the other one stands.
                where = "" if one in top.values else STORED
                yield Problem(where, other, "nothing", f"a path, because {one} is set")
    shorthand = tuple(
        key for key in ("server.bind", "server.tls.certificate", "server.tls.private-key") if key in given
    )
    for key, found, expected in mistakes(listeners, shorthand, settings.server.http.use_x_forwarded):
        if key not in failed:
            yield Problem("", key, found, expected)
    for name in dict.fromkeys((*top.named, *below.named)):
        key = f"server.listener.{name}.bind"
        if key not in given and key not in failed:
            yield Problem("", key, "nothing", "the address where it listens")
