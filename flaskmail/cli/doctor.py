"""``flaskmail doctor``: asks the server through its public URL, and says in plain words what is wrong."""

from __future__ import annotations

import dataclasses
import sys

import click

from flaskmail import config
from flaskmail.cli.common import MISCONFIGURED, REFUSED, as_json, local_command, write_json
from flaskmail.config import Settings
from flaskmail.decisions.addresses import read_authority
from flaskmail.decisions.client import Client
from flaskmail.doctor.asking import Target, read_target
from flaskmail.doctor.examining import examine
from flaskmail.doctor.findings import Finding
from flaskmail.doctor.key import key_in
from flaskmail.errors import ConfigError
from flaskmail.policy.plan import of_settings

_SIGNS = {"wrong": "WRONG", "note": "note ", "right": "right"}


@click.command(
    cls=local_command("it lays a key into the data folder. The URL to ask stands behind `doctor`."),
    short_help="Ask the server by its URL; say what is wrong.",
)
@click.argument("url", required=False)
@click.option("--connect", metavar="HOST:PORT", help="Connect there, instead of where the name of the URL leads.")
@as_json
def doctor(url: str | None, connect: str | None, machine: bool) -> None:
    """Ask the running server through its public URL as a client does, and say in plain words what is wrong: reachability,
    certificate, redirects, proxy, URLs, and headers that clients can forge.

    URL: the base URL that clients use, like https://mail.example.org; by default the one of the settings. Run it on the server's
    machine with the server's settings: for a minute a key lies in the data folder, by which the two know each other.

    The exit code is 1 when something is wrong."""
    try:
        settings = config.load()
        target = read_target(url or _configured(settings), _connect(connect))
    except ConfigError as error:
        click.echo("The settings are wrong:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        raise SystemExit(MISCONFIGURED) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        found = _examine(target, settings, machine)
    except FileNotFoundError:
        click.echo(f"Error: there is no data folder {settings.storage.path}.", err=True)
        click.echo("Start the server first, or name its settings: FLASKMAIL_CONFIG, FLASKMAIL_DATA.", err=True)
        raise SystemExit(REFUSED) from None
    except OSError as error:
        click.echo(
            f"Error: no key can be put into the data folder {settings.storage.path}: {error.strerror}.", err=True
        )
        click.echo("Run the doctor as the user of the server, or as root, with its FLASKMAIL_CONFIG.", err=True)
        raise SystemExit(REFUSED) from None
    sys.exit(REFUSED if any(one.level == "wrong" for one in found) else 0)


def _examine(target: Target, settings: Settings, machine: bool) -> list[Finding]:
    found = []
    if not machine:
        click.echo(f"Asking {target.url}\n")
    with key_in(settings.storage.path) as key:
        for one in examine(target, settings.server.http, key):
            found.append(one)
            if not machine:
                _tell(one)
    wrong = sum(one.level == "wrong" for one in found)
    if machine:
        write_json({"url": target.url, "healthy": not wrong, "findings": [dataclasses.asdict(one) for one in found]})
    else:
        click.echo(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong." if wrong else "Nothing is wrong.")
    return found


def _tell(one: Finding) -> None:
    click.echo(f"{_SIGNS[one.level]}  {_plain(one.seen)}")
    if one.why:
        click.echo(f"       {_plain(one.why)}")
    if one.fix:
        click.echo(f"       -> {_plain(one.fix)}")
    click.echo()


def _plain(text: str) -> str:
    """The text without what a terminal would obey; parts of it come from whoever answered."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _configured(settings: Settings) -> str:
    policy = of_settings(settings)
    if policy.url.constant is not None:
        return policy.url.constant
    listener = next(iter(settings.server.listeners().values()))
    bind = next((one for one in listener.bind if not one.startswith("unix:")), "")
    port = bind.rpartition(":")[2]
    scheme = "https" if listener.tls.certificate else "http"
    environ = {"SERVER_PORT": port, "REMOTE_PORT": "1", "PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    return policy.url.base(environ, Client(None, scheme))


def _connect(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    try:
        host, port = read_authority(text)
    except ValueError:
        port = None
    if port is None:
        raise ValueError(f"--connect: {text!r} is no host and port like 192.0.2.1:443")
    return host.strip("[]"), port
