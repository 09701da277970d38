"""Writes docs/cli.md from the commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from flaskmail.cli import COMMANDS, main
from flaskmail.cli.common import LocalCommand
from flaskmail.cli.reached import REACHED

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

INTRODUCTION = """\
# The command line

<!-- made from flaskmail/cli/ by make docs -->

`flaskmail` administers a server: on the store at hand, also while the server is running, or at a URL through the
[management API](management.md), with the same names and the same answers.

**Here.** Settings come from the file that `FLASKMAIL_CONFIG` names, else from `./config.toml`, else the defaults hold. Whoever
may write the data folder may do everything; it takes the user to whom it belongs, also in place of root.

**At a URL.** `flaskmail --url https://mail.example.org …`, or `FLASKMAIL_URL`. Who asks is said by an API key or a token in
`FLASKMAIL_KEY`, or in the file that `FLASKMAIL_KEY_FILE` names; or by `--user NAME`, with a password that is asked for, or taken
from `FLASKMAIL_PASSWORD`. None of them goes on the command line, where everybody on the machine could read it, and none over
plain http, but to the machine itself. A certificate must be right; `SSL_CERT_FILE` names the file of a CA of your own. Commands
that work only where the data is say so.

**Answers.** Tables and sentences for people; with `--json` one JSON document on standard output, in the form of the management
API. What is refused is a sentence on standard error; with `--json` it is a problem object (RFC 9457) in one line: `detail` is the
sentence, `status` and further members are those of the management API, where it refused.

| exit code | |
|---|---|
| 0 | it was done |
| 1 | it could not be done, or what was checked is not right |
| 2 | the command line or the settings are wrong; this command does not work there |
| 130 | it was ended by Ctrl-C |

Long work shows its progress on standard error where that is a terminal. At a URL the server does it as a job: Ctrl-C leaves it
running, and `flaskmail job` follows and stops it. `flaskmail completion` lets the shell fill in commands and options. Plugins may
bring commands of their own, which `flaskmail --help` lists.

"""


def page() -> str:
    """Usage, help and options of every command, and which operations of the management API it carries out."""
    context = click.Context(main, info_name="flaskmail")
    rows = ["| | |", "|---|---|"]
    parts = []
    for name, (_, told) in sorted(COMMANDS.items()):
        command = main.get_command(context, name)
        assert command is not None
        rows.append(f"| [`flaskmail {name}`](#flaskmail-{name}) | {told} |")
        parts += _described(command, click.Context(command, info_name=name, parent=context), 2)
    return INTRODUCTION + "\n".join(rows) + "\n\n" + "\n".join(parts)


def _described(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    path = context.command_path.removeprefix("flaskmail ")
    arguments = " ".join(one.make_metavar(context) for one in command.params if isinstance(one, click.Argument))
    if isinstance(command, click.Group):
        yield f"{'#' * level} flaskmail {path}\n\n{_help(command)}"
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _described(below, click.Context(below, info_name=name, parent=context), level + 1)
        return
    # Where the table above leads stands no argument.
    title = path if level == 2 or not arguments else f"{path} {arguments}"
    told = f"{'#' * level} flaskmail {title}\n\n{_help(command)}"
    if level == 2 and arguments:
        told += f"\n```\nflaskmail {path} {arguments}\n```\n"
    options = [one for one in command.params if isinstance(one, click.Option) and one.name != "machine"]
    machine = any(one.name == "machine" for one in command.params)
    if options:
        told += "\n" + "".join(_option(one, context) for one in options)
    notes = []
    if not machine:
        notes.append("There is no `--json`.")
    if isinstance(command, LocalCommand):
        notes.append("Works only where the data is.")
    names = [f"`{name}`" for name, reached in REACHED.items() if reached == path]
    if names:
        notes.append(f"Of the management API: {', '.join(names)}.")
    yield told + (f"\n{' '.join(notes)}\n" if notes else "")


def _option(option: click.Option, context: click.Context) -> str:
    names, told = option.get_help_record(context) or ("", "")
    return f"* `{names}`{': ' if told else ''}{told}\n"


def _help(command: click.Command) -> str:
    out = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            out.append(f"```\n{paragraph[1:].strip()}\n```\n")
        elif paragraph.startswith("Example: "):
            out.append(f"```sh\n{' '.join(paragraph.removeprefix('Example: ').split())}\n```\n")
        else:
            out.append(" ".join(paragraph.split()) + "\n")
    return "\n".join(out)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
