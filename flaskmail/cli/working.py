"""What commands share that work through whole accounts: which ones, a progress bar, and jobs of a server at a URL."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from flaskmail.cli.common import octets as shown_octets
from flaskmail.cli.manager import Operations
from flaskmail.server import Server
from flaskmail.upkeep import Tell, silent

INTERRUPTED = 130
"""The exit code of a command that was ended by Ctrl-C, as shells have it."""
_PAUSE = 0.3


def at_url() -> bool:
    """Whether the command works on a server at a URL."""
    return bool(click.get_current_context().find_root().params.get("url"))


def named_accounts(server: Server, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(id, name) of the accounts with these names; those without mail are left out. Raises UnknownName."""
    found = [server.directory.principals.get(name) for name in names]
    return [(principal.id, principal.name) for principal in found if principal.has_mail]


def only_name(names: tuple[str, ...]) -> str | None:
    """The one name, or None; a usage error for more, which a server at a URL does not take at once."""
    if len(names) > 1:
        raise click.UsageError("At a URL name one account, or none for all.")
    return names[0] if names else None


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


def run_job(manager: Operations, label: str, path: str, *parts: str, hidden: bool, **query: Any) -> dict[str, Any]:
    """Has a server at a URL do the job that this operation begins, and answers its result. An error of click's when it does not
    come to its end. The arguments are those of Operations.call; label, hidden: of the progress bar."""
    job = manager.call("POST", path, *parts, **query)
    try:
        with progress(label, hidden=hidden, octets=job["kind"] == "backup") as tell:
            while job["state"] == "running":
                time.sleep(_PAUSE)
                job = manager.call("GET", "/jobs/{id}", job["id"])
                at = job["progress"]
                tell(at["done"], at["total"], at["at"])
    except KeyboardInterrupt:
        click.echo(f"The job {job['id']} goes on; `flaskmail job cancel {job['id']}` stops it.", err=True)
        raise SystemExit(INTERRUPTED) from None
    if job["state"] != "done":
        raise click.ClickException(
            f"the job {job['id']} was {job['state']}" + (f": {job['error']}" if job["error"] else "")
        )
    result: dict[str, Any] = job["result"]
    return result
