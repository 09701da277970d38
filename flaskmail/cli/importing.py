"""``flaskmail import``: mail from files into an account."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from flaskmail.accounts.faults import DirectoryError
from flaskmail.cli.common import INTERRUPTED, REFUSED, as_json, local_command, opened, write_json
from flaskmail.cli.working import named_account
from flaskmail.datatypes.mail.filing import MailFiler
from flaskmail.datatypes.mail.folders import find_mailbox
from flaskmail.delivery.importing import Summary, import_messages
from flaskmail.errors import StoreError
from flaskmail.formats.archives import Found, Skipped, read_path, size_of
from flaskmail.jmap.context import Context
from flaskmail.server import Server


@click.command(
    "import", cls=local_command("mail is read from files there."), short_help="Import mail from files into an account."
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option("--account", required=True, metavar="NAME", help="The account to import into.")
@click.option("--mailbox", metavar="NAME", help="A mailbox by path (Archive/2024), role or id. Default: the inbox.")
@as_json
def import_(paths: tuple[Path, ...], account: str, mailbox: str | None, machine: bool) -> None:
    """Import mail from each PATH into an account.

    PATH is an mbox file, a Maildir (flags and folders become keywords and mailboxes), a message (.eml), a folder, or a tar
    archive; in an archive or a folder every file is read, .mbox as mbox and any other as one message.

    It can be stopped at any time and run again: what the account already holds is counted as a duplicate and left alone.
    A damaged file is reported and skipped, and the rest goes on; the exit status is then 1.
    """
    with opened() as server:
        principal = named_account(server, account)
        if principal.admin:
            raise DirectoryError(f"{principal.name!r} has no mailbox; import into an account with an address")
        ctx = server.context_for(principal)
        ctx.account = ctx.accounts[principal.id]
        filer = MailFiler(ctx, _target(ctx, principal.id, mailbox))
        started = time.monotonic()
        stored = [Summary()]
        try:
            with _progress(paths, hidden=machine) as (advance, show):

                def committed(summary: Summary) -> None:
                    stored[0] = replace(summary)
                    show(summary)

                items = _items(server, paths, advance)
                summary = import_messages(server.store, principal.id, filer, items, committed=committed)
        except (KeyboardInterrupt, StoreError) as error:
            _stopped(stored[0])
            if isinstance(error, StoreError):
                raise
            raise SystemExit(INTERRUPTED) from None
        _tell(summary, time.monotonic() - started, machine)
    if summary.problems:
        raise SystemExit(REFUSED)


def _target(ctx: Context, account_id: str, wanted: str | None) -> str | None:
    if wanted is None:
        return None
    with ctx.store.read(account_id) as reader:
        mailboxes = reader.get("Mailbox", None, ("name", "parentId", "role"))
    found = find_mailbox(mailboxes, wanted)
    if found is None:
        names = ", ".join(sorted(str(m["name"]) for m in mailboxes if m.get("parentId") is None))
        raise click.BadParameter(
            f"there is no mailbox {wanted!r}; at the top there are: {names}", param_hint="--mailbox"
        )
    return found


def _items(server: Server, paths: tuple[Path, ...], advance: Callable[[int], None]) -> Iterator[Found | Skipped]:
    for path in paths:
        yield from read_path(path, max_size=server.limits.maxSizeEmail, progress=advance)


@contextmanager
def _progress(
    paths: tuple[Path, ...], *, hidden: bool
) -> Iterator[tuple[Callable[[int], None], Callable[[Summary], None]]]:
    if hidden or not sys.stderr.isatty():
        yield (lambda _n: None), (lambda _s: None)
        return
    told = [""]
    total = sum(size_of(path) for path in paths) or 1
    bar: Any
    with click.progressbar(
        length=total, file=sys.stderr, label="Importing", item_show_func=lambda _i: told[0], show_pos=False
    ) as bar:

        def show(summary: Summary) -> None:
            told[0] = f"{summary.imported + summary.duplicate:,} messages"
            bar.update(0)

        yield bar.update, show


def _stopped(summary: Summary) -> None:
    click.echo(
        f"Stopped; the {summary.imported:,} messages that were imported so far are stored. "
        "Run the same command again to go on: nothing comes in twice.",
        err=True,
    )


def _tell(summary: Summary, seconds: float, machine: bool) -> None:
    if machine:
        problems = [{"source": source, "reason": reason} for source, reason in summary.problems]
        write_json({**asdict(summary), "problems": problems, "seconds": round(seconds, 3)})
        return
    for source, reason in summary.problems:
        click.echo(f"skipped: {source}: {reason}", err=True)
    rate = f", {summary.imported / seconds:,.0f} a second" if summary.imported >= 100 and seconds > 0 else ""
    click.echo(
        f"Found {summary.found:,}: {summary.imported:,} imported, {summary.duplicate:,} already there, "
        f"{summary.skipped:,} skipped ({seconds:.1f} s{rate})."
    )
