"""The OpenAPI document against the running server: schemathesis with all checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nameserver import name_server

from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

from .conftest import Client

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BOB = "bob@example.org"
CONFIG = """
[server]
limit-request-line = 8190
[server.http]
allowed-endpoint = "200"
[lookup.default]
hostname = "mail.example.org"
[dns]
resolver = ["RESOLVER"]
timeout = 5
[authentication]
basic = true
# Wrong passwords are tried by the hundred.
fail-rate = "1000000/1m"
[authentication.password]
# The one who asks changes his own password with hardly any of those that are made up.
min-length = 128
[storage]
backup-path = "backups"
"""
"""What the file sets cannot be changed over the API: nothing here locks the one who asks out."""

NEVER = {
    # Nothing that anybody makes up is the id of these; test_operations.py has them.
    "DELETE /api/principal/{name}/credentials/{id}",
    "GET /api/store/blobs/{hash}",
}
"""Operations of which no success is expected."""


@contextmanager
def tended(live: LiveServer) -> Iterator[Client]:
    """A client of the administrator; what the configuration of schemathesis names is there, and made again when it is deleted."""

    def let_in() -> None:
        done = live.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done

    let_in()
    admin = Client(live, basic("admin"))
    admin.data("POST", "/api/domain/example.org")
    admin.data("POST", "/api/dkim", {"domain": "example.org", "algorithm": "Ed25519", "id": "rsa-example.org"})
    # The examples of the document name them; a domain is made by one of its examples.
    admin.data("POST", "/api/principal", {"type": "individual", "name": "alice@example.org"})
    admin.data("POST", "/api/oauth/client", {"name": "Webmail", "id": "webmail"})
    over = threading.Event()

    def tend() -> None:
        while not over.is_set():
            if admin("POST", "/api/domain/example.org").status == 401:
                # One of the longest passwords was taken.
                let_in()
            admin("POST", "/api/principal", {"type": "individual", "name": BOB, "secrets": [PASSWORD]})
            over.wait(0.5)

    gardener = threading.Thread(target=tend)
    gardener.start()
    try:
        yield admin
    finally:
        over.set()
        gardener.join()


def run(live: LiveServer, folder: Path, seconds: int, *more: str) -> None:
    told, seen = Counter[int](), dict[str, Counter[int]]()
    with tended(live) as admin:
        declared = operations(admin("GET", "/api/openapi.json").json)
        made_up(live, folder / "report.ndjson", "--max-time", str(seconds), *more)
        for number in range(5):
            told += answers(folder / "report.ndjson", seen)
            blind = {
                name: seen.get(name)
                for name in declared.keys() - NEVER
                if not any(200 <= status < 300 for status in seen.get(name, ()))
            }
            if not blind or number == 4:
                break
            # What the time did not suffice for is tried alone, for as long as it takes; beside what makes and lists the things
            # that it is about, whose ids schemathesis remembers.
            paths = {path for _, path in map(str.split, blind)}
            paths |= {path.rpartition("/{")[0] for path in paths}
            only = [
                word
                for name, id in declared.items()
                if name in blind or name.split()[1] in paths
                for word in ("--include-operation-id", id)
            ]
            few = ("--phases", "examples,fuzzing", "--mode", "positive", "--max-examples", "20", "--seed", str(number))
            made_up(live, folder / "report.ndjson", *few, *only)
        # Whoever lost the password to one of the last requests is let in again shortly.
        deadline = time.monotonic() + 120
        while (status := admin("GET", "/api/whoami").status) == 401 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == 200
    assert "Traceback" not in live.log(), live.log()[-4000:]
    assert not blind
    every = sum((seen[name] for name in declared if name in seen), Counter[int]())
    assert not [status for status in every if status >= 500], every
    # Those who make up what is right do not grope in the dark.
    assert told[200] + told[202] > sum(told.values()) / 2, told


def made_up(live: LiveServer, report: Path, *more: str) -> None:
    """Asks the server whatever schemathesis makes up, which finds nothing wrong with the answers. report: where it notes them."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(HERE / "schemathesis.toml"), "run", f"http://127.0.0.1:{live.port}/api/openapi.json"),
        *("--auth", f"admin:{PASSWORD}", "--checks", "all"),
        *("--continue-on-failure", "--output-truncate", "true", "--request-timeout", "120"),
        *("--report", "ndjson", "--report-ndjson-path", str(report), *more),
    ]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    done = subprocess.run(command, cwd=report.parent, env=environment, capture_output=True, text=True, timeout=3600)
    lines = [line[:500] for line in done.stdout.splitlines() if line.strip()]
    assert done.returncode == 0, "\n".join(lines[-300:]) + done.stderr[-2000:]


def operations(document: Any) -> dict[str, str]:
    """The ids of the operations, by method and path."""
    return {
        f"{method.upper()} {path}": one["operationId"]
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    }


def answers(report: Path, seen: dict[str, Counter[int]]) -> Counter[int]:
    """Adds how often each status came back to ``seen``, by method and path. Answers the same of the requests that were to be
    right: not wrong on purpose, and not made of another one, as by leaving out its password."""
    right = Counter[int]()
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder")
            for id, interaction in (recorder or {}).get("interactions", {}).items():
                case, response = recorder["cases"][id], interaction["response"]
                if response is not None:
                    value, status = case["value"], response["status_code"]
                    seen.setdefault(f"{value['method']} {value['path']}", Counter())[status] += 1
                    if "parent_id" not in case and value["meta"]["generation"]["mode"] == "positive":
                        right[status] += 1
    return right


@contextmanager
def serving(folder: Path) -> Iterator[LiveServer]:
    (folder / "backups").mkdir()
    with (
        name_server("") as resolver,
        live_server(
            CONFIG.replace("RESOLVER", f"127.0.0.1:{resolver.address[1]}"), folder=folder, python_path=ROOT
        ) as live,
    ):
        yield live


def test_two_minutes(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        # A commit is held against the same examples each time; those of the longer test are new.
        run(live, tmp_path, 110, "--seed", "1")


@pytest.mark.long
def test_ten_minutes(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        run(live, tmp_path, 600)
