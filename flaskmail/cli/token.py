"""``flaskmail token``: access tokens, for clients that sign in with Bearer."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from flaskmail.accounts.tokens import Token
from flaskmail.cli.common import as_json, opened, write_json, write_table

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.group(short_help="Make, list and revoke access tokens.")
def token() -> None:
    """Access tokens: for clients that sign in with a token (Bearer) instead of the password."""


class Expiry(click.ParamType[int]):
    """A time to come: a duration (12h, 30d) or a date (2027-01-31), as seconds since 1970."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The moment; a usage error when it is none, or past."""
        if isinstance(value, int):
            return value
        when = moment(value, time.time())
        if when is None:
            self.fail(f"{value!r} is neither a duration such as 12h or 30d nor a date such as 2027-01-31", param, ctx)
        if when <= time.time():
            self.fail(f"{value!r} is in the past", param, ctx)
        return when


def moment(text: str, now: float) -> int | None:
    """Seconds since 1970 of a duration from ``now``, or of a date: the end of that day, UTC; None when it is neither."""
    duration = re.fullmatch(r"([0-9]{1,6})\s*([smhdw])", text.strip())
    if duration:
        return int(now) + int(duration[1]) * _UNITS[duration[2]]
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
        return int((day + timedelta(days=1)).timestamp())
    except (ValueError, OverflowError):
        return None


def _wire(found: Token) -> dict[str, Any]:
    return {
        "id": found.id,
        "account": found.account,
        "name": found.name,
        "created": found.created,
        "expires": found.expires_date(),
    }


@token.command()
@click.argument("account")
@click.option("--name", default="", help="What it is for.")
@click.option("--expires", type=Expiry(), help="When it ends: 12h, 30d, 2027-01-31. Default: never.")
@as_json
def create(account: str, name: str, expires: int | None, machine: bool) -> None:
    """Make a token for ACCOUNT and show it once."""
    with opened() as server:
        made, text = server.directory.tokens.create(server.directory.principals.get(account), name, expires)
        if machine:
            write_json(_wire(made) | {"token": text})
            return
        ends = f", ends {made.expires_date()}" if made.expires is not None else ""
        click.echo(f"Made the token {made.id} for {made.account}{ends}. It is not shown again:")
        click.echo(text)


@token.command(name="list")
@click.argument("account", required=False)
@as_json
def list_(account: str | None, machine: bool) -> None:
    """List the tokens of ACCOUNT, or all."""
    with opened() as server:
        principal = None if account is None else server.directory.principals.get(account)
        found = server.directory.tokens.all(principal)
        if machine:
            write_json([_wire(one) for one in found])
            return
        write_table(
            ("ID", "ACCOUNT", "NAME", "CREATED", "EXPIRES"),
            [(t.id, t.account, t.name, t.created, t.expires_date() or "never") for t in found],
        )


@token.command(short_help="End the token ID.")
@click.argument("id")
@as_json
def revoke(id: str, machine: bool) -> None:
    """End the token ID (not the token itself: see `flaskmail token list`), at once."""
    with opened() as server:
        gone = server.directory.tokens.revoke(id)
        if machine:
            write_json(_wire(gone))
        else:
            click.echo(f"Revoked the token {gone.id} of {gone.account}.")
