"""What commands share that work through whole accounts: which ones, a progress bar, and jobs of a server at a URL."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flaskmail.cli.common import INTERRUPTED, Failed
from flaskmail.cli.common import at_url as at_url
from flaskmail.cli.common import octets as shown_octets
from flaskmail.cli.domain import in_ascii
from flaskmail.cli.manager import Operations
from flaskmail.errors import FlaskmailError, StoreError

if TYPE_CHECKING:
    from flaskmail.accounts.principals import Principal
    from flaskmail.server import Server
    from flaskmail.upkeep import Tell

_PAUSE = 0.3


def named_account(server: Server, name: str) -> Principal:
    """The account of this name or id, as operations find it at a URL. Raises BadName or UnknownName."""
    principals = server.directory.principals
    found = principals.secret_of(name.strip().lower())
    if found is not None and found.principal.type == "individual":
        return found.principal
    return principals.get(in_ascii(name))


def named_accounts(server: Server, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """(id, name) of the accounts with these names or ids; those without mail are left out. Raises BadName or UnknownName."""
    found = [named_account(server, name) for name in names]
    return [(principal.id, principal.name) for principal in found if principal.has_mail]


def only_name(names: tuple[str, ...]) -> str | None:
    """The one name, or None; a usage error for more, which a server at a URL does not take at once."""
    if len(names) > 1:
        raise click.UsageError("At a URL name one account, or none for all.")
    return in_ascii(names[0]) if names else None


@contextmanager
def noted(server: Server, operation: str, object: str, **change: Any) -> Iterator[None]:
    """Writes what the block changes on the store to the audit log, where it is no operation of the management API that is called.
    operation: the name of the one that does the same at a URL, or of the command; object: what it works on."""
    # Not needed at a URL.
    from flaskmail.accounts.authorization import LOCAL

    log = server.directory.audit
    id = log.begin(
        actor=LOCAL.name,
        actor_id=LOCAL.id,
        domain=None,
        via=LOCAL.grant.kind,
        address="",
        operation=operation,
        object=object,
        change={name: value for name, value in change.items() if value is not None} or None,
        keep=server.settings.management.audit_keep,
    )
    status = 500
    try:
        yield
        status = 200
    except StoreError:
        status = 503
        raise
    except FlaskmailError:
        # Refused, as the management API would say it.
        status = 409
        raise
    finally:
        log.end(id, status)


@contextmanager
def progress(label: str, *, hidden: bool, octets: bool = False) -> Iterator[Tell]:
    """A progress bar on standard error, where that is a terminal. octets: what is counted are octets of files."""
    if hidden or not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    # The bar is drawn once before there is a name for it.
    at = [""]

    def shown(_: object) -> str:
        return at[0]

    with click.progressbar(length=1, file=sys.stderr, label=label, item_show_func=shown, show_pos=False) as bar:

        def tell(done: int, total: int, what: str) -> None:
            at[0] = f"{shown_octets(done)} {what}" if octets else what
            bar.length = max(total, 1)
            bar.update(done - bar.pos, what)

        yield tell


def run_job(manager: Operations, label: str, path: str, *parts: str, hidden: bool, **query: Any) -> dict[str, Any]:
    """Has a server at a URL do the job that this operation begins, and answers its result. An error of click's when it does not
    come to its end. The arguments are those of Operations.call; label, hidden: of the progress bar."""
    job = awaited(manager, manager.call("POST", path, *parts, **query), label, hidden=hidden)
    result: dict[str, Any] = finished(job)["result"]
    return result


def awaited(manager: Operations, job: dict[str, Any], label: str, *, hidden: bool) -> dict[str, Any]:
    """The job when it runs no more. Ctrl-C leaves it running."""
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
    return job


def finished(job: dict[str, Any]) -> dict[str, Any]:
    """The job; Failed when it did not come to its end."""
    if job["state"] != "done":
        ended = job["state"] if job["state"] == "failed" else f"was {job['state']}"
        told = f"the job {job['id']} {ended}" + (f": {job['error']}" if job["error"] else "")
        raise Failed(told, {"job": job})
    return job
