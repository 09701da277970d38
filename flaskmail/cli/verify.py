"""``flaskmail verify``: is everything that was stored still there and right?"""

from __future__ import annotations

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.cli.working import named_accounts, progress
from flaskmail.upkeep import verify_all


@click.command(short_help="Check everything that is stored, and mend it.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--repair", is_flag=True, help="Mend what can be mended from what is there.")
@as_json
def verify(names: tuple[str, ...], repair: bool, machine: bool) -> None:
    """Check the accounts NAME..., or all of them.

    Each account's database is checked for integrity, every record for its blob and every blob for its hash, the search
    index, the changes and the counts against a recount. The server may be running. The exit status is 1 when something is
    wrong and was not mended. With --repair, uploads that nothing has referred to for a day are removed as well, and what is
    left of accounts whose making or removal was cut short.
    """
    with opened() as server:
        wanted = named_accounts(server, names) if names else None
        with progress("Checking", hidden=machine) as tell:
            done = verify_all(server.store, server.types.values(), server.directory, wanted, repair=repair, tell=tell)
    if machine:
        told = [{"account": name, "what": f.what, "mended": f.mended} for name, f in done.findings]
        write_json({"accounts": done.accounts, "findings": told, "swept": done.swept})
    else:
        for name, finding in done.findings:
            click.echo(f"{name}: {finding.what}{' (mended)' if finding.mended else ''}")
        found = len(done.findings)
        result = f"{found} found, {found - done.wrong} mended" if found else "nothing is wrong"
        click.echo(f"Checked {done.accounts} account{'s' * (done.accounts != 1)}: {result}.")
        if done.swept:
            click.echo(f"Removed {done.swept} upload{'s' * (done.swept != 1)} that nothing has referred to for a day.")
        if done.wrong and not repair:
            click.echo("`flaskmail verify --repair` mends what can be mended.", err=True)
    if done.wrong:
        raise SystemExit(REFUSED)
