"""What commands share that work through whole accounts: which ones, and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from flaskmail.cli.common import octets as shown_octets
from flaskmail.server import Server
from flaskmail.upkeep import Tell, silent


def named_accounts(server: Server, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(id, name) of the accounts with these names; those without mail are left out. Raises UnknownName."""
    found = [server.directory.principals.get(name) for name in names]
    return [(principal.id, principal.name) for principal in found if principal.has_mail]


@contextmanager
def progress(label: str, *, hidden: bool, octets: bool = False) -> Iterator[Tell]:
    """A progress bar on standard error, where that is a terminal. octets: what is counted are octets of files."""
    if hidden or not sys.stderr.isatty():
        yield silent
        return
    at = [""]

    def shown(_: object) -> str:
        return f"{shown_octets(bar.pos)} {at[0]}" if octets else at[0]

    with click.progressbar(length=1, file=sys.stderr, label=label, item_show_func=shown, show_pos=False) as bar:

        def tell(done: int, total: int, what: str) -> None:
            at[0] = what
            bar.length = max(total, 1)
            bar.update(done - bar.pos, what)

        yield tell
