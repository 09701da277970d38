"""``flaskmail me``: how you sign in yourself."""

from __future__ import annotations

import sys
from typing import Any

import click

from flaskmail.cli.common import Group, as_json, url_only, write_fields, write_json
from flaskmail.cli.manager import Operations, Refused, operations
from flaskmail.cli.values import password, secret_line

PATH = "/account/auth"
_WHY = "it is about whoever asks, and on the store nobody has signed in."
_PROOFS = {"currentPassword": "Your present password", "code": "A code of your second factor"}


@click.group(cls=Group, short_help="Your own password and second factor.")
def me() -> None:
    """How you sign in yourself, at a URL: the password and the second factor. `flaskmail app-password` and `flaskmail token` make
    what programs sign in with.

    Who signs in with a key, or has a second factor, is asked for proof.
    """


@me.command()
@as_json
def show(machine: bool) -> None:
    """Show how you sign in."""
    url_only(_WHY)
    with operations() as manager:
        found = manager.call("GET", PATH)
        if machine:
            write_json(found)
        else:
            told = {"second factor": found["otpEnabled"], "recovery codes left": found["recoveryCodes"]}
            write_fields({**told, "app passwords": found["appPasswords"]})


@me.command(name="set-password")
@click.option("--password-stdin", is_flag=True, help="Read it from one line of standard input instead of making one.")
@as_json
def set_password(password_stdin: bool, machine: bool) -> None:
    """Give yourself another password; sessions in browsers end. Without --password-stdin one is made and shown once."""
    url_only(_WHY)
    with operations() as manager:
        secret, made = password(password_stdin)
        _step(manager, {"type": "setPassword", "password": secret})
        if machine:
            write_json({"password": secret} if made else {})
            return
        click.echo("Changed your password.")
        if made:
            click.echo(f"It is not shown again: {secret}")


@me.command(name="enable-otp")
@as_json
def enable_otp(machine: bool) -> None:
    """Begin with a second factor: show the URL for an authenticator app. `flaskmail me confirm-otp` puts it to use."""
    url_only(_WHY)
    with operations() as manager:
        made = _step(manager, {"type": "enableOtpAuth"})
        if machine:
            write_json(made)
        else:
            click.echo("Give this to an authenticator app, then `flaskmail me confirm-otp CODE`:")
            click.echo(made["otpAuthUrl"])


@me.command(name="confirm-otp")
@click.argument("code")
@as_json
def confirm_otp(code: str, machine: bool) -> None:
    """Put the second factor to use, with a CODE that the app shows; the recovery codes are shown once."""
    url_only(_WHY)
    with operations() as manager:
        made = _step(manager, {"type": "confirmOtpAuth", "code": code})
        if machine:
            write_json(made)
            return
        click.echo("A code is wanted from now on. Each of these stands in for one, once; they are not shown again:")
        for one in made["recoveryCodes"]:
            click.echo(f"  {one}")


@me.command(name="disable-otp")
@as_json
def disable_otp(machine: bool) -> None:
    """Remove your second factor."""
    url_only(_WHY)
    with operations() as manager:
        _step(manager, {"type": "disableOtpAuth"})
        if machine:
            write_json({})
        else:
            click.echo("Your password alone lets you in.")


def _step(manager: Operations, step: dict[str, Any]) -> dict[str, Any]:
    """What the step has made. Whatever proof the server wants is asked for, each once."""
    proof: dict[str, str] = {}
    while True:
        try:
            made = manager.call("POST", PATH, body={"steps": [step], **proof} if proof else [step])
        except Refused as error:
            wanted = str(error.problem.get("member"))
            if error.status != 403 or wanted not in _PROOFS or wanted in proof or wanted in step or sys.stdin is None:
                raise
            proof[wanted] = secret_line(_PROOFS[wanted], "proof", twice=False)
            if not proof[wanted]:
                raise
            continue
        return made or {}
