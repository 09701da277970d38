"""``flaskmail config``: check the settings, show those in force, print an example."""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby
from typing import NoReturn

import click

from flaskmail.config import load
from flaskmail.config.documents import example as example_file
from flaskmail.config.documents import in_force, page
from flaskmail.errors import ConfigError


@click.group()
def config() -> None:
    """Check, show and explain the settings."""


@config.command()
@click.argument("file", required=False, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check(file: str | None, as_json: bool) -> None:
    """Check FILE, or the settings in force: exit code 0 when they are right, 1 with every problem listed when not."""
    try:
        settings = load(file)
    except ConfigError as error:
        _refuse(error, as_json)
    if as_json:
        click.echo(json.dumps({"file": None if settings.source is None else str(settings.source), "problems": []}))
    elif settings.source is None:
        click.echo("There is no settings file; the defaults hold.")
    else:
        click.echo(f"{settings.source}: the settings are right.")


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(as_json: bool) -> None:
    """Print the settings in force, and where each comes from. Secrets are hidden."""
    try:
        settings = load()
    except ConfigError as error:
        _refuse(error, as_json)
    found = in_force(settings)
    if as_json:
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
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object with the file's text.")
def example(markdown: bool, as_json: bool) -> None:
    """Print a settings file that shows every key with its default."""
    text = page() if markdown else example_file()
    click.echo(json.dumps({"text": text}, ensure_ascii=False) if as_json else text, nl=as_json)


def _refuse(error: ConfigError, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(
            json.dumps({"problems": [dataclasses.asdict(problem) for problem in error.problems]}, ensure_ascii=False)
        )
    else:
        for problem in error.problems:
            click.echo(str(problem), err=True)
    raise SystemExit(1)
