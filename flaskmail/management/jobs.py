"""Jobs: what works in the background, how far it is, what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from flaskmail.accounts.jobtable import Job, State
from flaskmail.errors import RequestError
from flaskmail.jobs import UnknownJob
from flaskmail.management.operation import Call, Listing, Paged, Resource
from flaskmail.management.refusals import not_found

resource = Resource("jobs", "Work in the background: how far it is, and what came of it.")


class Progress(msgspec.Struct):
    """done of total; at: what is worked on."""

    done: int
    total: int
    at: str


class JobInfo(msgspec.Struct):
    """A job. about: what it works on; by: who wanted it; state: running, done, failed, cancelled, or interrupted when its process
    ended; started, ended: UTC; error: why it failed; result: what came of it, of a shape that its kind has."""

    id: str
    kind: str
    about: dict[str, Any]
    by: str
    state: State
    progress: Progress
    started: str
    ended: str | None
    error: str | None
    result: Any


class JobQuery(Paged, kw_only=True):
    """Which jobs."""

    kind: Annotated[str, msgspec.Meta(max_length=50, description="verify, backup, reindex or purge.")] = ""
    state: Annotated[Literal["", State], msgspec.Meta(description="Only those in this state.")] = ""


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def described(job: Job) -> JobInfo:
    """A job as it is told."""
    return JobInfo(
        id=job.id,
        kind=job.kind,
        about=job.about,
        by=job.by,
        state=job.state,
        progress=Progress(job.done, job.total, job.at),
        started=_date(job.started),
        ended=None if job.ended is None else _date(job.ended),
        error=job.error,
        result=job.result,
    )


def _seen(call: Call, job: Job) -> bool:
    """What a job tells may concern any account of its reach."""
    return call.access.reaches(job.about.get("domain"))


def seen(call: Call, id: str) -> bool:
    """Whether there is a job of this id for who asks."""
    try:
        _get(call, id)
    except RequestError:
        return False
    return True


def _get(call: Call, id: str) -> Job:
    try:
        job = call.server.jobs.get(id)
    except UnknownJob:
        raise not_found("job", id) from None
    if not _seen(call, job):
        raise not_found("job", id)
    return job


@resource.operation("GET", "/jobs", "job.list", permissions=("job-list",), query=JobQuery, answer=Listing[JobInfo])
def jobs(call: Call, query: JobQuery) -> Listing[JobInfo]:
    """List the jobs that run, and the last that have ended; the newest first."""
    return query.of(
        described(job)
        for job in call.server.jobs.all()
        if _seen(call, job) and query.kind in ("", job.kind) and query.state in ("", job.state)
    )


@resource.operation("GET", "/jobs/{id}", "job.get", permissions=("job-get",), answer=JobInfo)
def job(call: Call, id: str) -> JobInfo:
    """See one job."""
    return described(_get(call, id))


@resource.operation("POST", "/jobs/{id}/cancel", "job.cancel", permissions=("job-cancel",), answer=JobInfo)
def cancel(call: Call, id: str) -> JobInfo:
    """Stop a job.

    It stops within seconds, at a point where what it has done is whole; one that has ended stays as it is."""
    _get(call, id)
    return described(call.server.jobs.cancel(id))
