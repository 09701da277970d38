"""``flaskmail backup``: a copy of everything, made while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from flaskmail.backup import BackupError, make_backup
from flaskmail.backup.making import name_of_now
from flaskmail.cli.common import REFUSED, as_json, octets, opened, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.working import at_url, noted, progress, run_job


@click.command(short_help="Copy everything, while the server runs.")
@click.argument("destination", required=False, metavar="[DEST]", type=click.Path(path_type=Path))
@click.option("--with-settings", is_flag=True, help="Copy the settings file too; it may hold secrets.")
@as_json
def backup(destination: Path | None, with_settings: bool, machine: bool) -> None:
    """Make a backup in the new folder DEST, while the server runs.

    Everything that the server acknowledged before the backup began is in it. DEST appears when the backup is complete; without
    DEST it is a folder named by the time, in the folder that the setting storage.backup-path names. `flaskmail restore`
    brings a backup back. Its files hold mail and credentials; only their owner can read them.

    The exit status is 1 when something that was to be copied was damaged; the backup is made nevertheless, and
    `flaskmail verify` says more. With --url the server makes the backup in its own storage.backup-path.
    """
    if not at_url():
        done = _on_store(destination, with_settings, machine)
    elif destination is not None or with_settings:
        raise click.UsageError(
            "A server at a URL makes its backups where its own storage.backup-path says, without settings."
        )
    else:
        with operations() as manager:
            done = run_job(manager, "Copying", "/store/backup", hidden=machine)
    if machine:
        write_json(done)
    else:
        count, size = done["accounts"], octets(done["octets"])
        click.echo(f"Copied {count} account{'s' * (count != 1)} to {done['backup']}: {done['files']} files, {size}.")
        if done.get("settings") and not with_settings:
            click.echo(f"The settings file {done['settings']} is not part of it; --with-settings copies it too.")
        for problem in done["problems"]:
            click.echo(f"damaged: {problem}", err=True)
    if done["problems"]:
        raise SystemExit(REFUSED)


def _on_store(destination: Path | None, with_settings: bool, machine: bool) -> dict[str, Any]:
    with opened(made=False) as server:
        settings = server.settings
        if destination is None:
            if settings.storage.backup_path is None:
                raise BackupError("say where: name a folder, or set storage.backup-path")
            destination = settings.storage.backup_path / name_of_now()
        with progress("Copying", hidden=machine, octets=True) as tell:
            manifest = make_backup(
                server.store,
                server.directory,
                settings.storage.path,
                destination,
                settings=settings.source,
                with_settings=with_settings,
                tell=tell,
            )
        # Afterwards: in the copy it would be a change that was cut short.
        with noted(server, "store.backup", "/store/backup", destination=str(destination.absolute())):
            pass
    # In the shape of the management API, which says how many they are; the manifest names them.
    told = msgspec.to_builtins(manifest) | {"accounts": len(manifest.accounts)}
    return {"backup": str(destination.absolute()), **told}
