"""``flaskmail whoami``: who asks, and what he may do."""

from __future__ import annotations

import click

from flaskmail.cli.common import as_json, write_fields, write_json
from flaskmail.cli.manager import operations


@click.command(short_help="Say who asks, and what he may do.")
@as_json
def whoami(machine: bool) -> None:
    """Say who asks, with which credential, and what he may do."""
    with operations() as manager:
        found = manager.call("GET", "/whoami")
        if machine:
            write_json(found)
            return
        credential = found["credential"]
        write_fields(
            {
                "name": found["name"],
                "type": found["type"],
                "credential": " ".join(filter(None, (credential["kind"], credential["name"] or credential["id"]))),
                "scopes": "no limit" if credential["scopes"] is None else ", ".join(credential["scopes"]),
                "roles": ", ".join(found["roles"]),
                "domain": "every domain" if found["domain"] is None else found["domain"],
                "permissions": len(found["permissions"]),
            }
        )
        click.echo()
        for permission in found["permissions"]:
            click.echo(f"  {permission}")
