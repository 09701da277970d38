"""``flaskmail config``: check the settings, show those in force, print an example."""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby
from typing import NoReturn

import click

from flaskmail.cli.common import as_json
from flaskmail.config import load
from flaskmail.config.documents import example as example_file
from flaskmail.config.documents import in_force, page
from flaskmail.errors import ConfigError
from flaskmail.policy import plan  # noqa: F401 - adds its checks to the loader's


@click.group()
def config() -> None:
    """Check, show and explain the settings."""


@config.command(short_help="Check FILE, or the settings in force.")
@click.argument("file", required=False, type=click.Path())
@as_json
def check(file: str | None, machine: bool) -> None:
    """Check FILE, or the settings in force: exit code 0 when they are right, 1 with every problem listed when not."""
    try:
        settings = load(file)
    except ConfigError as error:
        _refuse(error, machine)
    if machine:
        click.echo(json.dumps({"file": None if settings.source is None else str(settings.source), "problems": []}))
    elif settings.source is None:
        click.echo("There is no settings file; the defaults hold.")
    else:
        click.echo(f"{settings.source}: the settings are right.")


@config.command()
@as_json
def show(machine: bool) -> None:
    """Print the settings in force, and where each comes from. Secrets are hidden."""
    try:
        settings = load()
    except ConfigError as error:
        _refuse(error, machine)
    found = in_force(settings)
    if machine:
        click.echo(
            json.dumps(
                {
                    "file": None if settings.source is None else str(settings.source),
                    "settings": {one["key"]: {"value": one["value"], "origin": one["origin"]} for one in found},
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    for section, own in groupby(found, key=lambda one: str(one["key"]).rpartition(".")[0]):
        click.echo(f"[{section}]")
        for one in own:
            name = str(one["key"]).rpartition(".")[2]
            line = f"# {name} is not set" if one["value"] is None else f"{name} = {one['value']}"
            click.echo(f"{line:<50} # {one['origin']}")
        click.echo()


@config.command()
@click.option("--markdown", is_flag=True, help="Print the page of documentation instead.")
@as_json
def example(markdown: bool, machine: bool) -> None:
    """Print a settings file that shows every key with its default."""
    text = page() if markdown else example_file()
    click.echo(json.dumps({"text": text}, ensure_ascii=False) if machine else text, nl=machine)


def _refuse(error: ConfigError, machine: bool) -> NoReturn:
    if machine:
        click.echo(
            json.dumps({"problems": [dataclasses.asdict(problem) for problem in error.problems]}, ensure_ascii=False)
        )
    else:
        for problem in error.problems:
            click.echo(str(problem), err=True)
    raise SystemExit(1)
