"""Settings that change while real workers serve."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from workers import each_worker, wait_for_workers

from flaskmail.accounts.storedsettings import stored_settings
from flaskmail.testing import PASSWORD, LiveServer, Reply, basic, live_server

from .conftest import ROOT, START

STAMP = """
import os
from flaskmail.hookspecs import hookimpl

@hookimpl
def response_headers():
    return [("X-Pid", str(os.getpid()))]
"""

ADMIN = {"Authorization": basic("admin"), "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Two workers, which say who they are in X-Pid."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "stamp.py").write_text(STAMP)
    config = '[plugins]\npaths = ["stamp.py"]\n'
    with live_server(config, folder=folder, arguments=START, python_path=ROOT) as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        yield server


def change(live: LiveServer, headers: Mapping[str, str] | None = None, **values: Any) -> Reply:
    pairs = [[key.replace("__", ".").replace("_", "-"), value] for key, value in values.items()]
    body = json.dumps([{"type": "insert", "values": pairs}]).encode()
    return live.send("POST", "/api/settings", ADMIN | dict(headers or {}), body)


def workers(live: LiveServer, seen: Callable[[Reply], object], count: int = 2) -> dict[str, object]:
    """What each of the workers, of which there are so many, shows at its next request, by its pid."""
    wait_for_workers(live, count)
    found: dict[str, object] = {}
    for pid in each_worker(live):
        reply = live.send("GET", "/healthz/live", {}, b"")
        assert reply.header("X-Pid") == str(pid)
        found[str(pid)] = seen(reply)
    assert len(found) == count
    return found


def test_every_worker_has_a_new_header_within_a_second(live: LiveServer) -> None:
    def stamp(reply: Reply) -> str | None:
        return reply.header("X-Stamp")

    before = workers(live, stamp)
    assert set(before.values()) == {None}
    for value in ("one", "two"):
        assert change(live, server__http__headers=[f"X-Stamp: {value}"]).status == 200
        changed = time.monotonic()
        # A second is what is promised: each worker looks when it is asked, so whichever request comes after it has the new one,
        # however long it takes. And both are the same processes as before.
        time.sleep(max(0.0, changed + 1.0 - time.monotonic()))
        after = workers(live, stamp)
        assert after == dict.fromkeys(before, value)
    assert "Traceback" not in live.log()


def test_a_change_by_another_process_reaches_the_workers(live: LiveServer) -> None:
    before = workers(live, lambda reply: reply.header("Access-Control-Allow-Origin"))
    assert set(before.values()) == {None}
    with stored_settings(live.folder / "data") as stored:
        stored.change({"server.http.permissive-cors": "true"}, actor="somebody")
    time.sleep(1)
    assert workers(live, lambda reply: reply.header("Access-Control-Allow-Origin")) == dict.fromkeys(before, "*")


def test_of_two_writers_who_race_one_gets_412(live: LiveServer) -> None:
    tag = live.send("GET", "/api/settings?limit=1", ADMIN, b"").header("ETag")
    assert tag
    found: list[int] = []
    start = threading.Barrier(2)

    def write(number: int) -> None:
        start.wait()
        found.append(change(live, {"If-Match": tag}, account__quota=5000 + number).status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 412]


def test_a_killed_worker_leaves_the_old_or_the_new(live: LiveServer) -> None:
    [pid, _] = workers(live, lambda reply: None)
    done, begun = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            try:
                change(live, lookup__a__x=number, lookup__a__y=number, lookup__a__z=number)
                begun.set()
            except (OSError, http.client.HTTPException):
                # The worker that was at it is gone, perhaps in the middle of its answer.
                pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(30)
        time.sleep(0.3)
        os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.3)
    finally:
        done.set()
        thread.join()
    reply = live.send("GET", "/api/settings/keys?prefixes=lookup.", ADMIN, b"")
    found = reply.json()["data"]
    assert sorted(found) == ["lookup.a.x", "lookup.a.y", "lookup.a.z"]
    assert len(set(found.values())) == 1


def test_a_reload_of_the_file_keeps_the_workers(live: LiveServer) -> None:
    before = workers(live, lambda reply: None)
    config = live.folder / "config.toml"
    config.write_text(config.read_text() + '\n[server.http]\nheaders = ["X-Stamp: file"]\n')
    assert live.send("POST", "/api/reload", ADMIN, b"").json()["data"]["errors"] == {}
    time.sleep(1)
    assert workers(live, lambda reply: reply.header("X-Stamp")) == dict.fromkeys(before, "file")
    # What the file says now is not to be changed here any more.
    assert change(live, server__http__headers=["X-Stamp: api"]).status == 409


def test_a_reload_makes_new_workers_where_it_takes_them(live: LiveServer) -> None:
    before = workers(live, lambda reply: None)
    assert change(live, server__workers=3).status == 200
    [shown] = live.send("GET", "/api/settings?prefix=server.workers", ADMIN, b"").json()["data"]["items"]
    assert (shown["value"], shown["pending"]) == (3, "reload")
    assert live.send("POST", "/api/reload", ADMIN, b"").json()["data"]["errors"] == {}
    wait_for_workers(live, 3, gone=[int(pid) for pid in before])
    after = workers(live, lambda reply: reply.header("X-Stamp"), count=3)
    assert not set(before) & set(after)
    assert set(after.values()) == {"file"}
    [shown] = live.send("GET", "/api/settings?prefix=server.workers", ADMIN, b"").json()["data"]["items"]
    assert (shown["value"], shown["pending"]) == (3, None)


def test_stored_settings_hold_from_the_start_and_can_be_taken_out(tmp_path: Path) -> None:
    def store(**texts: str | None) -> None:
        with stored_settings(tmp_path / "data") as stored:
            stored.change({key.replace("__", "."): text for key, text in texts.items()}, actor="")

    store(server__workers="1", server__http__headers='["X-Stamp: kept"]')
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        assert server.send("GET", "/healthz/live", {}, b"").header("X-Stamp") == "kept"
        assert server.log().count("Booting worker") == 1
    store(server__gone="1")
    with (
        pytest.raises(RuntimeError, match=r"the stored settings: server\.gone: (.|\n)*flaskmail config unset"),
        live_server(folder=tmp_path, arguments=START, python_path=ROOT),
    ):
        pass
    assert server.cli("config", "unset", "server.gone").returncode == 0
    assert server.cli("config", "check").returncode == 0
