"""What the subcommands share: the server they work on, errors as sentences with an exit code, tables and JSON."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flaskmail.errors import ConfigError, FlaskmailError

if TYPE_CHECKING:
    from flaskmail.server import Server

REFUSED, MISCONFIGURED, INTERRUPTED = 1, 2, 130
"""Exit codes: what was asked for cannot be done; the settings or the command line are wrong; Ctrl-C, as shells have it."""


def as_json(command: Any) -> Any:
    """Decorates a command with ``--json``."""
    return click.option("--json", "machine", is_flag=True, help="Write JSON, for scripts.")(command)


class Failed(click.ClickException):
    """What was asked for cannot be done. problem: further members of what ``--json`` writes on stderr."""

    exit_code = REFUSED

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem: Mapping[str, Any] = {"detail": message, **(problem or {})}
        # When it is shown, the command's own context is gone.
        self._machine = for_machines()

    def show(self, file: Any = None) -> None:
        """Writes the sentence, or the problem as JSON, on stderr."""
        if self._machine:
            click.echo(json.dumps(self.problem, ensure_ascii=False), err=True)
        else:
            super().show(file)


def for_machines() -> bool:
    """Whether the command writes JSON."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("machine"))


def at_url() -> bool:
    """Whether the command works on a server at a URL."""
    return bool(click.get_current_context().find_root().params.get("url"))


class Group(click.Group):
    """A group whose list of commands has their first sentences whole, where click cuts them at the end of a line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in --help."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(1000)) for name in self.list_commands(ctx)]
            )


class LocalCommand(click.Command):
    """A command that works on the store at hand alone, and says so at a URL. why: a sentence."""

    why = ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments as usual; a usage error at a URL, before anything is said about them."""
        elsewhere = ctx.find_root().params.get("url") and not ctx.resilient_parsing
        if elsewhere and not {"-h", "--help"} & set(args):
            raise click.UsageError(
                f"`{ctx.command_path}` works only where the data is: {self.why}"
                " Leave --url and FLASKMAIL_URL out, and run it on the server."
            )
        return super().parse_args(ctx, args)


def local_command(why: str) -> type[LocalCommand]:
    """The ``cls`` of such a command."""
    return type("LocalCommand", (LocalCommand,), {"why": why})


def url_only(why: str) -> None:
    """Raises a usage error when there is no URL: this command needs somebody who signs in. why: a sentence."""
    if not at_url():
        raise click.UsageError(
            f"`{click.get_current_context().command_path}` needs a server that one signs in to: {why} Name it with --url."
        )


@contextmanager
def opened(*, made: bool = True) -> Iterator[Server]:
    """The server of the present settings, closed afterwards. Errors end the command with a sentence on stderr.

    made: where there is no data yet, it is made; else that is an error, of who is in the wrong folder as like as not."""
    # Not needed at a URL, and not for --help.
    from flaskmail import config
    from flaskmail.server import Server

    with refusing():
        settings = config.load()
        _stay_among_own(settings.storage.path)
        if not made and not (settings.storage.path / "control.db").exists():
            raise Failed(f"there is no data in {settings.storage.path}: is that what storage.path should lead to?")
        server = Server(settings)
        try:
            yield server
        finally:
            server.close()


def _stay_among_own(data: Path) -> None:
    """Failed where the data is somebody else's: he could not open what root makes there, and others can open nothing."""
    try:
        owner = (data / "control.db").stat().st_uid
    except FileNotFoundError:
        return
    except OSError:
        # A folder that one may not enter says by itself whose it is.
        try:
            owner = data.stat().st_uid
        except OSError:
            return
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"the user {owner}"
        raise Failed(
            f"the data in {data} belongs to {name}: run this as that user (sudo -u), or if somebody else runs the server,"
            " give him the folder (chown -R)"
        )


@contextmanager
def refusing() -> Iterator[None]:
    """Errors end the command with a sentence on stderr, or with a problem object where JSON is wanted."""
    try:
        yield
    except ConfigError as error:
        if for_machines():
            problems = [
                {"member": one.key, "found": one.found, "expected": one.expected, "where": one.where}
                for one in error.problems
            ]
            click.echo(
                json.dumps({"detail": "The settings are wrong.", "problems": problems}, ensure_ascii=False), err=True
            )
        else:
            click.echo("The settings are wrong:", err=True)
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
        raise SystemExit(MISCONFIGURED) from None
    except FlaskmailError as error:
        raise Failed(str(error)) from None


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
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
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
