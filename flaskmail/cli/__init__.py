"""The ``flaskmail`` command. Each subcommand lives in a module of its own and is imported when it is asked for."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "account": "flaskmail.cli.account:account",
    "audit": "flaskmail.cli.audit:audit",
    "backup": "flaskmail.cli.backup:backup",
    "completion": "flaskmail.cli.completion:completion",
    "config": "flaskmail.cli.config:config",
    "dkim": "flaskmail.cli.dkim:dkim",
    "doctor": "flaskmail.cli.doctor:doctor",
    "domain": "flaskmail.cli.domain:domain",
    "expression": "flaskmail.cli.expression:expression",
    "import": "flaskmail.cli.importing:import_",
    "oauth": "flaskmail.cli.oauth:oauth",
    "job": "flaskmail.cli.job:job",
    "policy": "flaskmail.cli.policy:policy",
    "plugins": "flaskmail.cli.plugins:plugins",
    "purge": "flaskmail.cli.purge:purge",
    "reindex": "flaskmail.cli.reindex:reindex",
    "restore": "flaskmail.cli.restore:restore",
    "token": "flaskmail.cli.token:token",
    "verify": "flaskmail.cli.verify:verify",
    "whoami": "flaskmail.cli.whoami:whoami",
}
"""Name of each subcommand, and where it stands."""


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is used, and asks plugins for theirs only when it has to."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted({*COMMANDS, *self._of_plugins(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return self._of_plugins(ctx).get(cmd_name)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        key = "flaskmail.commands"
        if key not in ctx.meta:
            from flaskmail.cli.plugins import commands_of_plugins

            ctx.meta[key] = commands_of_plugins(ctx, set(COMMANDS))
        found: dict[str, click.Command] = ctx.meta[key]
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; a usage error that names the nearest one when there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            # click compares with the commands that it holds itself, and here that is none.
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="flaskmail", prog_name="flaskmail")
@click.option(
    "--url", envvar="FLASKMAIL_URL", metavar="URL", help="Work on the server at this URL instead of the local store."
)
@click.option(
    "--user", envvar="FLASKMAIL_USER", metavar="NAME", help="With --url: sign in with a password instead of a key."
)
def main(url: str | None, user: str | None) -> None:
    """Administer a flaskmail server.

    Settings come from the file that FLASKMAIL_CONFIG names, else from ./config.toml, else the defaults hold. Every command
    works on the store directly, also while the server is running.

    With --url (or FLASKMAIL_URL) commands work on a server elsewhere through its management API. FLASKMAIL_KEY holds the API key
    or token then; with --user the password is asked for, or taken from FLASKMAIL_PASSWORD.
    """
