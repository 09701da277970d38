"""What the subcommands share: the server they work on, errors as sentences with an exit code, tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from flaskmail import config
from flaskmail.errors import ConfigError, FlaskmailError
from flaskmail.server import Server

REFUSED, MISCONFIGURED = 1, 2
"""Exit codes: what was asked for cannot be done; the settings or the command line are wrong."""


def as_json(command: Any) -> Any:
    """Decorates a command with ``--json``."""
    return click.option("--json", "machine", is_flag=True, help="Write JSON, for scripts.")(command)


@contextmanager
def opened() -> Iterator[Server]:
    """The server of the present settings, closed afterwards. Errors end the command with a sentence on stderr."""
    with refusing():
        server = Server(config.load())
        try:
            yield server
        finally:
            server.close()


@contextmanager
def refusing() -> Iterator[None]:
    """Errors end the command with a sentence on stderr."""
    try:
        yield
    except ConfigError as error:
        click.echo("The settings are wrong:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        raise SystemExit(MISCONFIGURED) from None
    except FlaskmailError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(REFUSED) from None


def write_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows in columns on stdout, under a head; control characters are shown escaped."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def write_fields(fields: Mapping[str, object]) -> None:
    """One ``name: value`` a line on stdout."""
    width = max(len(name) for name in fields) + 1
    for name, value in fields.items():
        click.echo(f"{name + ':':{width}} {_cell(value)}")


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if text.isprintable() else ascii(text)


def octets(size: int | None) -> str:
    """A size for people; "no limit" for None."""
    if size is None:
        return "no limit"
    amount, units = float(size), ["B", "kB", "MB", "GB", "TB", "PB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"
