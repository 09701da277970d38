"""Kinds of values that are typed on the command line, and how passwords come in."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from flaskmail.cli.common import Failed, refusing

DEFAULT = 0
"""Stands for "as the settings say" where a size is typed, as the management API has it."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Size(click.ParamType[int]):
    """Octets, with a unit if wanted: 500 MB, 10GiB; DEFAULT for "default"."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The octets; a usage error when it is no size."""
        from flaskmail.config.kinds import parse_size

        if isinstance(value, int):
            return value
        if value == "default":
            return DEFAULT
        try:
            return parse_size(int(value) if value.isdigit() else value)
        except ValueError:
            self.fail(f"{value!r} is not a size such as 500MB or 10GB, nor default", param, ctx)


class Expiry(click.ParamType[int]):
    """A time to come: a duration (12h, 30d) or a date (2027-01-31, 2027-01-31T12:00:00Z), as seconds since 1970."""

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
    """Seconds since 1970 of a duration from ``now``, a date (the end of that day, UTC), or a date with a time as the API tells
    it; None when it is none of them."""
    duration = re.fullmatch(r"([0-9]{1,6})\s*([smhdw])", text.strip())
    if duration:
        return int(now) + int(duration[1]) * _UNITS[duration[2]]
    try:
        if "T" in text:
            return int(datetime.strptime(text.strip(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
        return int((day + timedelta(days=1)).timestamp())
    except (ValueError, OverflowError):
        return None


def written(when: int | None) -> str | None:
    """Seconds since 1970 as the management API writes them; None stays None."""
    return None if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def password(from_stdin: bool) -> tuple[str, bool]:
    """(the password, whether it was made here and has to be shown). from_stdin: it is read, or asked for twice at a terminal."""
    from flaskmail.accounts.passwords import make_password, prepare

    if not from_stdin:
        return make_password(), True
    text = secret_line("Password", "password")
    with refusing():
        prepare(text)
    return text, False


def secret_line(prompt: str, what: str, *, twice: bool = True) -> str:
    """One line that is not shown: typed at a terminal, else the first line of standard input. what: for the refusal."""
    if sys.stdin is None:
        raise Failed(f"standard input is closed: there is no {what} to read")
    if sys.stdin.isatty():
        typed: str = click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
        return typed
    octets = sys.stdin.buffer.readline(4096)
    try:
        return octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failed(f"the {what} is not text in UTF-8") from None
