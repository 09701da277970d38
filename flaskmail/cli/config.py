"""``flaskmail config``: check the settings, show and change those in force, print an example."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from itertools import groupby
from typing import Any, NoReturn

import click

from flaskmail.accounts.authorization import LOCAL
from flaskmail.accounts.storedsettings import read_state, read_texts, stored_settings
from flaskmail.cli.common import (
    REFUSED,
    Failed,
    Group,
    as_json,
    at_url,
    local_command,
    refusing,
    write_fields,
    write_json,
    write_table,
)
from flaskmail.cli.manager import Operations, operations
from flaskmail.config import load
from flaskmail.config.changing import text_of
from flaskmail.config.documents import example as example_file
from flaskmail.config.documents import in_force, page
from flaskmail.config.listing import is_secret, json_value
from flaskmail.errors import ConfigError, StoreError
from flaskmail.policy import plan  # noqa: F401 - adds its checks to the loader's


@click.group(cls=Group, short_help="Check, show, change and explain the settings.")
def config() -> None:
    """Check, show, change and explain the settings."""


@config.command(
    cls=local_command("the file lies there; `flaskmail reload --dry-run` has a server check its own."),
    short_help="Check FILE, or the settings in force.",
)
@click.argument("file", required=False, type=click.Path())
@as_json
def check(file: str | None, machine: bool) -> None:
    """Check FILE, or the settings in force, with those that are stored: exit code 0 when they are right, 1 with every problem
    listed when not."""
    try:
        settings = load(file, stored=read_texts)
    except ConfigError as error:
        _refuse(error, machine)
    except StoreError as error:
        # Whoever checks a file need not be the one who may open the data.
        click.echo(f"Warning: the stored settings are not checked: {error}", err=True)
        try:
            settings = load(file)
        except ConfigError as wrong:
            _refuse(wrong, machine)
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
    source, found = _there() if at_url() else _here(machine)
    if machine:
        click.echo(
            json.dumps(
                {
                    "file": source,
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


def _here(machine: bool) -> tuple[str | None, list[dict[str, Any]]]:
    with refusing():
        try:
            settings = load(stored=read_texts)
        except ConfigError as error:
            _refuse(error, machine)
    return None if settings.source is None else str(settings.source), in_force(settings)


def _there() -> tuple[str | None, list[dict[str, Any]]]:
    with operations() as manager:
        found = manager.every("/settings")
    hidden = '"(secret)"'
    return None, [
        {
            "key": one["key"],
            "value": hidden if one["secret"] and one["isSet"] else one["text"],
            "origin": one["origin"],
        }
        for one in found
    ]


@config.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@as_json
def get(keys: tuple[str, ...], machine: bool) -> None:
    """Print what is set for each KEY. Nothing is printed for a default or a secret; `flaskmail config show` has defaults, too.

    Example: flaskmail config get server.http.url"""
    with operations() as manager:
        found = manager.call("GET", "/settings/keys", keys=keys)
        unknown = [key for key in keys if key not in found and not _may_be_set(manager, key)]
    if unknown:
        raise Failed(f"there is no setting {unknown[0]}; `flaskmail config schema` lists them")
    if machine:
        write_json(found)
    else:
        for key, text in found.items():
            click.echo(text if len(keys) == 1 else f"{key} = {text}")


def _may_be_set(manager: Operations, key: str) -> bool:
    """Whether there is a setting of that key, a table of settings, or a key below one that holds a table or a list."""
    declared = [one["key"] for one in manager.every("/settings/schema", prefix=key.partition(".")[0])]
    return key.startswith(("lookup.", "plugins.", "server.listener.")) or any(
        key == one or one.startswith(f"{key}.") or key.startswith(f"{one}.") for one in declared
    )


@config.command()
@click.argument("text", default="")
@as_json
def schema(text: str, machine: bool) -> None:
    """Say what can be set, and how; with TEXT only what has it in its key or its documentation.

    Example: flaskmail config schema quota"""
    with operations() as manager:
        found = manager.every("/settings/schema", filter=text)
    if machine:
        write_json(found)
        return
    if not found:
        click.echo(f"No setting has {text!r} in its key or its documentation.", err=True)
    for one in found:
        click.echo(one["key"])
        takes = f"{one['takes']}, and only in the file" if one["onlyFile"] else one["takes"]
        fields = {"value": one["expected"], "default": one["default"], "takes": takes, "secret": one["secret"]}
        write_fields({f"  {name}": value for name, value in fields.items()})
        click.echo(f"  {one['doc']}\n")


# ---- changes
@config.command("set")
@click.argument("key")
@click.argument("value")
@click.option("--dry-run", is_flag=True, help="Only say what would be.")
@as_json
def set_(key: str, value: str, dry_run: bool, machine: bool) -> None:
    """Store VALUE for KEY: in force in every worker of a running server within a second.

    VALUE is TOML, like true, 12 or '["a", "b"]', or a text as it stands; "-" reads it from standard input, for secrets. What the
    settings file sets is changed there.

    Example: flaskmail config set account.quota '10 GB'"""
    if value == "-":
        value = sys.stdin.read().rstrip("\r\n")
    step = {"type": "insert", "prefix": None, "values": [[key, json_value(text_of(key, value, toml_first=True))]]}
    _change([step], dry_run, machine)


@config.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY…")
@as_json
def unset(keys: tuple[str, ...], machine: bool) -> None:
    """Remove what is stored for KEY, so that its default holds again. It works, too, when what is stored is wrong."""
    if not at_url() and _mend(keys):
        if machine:
            write_json({"removed": list(keys)})
        return
    _change([{"type": "delete", "keys": list(keys)}], False, machine)


def _mend(keys: tuple[str, ...]) -> bool:
    """Removes keys from stored settings with which no server could be made; False when they are right."""
    with refusing():
        base = load(checked=False)
        state = read_state(base.storage.path)
        try:
            load(stored=state.texts)
            return False
        except ConfigError:
            pass
        absent = [key for key in keys if key not in state.texts]
        if absent:
            raise click.ClickException(f"nothing is stored under {', '.join(absent)}")
        with stored_settings(base.storage.path) as stored:
            stored.change(dict.fromkeys(keys), actor=LOCAL.name, expected=state.revision, is_secret=is_secret)
        left = {key: text for key, text in state.texts.items() if key not in keys}
        try:
            load(stored=left)
        except ConfigError as error:
            click.echo("Still wrong:", err=True)
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
    return True


def _change(steps: list[dict[str, Any]], dry_run: bool, machine: bool) -> None:
    with operations() as manager:
        said = manager.call("POST", "/settings", body=steps, dry_run=True)
        if not dry_run:
            manager.call("POST", "/settings", body=steps)
    _tell(said, machine)


def _tell(said: Mapping[str, Any], machine: bool) -> None:
    """What was changed, or would be."""
    if machine:
        write_json(said)
    else:
        for one in said["changes"]:
            click.echo(
                f"{one['key']} = {one['new']}" if one["new"] is not None else f"{one['key']} is no longer stored"
            )
        for key, warning in said["warnings"].items():
            if warning["error"]:
                click.echo(f"{key}: {warning['error']}", err=True)
        for key, mistake in said["errors"].items():
            click.echo(f"{key}: {mistake['error']}", err=True)
        if not (said["changes"] or said["warnings"] or said["errors"]):
            click.echo("Nothing changes.")
    if said["errors"]:
        raise SystemExit(REFUSED)


@config.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many changes.")
@as_json
def history(limit: int, machine: bool) -> None:
    """List the changes of stored settings, newest first."""
    with operations() as manager:
        found = manager.call("GET", "/settings/history", limit=limit)["items"]
    if machine:
        write_json(found)
        return
    rows = [
        (one["revision"], one["at"], one["actor"], change["key"], change["old"], change["new"])
        for one in found
        for change in one["changes"]
    ]
    write_table(("REVISION", "AT", "BY", "KEY", "BEFORE", "AFTER"), rows)


@config.command()
@click.argument("revision", type=click.IntRange(0))
@click.option("--dry-run", is_flag=True, help="Only say what would be.")
@as_json
def rollback(revision: int, dry_run: bool, machine: bool) -> None:
    """Store again what was stored at REVISION, as a new change. 0 is before the first change."""
    with operations() as manager:
        said = manager.call("POST", "/settings/rollback", body={"revision": revision}, dry_run=dry_run)
    _tell(said, machine)
    if said["kept"] and not machine:
        click.echo(f"Secrets stay as they are: {', '.join(said['kept'])}", err=True)


@config.command(short_help="Read the settings file again.")
@click.option("--dry-run", is_flag=True, help="Only say what is wrong.")
@as_json
def reload(dry_run: bool, machine: bool) -> None:
    """Let a running server read its settings file again. On the local store, what needs new workers waits for a SIGHUP."""
    with operations() as manager:
        said = manager.call("POST", "/reload", dry_run=dry_run)
    _tell(said, machine)


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
