"""``flaskmail verify``: is everything that was stored still there and right?"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.cli.manager import operations
from flaskmail.cli.working import at_url, named_accounts, noted, only_name, progress, run_job
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
    done = _at_url(names, repair, machine) if at_url() else _on_store(names, repair, machine)
    findings: list[dict[str, Any]] = done["findings"]
    if machine:
        write_json({name: done[name] for name in ("accounts", "findings", "swept")})
    else:
        for finding in findings:
            click.echo(f"{finding['account']}: {finding['what']}{' (mended)' if finding['mended'] else ''}")
        found = len(findings)
        result = f"{found} found, {found - done['wrong']} mended" if found else "nothing is wrong"
        click.echo(f"Checked {done['accounts']} account{'s' * (done['accounts'] != 1)}: {result}.")
        swept = done["swept"]
        if swept:
            click.echo(f"Removed {swept} upload{'s' * (swept != 1)} that nothing has referred to for a day.")
        if done["wrong"] and not repair:
            click.echo("`flaskmail verify --repair` mends what can be mended.", err=True)
    if done["wrong"]:
        raise SystemExit(REFUSED)


def _on_store(names: tuple[str, ...], repair: bool, machine: bool) -> dict[str, Any]:
    with opened(made=False) as server:
        wanted = named_accounts(server, names) if names else None
        # What only reads changes nothing.
        writing = (
            noted(server, "store.verify", "/store/verify", accounts=list(names), repair=True)
            if repair
            else nullcontext()
        )
        with writing, progress("Checking", hidden=machine) as tell:
            done = verify_all(server.store, server.types.values(), server.directory, wanted, repair=repair, tell=tell)
    told = [{"account": name, "what": f.what, "mended": f.mended} for name, f in done.findings]
    return {"accounts": done.accounts, "findings": told, "wrong": done.wrong, "swept": done.swept}


def _at_url(names: tuple[str, ...], repair: bool, machine: bool) -> dict[str, Any]:
    name = only_name(names)
    with operations() as manager:
        return run_job(manager, "Checking", "/store/verify", hidden=machine, account=name, repair=repair)
