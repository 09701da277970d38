"""``flaskmail verify``: is everything that was stored still there and right?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from flaskmail.cli.common import REFUSED, as_json, opened, write_json
from flaskmail.errors import StoreError
from flaskmail.jmap.storage import Finding
from flaskmail.server import Server
from flaskmail.upkeep import check_ownerless, verify_account


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
    findings: list[tuple[str, Finding]] = []
    swept = 0
    with opened() as server:
        accounts = _wanted(server, names)
        with _bar(accounts, hidden=machine) as bar:
            for id, name in bar:
                findings += [(name, found) for found in _verified(server, id, repair)]
                swept += _swept(server, id) if repair else 0
        if not names:
            findings += _unmatched(server, repair)
        if machine:
            told = [{"account": name, "what": f.what, "mended": f.mended} for name, f in findings]
            write_json({"accounts": len(accounts), "findings": told, "swept": swept})
        else:
            for name, finding in findings:
                click.echo(f"{name}: {finding.what}{' (mended)' if finding.mended else ''}")
            wrong = sum(not f.mended for _, f in findings)
            result = "nothing is wrong" if not findings else f"{len(findings)} found, {len(findings) - wrong} mended"
            click.echo(f"Checked {len(accounts)} account{'s' * (len(accounts) != 1)}: {result}.")
            if swept:
                click.echo(f"Removed {swept} upload{'s' * (swept != 1)} that nothing has referred to for a day.")
            if wrong and not repair:
                click.echo("`flaskmail verify --repair` mends what can be mended.", err=True)
    if any(not finding.mended for _, finding in findings):
        raise SystemExit(REFUSED)


def _verified(server: Server, id: str, repair: bool) -> list[Finding]:
    try:
        return verify_account(server.store, server.types.values(), id, repair=repair)
    except StoreError as error:
        # One account that cannot be opened does not keep the others from being checked.
        return [Finding(id, str(error))]


def _swept(server: Server, id: str) -> int:
    try:
        return server.store.sweep(id)
    except StoreError:
        # Why was said by the check.
        return 0


def _unmatched(server: Server, repair: bool) -> list[tuple[str, Finding]]:
    """Accounts without an owner, and owners without an account; what comes or goes meanwhile is neither."""
    stored = set(server.store.accounts())
    owners = {p.id: p.name for p in server.directory.principals.all() if not p.admin}
    findings: list[tuple[str, Finding]] = []
    for id in sorted(stored - owners.keys()):
        try:
            findings += [(id, found) for found in check_ownerless(server.store, id, repair=repair)]
        except StoreError as error:
            findings.append((id, Finding(id, str(error))))
    gone = owners.keys() - stored - set(server.store.accounts())
    still = {p.id for p in server.directory.principals.all()}
    findings += [(owners[id], Finding(id, "its data is not there")) for id in sorted(gone & still)]
    if repair:
        server.store.tidy()
    return findings


def _wanted(server: Server, names: tuple[str, ...]) -> list[tuple[str, str]]:
    stored = server.store.accounts()
    if names:
        return [(p.id, p.name) for p in map(server.directory.principals.get, names) if not p.admin]
    by_id = {p.id: p.name for p in server.directory.principals.all()}
    return [(id, by_id.get(id, f"{id} (no such account any more)")) for id in stored]


@contextmanager
def _bar(accounts: list[tuple[str, str]], *, hidden: bool) -> Iterator[Iterable[tuple[str, str]]]:
    if hidden or not sys.stderr.isatty():
        yield accounts
        return
    with click.progressbar(
        accounts, file=sys.stderr, label="Checking", item_show_func=lambda a: a[1] if a else ""
    ) as bar:
        yield bar
