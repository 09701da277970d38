"""gunicorn's workers and master write one log, which is searched and followed through any of them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flaskmail.testing import LiveServer, basic, live_server

from .conftest import START

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = """
import logging
from flask import Blueprint, request
from flaskmail.hookspecs import hookimpl

log = logging.getLogger("flaskmail.rude")
blueprint = Blueprint("rude", __name__)

@blueprint.get("/rude")
def rude():
    log.warning("said %s with %s", request.args["say"], request.headers.get("Authorization"))
    return "ok"

@blueprint.get("/broken")
def broken():
    raise ValueError("Authorization: " + request.headers["Authorization"])

@hookimpl
def register_blueprints(server):
    return [(blueprint, "")]
"""
CONFIG = """
[server]
workers = 2
log-level = "debug"
[plugins]
paths = ["rude.py"]
[metrics.prometheus]
enable = true
networks = ["loopback"]
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("logged")
    (folder / "rude.py").write_text(PLUGIN)
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input="correct horse battery\n")
        assert done.returncode == 0, done
        yield server


def logs(live: LiveServer, query: str = "") -> list[dict[str, Any]]:
    reply = live.send("GET", f"/api/logs{query}", {"Authorization": basic("admin")}, b"")
    assert reply.status == 200, reply
    items: list[dict[str, Any]] = reply.json()["data"]["items"]
    return items


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (got := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return got


def lines(live: LiveServer) -> list[bytes]:
    return [one for path in sorted((live.folder / "data/logs").iterdir()) for one in whole(path)]


def whole(path: Path) -> list[bytes]:
    """The lines of a file, less the one that is being written."""
    return path.read_bytes().rpartition(b"\n")[0].splitlines()


def test_what_gunicorn_and_its_workers_say_is_found(logged: LiveServer) -> None:
    def booted() -> bool:
        found = logs(logged, "?limit=0&event-id=gunicorn")
        assert any(one["event"].startswith("Listening at: http://127.0.0.1:") for one in found)
        return len({one["data"]["process"] for one in found if one["event"].startswith("Booting worker")}) == 2

    # One of them may still be on its way when the other serves.
    assert until(booted)


def test_each_event_is_one_line_whatever_is_in_it(logged: LiveServer) -> None:
    for number in range(20):
        said = f"n{number}%0d%0a{{%22timestamp%22:%22forged%22}}%1b[2J%e2%80%a8%7f"
        assert logged.send("GET", f"/rude?say={said}", {}, b"").status == 200
    found = logs(logged, "?event-id=rude&limit=0")
    assert len(found) == 20
    assert found[0]["event"].startswith('said n19\r\n{"timestamp":"forged"}\x1b[2J\u2028\x7f')
    assert all(0x20 <= octet < 0x7F for line in lines(logged) for octet in line)
    assert all(json.loads(line)["timestamp"] != "forged" for line in lines(logged))
    # On standard error too.
    [told] = [one for one in logged.log().split("\n") if "said n7" in one]
    assert "\\x0d\\x0a{" in told
    assert "\x1b" not in told


def test_no_secret_is_kept(logged: LiveServer) -> None:
    secret = "canary-9f8e7d6c5b4a3928"
    for header in (f"Bearer {secret}", f"Bearer fmt_{secret}", basic("alice@example.org", secret)):
        for path in (
            "/rude?say=x",
            "/broken",
            "/jmap/session",
            f"/jmap/session?access_token={secret}",
            "/.well-known/jmap",
        ):
            logged.send("GET", path, {"Authorization": header}, b"")
    logged.send("POST", "/auth/token", {"Content-Type": "application/x-www-form-urlencoded"}, f"code={secret}".encode())
    logged.send(
        "POST", "/jmap/", {"Authorization": basic("admin"), "Content-Type": "application/json"}, secret.encode()
    )
    kept = b"\n".join(lines(logged)).decode()
    assert "ValueError" in kept
    assert secret not in kept
    assert secret not in logged.log()
    assert basic("alice@example.org", secret).removeprefix("Basic ") not in kept


def test_an_error_is_found_by_the_id_that_its_answer_gave(logged: LiveServer) -> None:
    reply = logged.send("GET", "/broken", {"Authorization": "Basic x"}, b"")
    id = reply.json()["errorId"]
    [found] = logs(logged, f"?filter={id}")
    assert (found["level"], found["event_id"]) == ("ERROR", "http.error")
    assert found["data"]["errorId"] == id
    assert found["data"]["path"] == "/broken"


def test_who_is_not_let_in_is_told_with_the_address(logged: LiveServer) -> None:
    logged.send("GET", "/jmap/session", {"Authorization": basic("mallory@example.org", "guess-canary")}, b"")
    logged.send("GET", "/jmap/session", {"Authorization": basic("admin", "guess-canary")}, b"")
    found = logs(logged, "?event-id=authentication.failed")
    assert found[0]["event"] == "Somebody was not let in"
    told = {name: found[0]["data"][name] for name in ("client", "scheme", "account", "status")}
    assert told == {"client": "127.0.0.1", "scheme": "basic", "account": "admin", "status": 401}
    # A name that nobody has may be a password in the wrong field.
    assert found[1]["data"]["account"] is None
    assert "Somebody was not let in: client = 127.0.0.1, scheme = basic, account = admin, status = 401" in logged.log()
    assert "guess-canary" not in logged.log()


def open_stream(live: LiveServer, query: str = "") -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = live.connect()
    connection.request("GET", f"/api/logs/live{query}", headers={"Authorization": basic("admin")})
    response = connection.getresponse()
    assert response.status == 200
    assert response.readline() == b"retry: 3000\n"
    return connection, response


def test_the_log_is_followed_from_every_worker(logged: LiveServer) -> None:
    connection, response = open_stream(logged, "?event-id=rude&filter=stream")
    for number in range(10):
        logged.send("GET", f"/rude?say=stream{number}", {}, b"")
    seen: list[str] = []
    while len(seen) < 10:
        text = response.readline()
        assert text, "the stream has ended"
        if text.startswith(b"data: "):
            seen.append(json.loads(text[6:])["event"].split()[1])
    assert seen == [f"stream{number}" for number in range(10)]
    response.close()
    connection.close()


def test_requests_are_counted_by_all_workers_together_and_over_their_ends(logged: LiveServer) -> None:
    def count() -> int:
        text = logged.send("GET", "/metrics", {}, b"").body.decode()
        match = re.search(r'flaskmail_http_requests_total\{method="PUT",code="405"\} (\d+)', text)
        return int(match[1]) if match else 0

    def workers() -> set[int]:
        found = logs(logged, "?limit=0&filter=Booting%20worker")
        pids = {one["data"]["process"] for one in found}
        return {pid for pid in pids if os.path.exists(f"/proc/{pid}")}

    before = count()
    for _ in range(40):
        logged.send("PUT", "/robots.txt", {}, b"")
    assert count() == before + 40
    old = workers()
    assert len(old) == 2
    os.kill(min(old), signal.SIGKILL)
    assert until(lambda: len(workers() - old) == 1)
    for _ in range(20):
        logged.send("PUT", "/robots.txt", {}, b"")
    assert count() == before + 60


def test_a_server_that_stops_does_not_wait_for_those_who_follow(tmp_path: Path) -> None:
    config = "[server]\nworkers = 1\ngraceful-timeout = '1h'\n"
    with live_server(config, folder=tmp_path, arguments=START, python_path=ROOT) as live:
        live.cli("account", "set-password", "admin", "--password-stdin", input="correct horse battery\n")
        connection, response = open_stream(live)
        # Whoever waited for the stream, which lasts ten minutes, would be killed in the end.
        assert live.stop(wait=300) == 0
        # The last chunk came, else reading fails: the client knows that it is over.
        rest = response.read()
        assert not rest or rest.endswith(b"\n"), rest
        response.close()
        connection.close()


def test_a_log_that_cannot_be_written_costs_no_request(tmp_path: Path) -> None:
    (tmp_path / "nowhere").write_text("a file")
    config = '[log]\npath = "nowhere"\n'
    with live_server(config, folder=tmp_path, arguments=START, python_path=ROOT) as live:
        assert live.send("GET", "/jmap/session", {"Authorization": "Bearer x"}, b"").status == 401
        assert live.send("GET", "/healthz/ready", {}, b"").status == 200
    assert "Traceback" not in live.log()


def test_after_a_reload_each_message_is_kept_once_and_where_the_settings_say(tmp_path: Path) -> None:
    def kept(folder: str) -> list[str]:
        found = [one for path in sorted((tmp_path / folder).glob("*.log")) for one in whole(path)]
        return [json.loads(one)["event"] for one in found]

    with live_server("[server]\nworkers = 1\n", folder=tmp_path, arguments=START, python_path=ROOT) as live:
        for _ in range(2):
            live.process.send_signal(signal.SIGHUP)
            assert until(lambda: "Settings: nothing changed" in kept("data/logs"))
        assert until(lambda: kept("data/logs").count("Settings: nothing changed") == 2)
        config = (tmp_path / "config.toml").read_text()
        (tmp_path / "config.toml").write_text(config + '\n[log]\npath = "elsewhere"\n')
        live.process.send_signal(signal.SIGHUP)
        assert until(lambda: "Settings: changed: log.path" in kept("elsewhere"))
        assert "Settings: changed: log.path" not in kept("data/logs")
