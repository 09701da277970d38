"""``flaskmail blob``: the octets of what is stored."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flaskmail.cli.common import Failed, Group
from flaskmail.cli.manager import operations


@click.group(cls=Group, short_help="Read the octets of a blob.")
def blob() -> None:
    """Blobs: the octets of messages, attachments and uploads. Who reads one is written to the audit log."""


@blob.command()
@click.argument("hash")
@click.option("--account", metavar="NAME", help="Look only in this account.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
def get(hash: str, account: str | None, output: Path | None) -> None:
    """Write the octets of the blob HASH, its SHA-256 in hex or its blobId, to standard output or to FILE."""
    with operations() as manager, manager.stream("/store/blobs/{hash}", hash, account=account) as pieces:
        if output is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        try:
            with output.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as error:
            raise Failed(f"{output} cannot be written: {error.strerror}") from None
