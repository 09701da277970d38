"""``flaskmail job``: work in the background, as the management API begins it."""

from __future__ import annotations

from typing import Any

import click

from flaskmail.cli.common import Group, as_json, write_fields, write_json, write_table
from flaskmail.cli.manager import operations
from flaskmail.cli.working import awaited, finished


@click.group(cls=Group, short_help="See, wait for and stop work in the background.")
def job() -> None:
    """See, wait for and stop work in the background, as the management API begins it."""


@job.command("list")
@click.option("--kind", default="", help="Only verify, backup, reindex or purge.")
@click.option("--state", default="", help="Only running, done, failed, cancelled or interrupted.")
@as_json
def list_(kind: str, state: str, machine: bool) -> None:
    """List the jobs that run, and the last that have ended; the newest first."""
    with operations() as manager:
        found = manager.every("/jobs", kind=kind, state=state)
    if machine:
        write_json(found)
    else:
        head = ("ID", "KIND", "STATE", "PROGRESS", "STARTED", "ENDED", "BY")
        write_table(head, ([j["id"], j["kind"], j["state"], _far(j), j["started"], j["ended"], j["by"]] for j in found))


@job.command()
@click.argument("id")
@as_json
def show(id: str, machine: bool) -> None:
    """Show the job ID with its result."""
    with operations() as manager:
        _tell(manager.call("GET", "/jobs/{id}", id), machine)


@job.command()
@click.argument("id")
@as_json
def wait(id: str, machine: bool) -> None:
    """Wait until the job ID has ended, and show it. The exit code is 0 when it came to its end; Ctrl-C leaves it running."""
    with operations() as manager:
        job = awaited(manager, manager.call("GET", "/jobs/{id}", id), "Waiting", hidden=machine)
        _tell(job, machine)
        finished(job)


@job.command()
@click.argument("id")
@as_json
def cancel(id: str, machine: bool) -> None:
    """Stop the job ID; what it has done so far is whole."""
    with operations() as manager:
        _tell(manager.call("POST", "/jobs/{id}/cancel", id), machine)


def _far(job: dict[str, Any]) -> str:
    done, total = job["progress"]["done"], job["progress"]["total"]
    return f"{100 * done // total} %" if total else "-"


def _tell(job: dict[str, Any], machine: bool) -> None:
    if machine:
        write_json(job)
        return
    fields: dict[str, object] = {name: job[name] for name in ("id", "kind", "state", "by", "started", "ended", "error")}
    about = {f"about {name}": value for name, value in job["about"].items()}
    result = job["result"] if isinstance(job["result"], dict) else {}
    told = {name: len(value) if isinstance(value, list) else value for name, value in result.items()}
    write_fields(
        {**fields, "progress": _far(job), **about, **{f"result {name}": value for name, value in told.items()}}
    )
