"""The ``flaskmail`` command. Each subcommand lives in a module of its own and is imported when it is asked for."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from flaskmail.cli.common import INTERRUPTED, Failed

COMMANDS = {
    "account": ("account:account", "Make, show, change and delete accounts."),
    "api-key": ("apikey:api_key", "Keys with which programs manage the server."),
    "app-password": ("credentials:app_password", "Passwords for one program each."),
    "audit": ("audit:audit", "Show who changed what, newest first."),
    "backup": ("backup:backup", "Copy everything, while the server runs."),
    "blob": ("blob:blob", "Read the octets of a blob."),
    "completion": ("completion:completion", "Let the shell fill in commands and options."),
    "config": ("config:config", "Check, show, change and explain the settings."),
    "dkim": ("dkim:dkim", "Make, list and delete DKIM keys."),
    "doctor": ("doctor:doctor", "Ask the server by its URL; say what is wrong."),
    "domain": ("domain:domain", "Mail domains, and their records in the DNS."),
    "expression": ("expression:expression", "Evaluate an expression with the settings."),
    "group": ("group:group", "Groups of people."),
    "import": ("importing:import_", "Import mail from files into an account."),
    "job": ("job:job", "See, wait for and stop work in the background."),
    "list": ("mailinglist:list_", "Mailing lists."),
    "logs": ("logs:logs", "Search the log, or follow it."),
    "me": ("me:me", "Your own password and second factor."),
    "oauth-client": ("oauth:oauth_client", "Applications that may ask people for access."),
    "oauth-key": ("oauth:oauth_key", "The keys that sign ID tokens."),
    "permission": ("permission:permission", "What can be granted: permissions, roles, scopes."),
    "plugins": ("plugins:plugins", "Show the plugins and their hooks, in order."),
    "policy": ("policy:policy", "What the HTTP policy does with a request, and why."),
    "principal": ("principal:principal", "Principals of any type, field by field."),
    "purge": ("purge:purge", "Take away what nobody needs any more."),
    "reindex": ("reindex:reindex", "Make search indexes anew."),
    "reload": ("config:reload", "Read the settings file again."),
    "restore": ("restore:restore", "Bring a backup back."),
    "role": ("role:role", "Roles: permissions under one name."),
    "token": ("credentials:token", "Access tokens, for Bearer authentication."),
    "verify": ("verify:verify", "Check everything that is stored, and mend it."),
    "whoami": ("whoami:whoami", "Say who asks, and what he may do."),
}
"""Name of each subcommand -> (the module of this package and its attribute, what the list of commands says of it). So the list is
shown without importing any."""


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is used, and asks plugins for theirs only when it has to."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted({*COMMANDS, *self._of_plugins(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            command = self._of_plugins(ctx).get(cmd_name)
            if command is not None and ctx.params.get("url") and not ctx.resilient_parsing:
                raise click.UsageError(
                    f"`flaskmail {cmd_name}` belongs to a plugin and works only where the data is."
                    " Leave --url and FLASKMAIL_URL out, and run it on the server."
                )
            return command
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found: click.Command = getattr(importlib.import_module(f"flaskmail.cli.{module}"), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in --help, without importing ours."""
        rows = {name: told for name, (_, told) in COMMANDS.items()}
        for name, command in self._of_plugins(ctx).items():
            if not command.hidden:
                rows[name] = command.get_short_help_str(1000)
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand. What the system refuses it is a sentence, and Ctrl-C has the exit code that shells give it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            raise SystemExit(INTERRUPTED) from None
        except OSError as error:
            # Whoever reads may stop reading; click ends quietly then.
            if error.errno == errno.EPIPE or not error.strerror:
                raise
            where = f"{error.filename}: " if error.filename is not None else ""
            raise Failed(f"{where}{error.strerror}") from error

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

    Commands work on the store at hand, also while the server is running. Settings come from the file that FLASKMAIL_CONFIG
    names, else from ./config.toml, else the defaults hold.

    With --url (or FLASKMAIL_URL) they work on a server elsewhere, through its management API. Who asks is said by an API key or a
    token in FLASKMAIL_KEY, or in the file that FLASKMAIL_KEY_FILE names; or by --user, and a password that is asked for or taken
    from FLASKMAIL_PASSWORD.

    \b
    flaskmail account create jane@example.org
    flaskmail account list --json
    flaskmail --url https://mail.example.org --user admin whoami

    The exit code is 0 when it was done, 1 when it could not be done, 2 when the command line or the settings are wrong.
    """
