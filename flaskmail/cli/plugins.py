"""``flaskmail plugins``: which there are, and what they do; and the commands that plugins bring."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import click

from flaskmail.cli.common import as_json, write_json, write_table
from flaskmail.cli.manager import operations
from flaskmail.errors import ConfigError, Problem


@click.command(short_help="Show the plugins and their hooks, in order.")
@click.option("--all", "everything", is_flag=True, help="Show built-in plugins too.")
@as_json
def plugins(everything: bool, machine: bool) -> None:
    """Show the plugins in the order in which they are loaded, and the hooks they implement.

    The number behind a hook is the plugin's turn when it is asked; a star marks hooks that are provisional.
    """
    with operations() as manager:
        found = manager.every("/plugins", all=everything)
    if machine:
        write_json(found)
    elif not found:
        click.echo("There are no plugins but the built-in ones, which --all shows.")
    else:
        head = ("NAME", "VERSION", "FROM", "HOOKS", "FILE")
        write_table(head, ([one["name"], one["version"], _from(one), _hooks(one), one["file"]] for one in found))


def _from(one: dict[str, Any]) -> str:
    return "disabled" if one["blocked"] else str(one["source"])


def _hooks(one: dict[str, Any]) -> str:
    star = dict.fromkeys(one["provisional"], "*")
    return ", ".join(f"{hook}{star.get(hook, '')} {turn}" for hook, turn in one["hooks"].items())


def commands_of_plugins(ctx: click.Context, taken: set[str]) -> dict[str, click.Command]:
    """The commands that plugins bring. taken: names of ours. What is wrong with settings or plugins is told on
    stderr, and then there are none."""
    # --help needs nothing of this where there are no plugins.
    from flaskmail.config import load
    from flaskmail.plugins.loading import GROUP

    try:
        settings = load()
        if not settings.plugins.paths and not entry_points(group=GROUP):
            return {}
        from flaskmail.plugins import answers
        from flaskmail.server import Server

        server = Server(settings)
        ctx.call_on_close(server.close)
        found = click.Group("flaskmail")
        for name in [one.name for one in server.plugins.found]:
            before = dict(found.commands)
            answers(server.plugins, "register_commands", only=name, server=server, cli=found)
            added = {one for one, command in found.commands.items() if before.get(one) is not command}
            clash = added & (taken | before.keys())
            if clash:
                wanted = "commands with names of their own"
                raise ConfigError([Problem(name, "register_commands", repr(min(clash)), wanted)])
    except ConfigError as error:
        if ctx.resilient_parsing:
            # A shell fills in a word, and somebody is typing there.
            return {}
        click.echo("The commands of plugins are missing, because the settings are wrong:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        return {}
    return dict(found.commands)
