"""``flaskmail restore``: brings a backup back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from flaskmail import config
from flaskmail.backup import DamagedBackup, restore_account, restore_backup
from flaskmail.cli.common import REFUSED, Failed, as_json, local_command, octets, opened, refusing, write_json
from flaskmail.cli.domain import in_ascii
from flaskmail.cli.working import noted, progress
from flaskmail.config.settings import Storage
from flaskmail.server import Server
from flaskmail.upkeep import Verified, verify_all


@click.command(cls=local_command("a backup is brought back to a folder there."), short_help="Bring a backup back.")
@click.argument("source", metavar="SRC", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", "data", metavar="DATA", type=click.Path(path_type=Path), help="Default: what storage.path says.")
@click.option(
    "--account", metavar="NAME", help="Only this account, beside those that are there; the server may be running."
)
@click.option("--even-damaged", is_flag=True, help="Also when the backup was damaged since it was made.")
@as_json
def restore(source: Path, data: Path | None, account: str | None, even_damaged: bool, machine: bool) -> None:
    """Bring the backup SRC back to an empty data folder.

    Every file is compared with its hash, and everything is checked as `flaskmail verify` does, before anything comes to its
    place. What is interrupted leaves no data that a server could use; the same command begins again. Start the server only
    afterwards. The settings file is for you to put in its place. The exit status is 1 when the check found something wrong.

    With --account one account that is gone comes back, with its mail and the password of then.
    """
    if account is not None:
        if data is not None or even_damaged:
            raise click.UsageError(
                "--account comes back to the present data: --to and --even-damaged do not go with it."
            )
        _account(source, account, machine)
        return
    with refusing():
        settings = config.load()
        target = settings.storage.path if data is None else data

        def check(folder: Path) -> Verified:
            server = Server(replace(settings, storage=Storage(path=folder)))
            try:
                if not machine and sys.stderr.isatty():
                    # Below the other bar.
                    click.echo(err=True)
                with progress("Checking", hidden=machine) as tell_check:
                    return verify_all(server.store, server.types.values(), server.directory, tell=tell_check)
            finally:
                server.close()

        try:
            with progress("Copying", hidden=machine, octets=True) as tell:
                done = restore_backup(source, target, check, even_damaged=even_damaged, tell=tell)
        except DamagedBackup as error:
            raise Failed(f"{error}; --even-damaged brings back what is left") from None
    checked = done.checked
    if machine:
        told = [{"account": name, "what": f.what} for name, f in checked.findings]
        manifest = msgspec.to_builtins(done.manifest)
        write_json({"data": str(target.absolute()), "backup": manifest, "damaged": done.damaged, "findings": told})
    else:
        for what in done.damaged:
            click.echo(f"damaged: {what}", err=True)
        for name, finding in checked.findings:
            click.echo(f"{name}: {finding.what}")
        count = checked.accounts
        found = "nothing is wrong" if not checked.findings else f"{len(checked.findings)} found"
        click.echo(
            f"Brought {count} account{'s' * (count != 1)} of {done.manifest.began} back to {target} "
            f"({octets(done.manifest.octets)}); checked: {found}."
        )
        if done.manifest.settings:
            click.echo(f"The server's settings were in {done.manifest.settings}.")
    if checked.findings or done.damaged:
        raise SystemExit(REFUSED)


def _account(source: Path, name: str, machine: bool) -> None:
    with opened() as server:
        with (
            noted(server, "restore", f"/principal/{name}", source=str(source.absolute())),
            progress("Copying", hidden=machine, octets=True) as tell,
        ):
            principal, damaged = restore_account(source, server.store, server.directory, in_ascii(name), tell=tell)
        server.tell("account.created", account=principal.name, id=principal.id)
        if machine:
            write_json({"account": principal.name, "id": principal.id, "findings": damaged})
        else:
            for what in damaged:
                click.echo(what, err=True)
            click.echo(f"Brought the account {principal.name} back ({principal.id}), with the password of then.")
            click.echo("Its roles, further addresses, tokens and second factor did not come back.")
    if damaged:
        raise SystemExit(REFUSED)
