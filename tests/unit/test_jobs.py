"""Jobs: one of a kind at once in all processes; what a process leaves behind when it dies is told from what runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flaskmail import ending
from flaskmail.accounts import jobtable
from flaskmail.accounts.jobtable import Job
from flaskmail.errors import StoreError
from flaskmail.jobs import JobRunning, Jobs, UnknownJob

Tell = Callable[[int, int, str], None]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path)
    yield made
    made.close()


def until(jobs: Jobs, id: str, *states: str) -> Job:
    """The job as soon as it is in one of these states."""
    for _ in range(6000):
        job = jobs.get(id)
        if job.state in states:
            return job
        time.sleep(0.01)
    raise AssertionError(f"{job} is in none of {states}")


def forever(tell: Tell) -> None:
    while True:
        tell(1, 2, "on and on")
        time.sleep(0.01)


def test_a_job_tells_how_far_it_is_and_what_came_of_it(jobs: Jobs) -> None:
    step = threading.Semaphore(0)
    seen = threading.Event()

    def work(tell: Tell) -> dict[str, int]:
        tell(3, 7, "something")
        seen.set()
        step.acquire()
        tell(7, 7, "")
        return {"found": 7}

    begun = jobs.start("verify", work, by="ann", about={"account": "x"})
    assert (begun.state, begun.result) == ("running", None)
    assert seen.wait(60)
    job = jobs.get(begun.id)
    assert (job.done, job.total, job.at, job.by, job.about) == (3, 7, "something", "ann", {"account": "x"})
    step.release()
    job = until(jobs, begun.id, "done")
    assert (job.done, job.total, job.result, job.error) == (7, 7, {"found": 7}, None)
    assert job.ended is not None
    assert job.started <= job.ended
    assert jobs.all() == [job]
    with pytest.raises(UnknownJob):
        jobs.get("nothing")


@pytest.mark.parametrize(
    ("error", "told"), [(StoreError("the disk is full"), "the disk is full"), (ZeroDivisionError("x"), "its log")]
)
def test_a_job_that_fails_says_why(jobs: Jobs, error: Exception, told: str, caplog: pytest.LogCaptureFixture) -> None:
    def work(tell: Tell) -> None:
        raise error

    job = until(jobs, jobs.start("verify", work).id, "failed")
    assert told in (job.error or "")
    assert ("ZeroDivisionError" in caplog.text) == isinstance(error, ZeroDivisionError)
    # It stands in nobody's way.
    until(jobs, jobs.start("verify", lambda tell: 1).id, "done")


def test_one_of_a_kind_at_once(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.start("verify", forever)
    other = Jobs(tmp_path)
    for one in (jobs, other):
        with pytest.raises(JobRunning) as refused:
            one.start("verify", forever)
        assert refused.value.job == job.id
    until(other, other.start("purge", lambda tell: 1).id, "done")
    # Cancelled by another process than the one that runs it.
    other.cancel(job.id)
    assert until(other, job.id, "cancelled").error is None
    until(other, other.start("verify", lambda tell: 1).id, "done")
    other.close()
    with pytest.raises(UnknownJob):
        jobs.cancel("nothing")


def test_jobs_that_are_asked_for_at_the_same_moment(jobs: Jobs, tmp_path: Path) -> None:
    begun: list[Job] = []
    refused: list[str] = []

    def ask() -> None:
        mine = Jobs(tmp_path)
        try:
            begun.append(mine.start("verify", forever))
        except JobRunning as error:
            refused.append(error.job)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert set(refused) <= {begun[0].id, ""}
    jobs.cancel(begun[0].id)
    until(jobs, begun[0].id, "cancelled")


def test_a_process_that_ends_in_order_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flaskmail.jobs._PATIENCE", 60)
    jobs = Jobs(tmp_path)
    job = jobs.start("verify", forever)
    jobs.close()
    assert Jobs(tmp_path).get(job.id).state == "interrupted"


def test_a_worker_that_is_about_to_end_lets_go(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.start("verify", forever)
    monkeypatch.setattr(ending, "_near", True)
    assert until(jobs, job.id, "interrupted").error


RUNS = """
import sys, time
from pathlib import Path
from flaskmail.jobs import Jobs
def work(tell):
    while True:
        tell(1, 2, "on and on")
        time.sleep(0.01)
print(Jobs(Path(sys.argv[1])).start("verify", work).id, flush=True)
time.sleep(600)
"""


def test_a_job_whose_process_died_is_interrupted(jobs: Jobs, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", RUNS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    id = process.stdout.readline().strip()
    try:
        assert jobs.get(id).state == "running"
        with pytest.raises(JobRunning):
            jobs.start("verify", forever)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    job = jobs.get(id)
    assert (job.state, "has ended" in (job.error or "")) == ("interrupted", True)
    assert job.ended is not None
    assert [one.state for one in jobs.all()] == ["interrupted"]
    # Nobody has to clear up first.
    until(jobs, jobs.start("verify", lambda tell: 1).id, "done")


def test_old_jobs_go(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobtable, "KEPT", 3)
    ids = []
    for number in range(6):
        work: Any = lambda tell, number=number: number  # noqa: E731
        ids.append(jobs.start("verify", work).id)
        until(jobs, ids[-1], "done")
    # The newest is added before the old ones go.
    assert [job.result for job in jobs.all()] == [5, 4, 3, 2]
    with pytest.raises(UnknownJob):
        jobs.get(ids[0])
