"""All commands together: what they say of themselves and import, and that nothing of the management API is out of reach."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flaskmail.cli import COMMANDS, main
from flaskmail.cli.reached import REACHED, SAME
from flaskmail.management import api

from .conftest import Command

ROOT = Path(__file__).parents[3]


def commands(
    command: click.Command = main, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command but those of plugins, with its words."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    yield words, command
    names = COMMANDS if command is main else command.list_commands(click.Context(command))
    for name in sorted(names):
        below = command.get_command(click.Context(command), name)
        assert below is not None
        yield from commands(below, (*words, name))


TREE = dict(commands())


def test_every_operation_of_the_management_api_is_reached() -> None:
    operations = {one.name: one for one in api().operations}
    # The GETs of the old API do what the POSTs beside them do.
    new = {name for name, one in operations.items() if not one.legacy}
    assert {*REACHED, *SAME} == new
    assert set(SAME.values()) <= set(REACHED)
    missing = {name: words for name, words in REACHED.items() if tuple(words.split()) not in TREE}
    assert not missing
    assert not [words for words in REACHED.values() if isinstance(TREE[tuple(words.split())], click.Group)]


def test_the_list_of_commands_says_what_they_say_themselves() -> None:
    assert {name: told for name, (_, told) in COMMANDS.items()} == {
        words[0]: command.short_help for words, command in TREE.items() if len(words) == 1
    }


@pytest.mark.parametrize("words", sorted(TREE), ids=" ".join)
def test_help_is_whole_sentences(words: tuple[str, ...]) -> None:
    command = TREE[words]
    context = click.Context(command, info_name="flaskmail")
    first = (command.help or "").partition("\n\n")[0].rstrip()
    assert first.endswith("."), first
    if isinstance(command, click.Group):
        # click cuts a summary that does not fit its line.
        assert "..." not in command.get_help(context).partition("Commands:")[2]
        return
    assert command.get_short_help_str(60)
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help or isinstance(option.type, click.Choice), (words, option.name)


def test_whatever_tells_something_writes_json_for_scripts() -> None:
    silent = {
        words
        for words, command in TREE.items()
        if not isinstance(command, click.Group) and not any(one.name == "machine" for one in command.params)
    }
    # A script for a shell, and octets.
    assert silent == {("completion",), ("blob", "get")}


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{one.name}" for one in sorted((ROOT / "docs").glob("*.md")))])
def test_commands_that_pages_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    # Lines of code blocks, and code within sentences.
    text = re.sub(
        r"^```\w*\n(.*?)^```$", lambda block: re.sub("^", "    ", block[1], flags=re.M), text, flags=re.M | re.S
    )
    for first, second in re.findall(
        r"(?:`|^ {4}|^ {4}.*(?:\| |\$\())flaskmail ([a-z][a-z-]*)(?: ([a-z][a-z-]*)\b(?![@.=]))?", text, re.M
    ):
        if first not in COMMANDS:
            # Plugins bring commands of their own; networks is that of plugins/cdn_networks.py.
            assert first == "networks" or page in ("docs/plugins.md", "docs/writing-a-plugin.md", "docs/hooks.md"), (
                first
            )
            continue
        command = TREE[(first,)]
        if second and isinstance(command, click.Group):
            assert (first, second) in TREE, (first, second)


def test_the_page_about_them_is_made_of_them() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "document_commands.py"))["page"]()
    assert "### flaskmail account create NAME\n" in made
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == made, "run: make docs"


HEAVY = ("flask", "apsw", "argon2", "flaskmail.server", "flaskmail.management", "flaskmail.plugins.asking", "gunicorn")


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    """The modules that a command imports in a process of its own."""
    code = (
        "import sys, json\nfrom flaskmail.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT), "FLASKMAIL_DATA": str(tmp_path / "data"), "FLASKMAIL_KEY": "x"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_what_needs_no_server_imports_none(tmp_path: Path) -> None:
    for arguments in (("--version",), ("account", "--help"), ("--url", "http://127.0.0.1:1", "account", "list")):
        assert not imported(tmp_path, *arguments) & set(HEAVY), arguments
    # The list of commands asks whether there are plugins.
    assert not imported(tmp_path, "--help") & {"flask", "apsw", "argon2", "flaskmail.server", "flaskmail.management"}
    # What is needed is seen, and nothing of the web.
    found = imported(tmp_path, "account", "list")
    assert found >= {"apsw", "flaskmail.server", "flaskmail.management"}
    assert not found & {"flask", "werkzeug", "gunicorn"}


def test_commands_of_plugins_work_only_where_the_data_is(flaskmail: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"[plugins]\npaths = ['{ROOT / 'plugins' / 'cdn_networks.py'}']\n")
    assert "  networks " in flaskmail("--help").stdout
    assert flaskmail("networks", "refresh", "nobody").exit_code == 2
    done = flaskmail("--url", "https://mail.example.org", "networks", "refresh", "cloudflare")
    assert (done.exit_code, "belongs to a plugin" in done.stderr) == (2, True)
