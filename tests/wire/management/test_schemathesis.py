"""The OpenAPI document against the running server: schemathesis with all checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flaskmail.testing import LiveServer, live_server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CONFIG = """
[server]
limit-request-line = 8190
"""


def run(live: LiveServer, folder: Path, seconds: int) -> None:
    made = live.cli("account", "create", "fuzz@example.org", "--password-stdin", input="correct horse battery\n")
    assert made.returncode == 0, made
    live.cli("account", "set-password", "admin", "--password-stdin", input="correct horse battery\n")
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(HERE / "schemathesis.toml"), "run", f"http://127.0.0.1:{live.port}/api/openapi.json"),
        *("--auth", "admin:correct horse battery", "--checks", "all", "--max-time", str(seconds)),
        *("--continue-on-failure", "--output-truncate", "true", "--request-timeout", "30"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds * 3 + 120)
    lines = [line[:500] for line in done.stdout.splitlines() if line.strip()]
    assert done.returncode == 0, "\n".join(lines[-300:]) + done.stderr[-2000:]
    assert "Traceback" not in live.log(), live.log()[-4000:]


def test_two_minutes(tmp_path: Path) -> None:
    with live_server(CONFIG, folder=tmp_path, python_path=ROOT) as live:
        run(live, tmp_path, 110)


@pytest.mark.long
def test_ten_minutes(tmp_path: Path) -> None:
    with live_server(CONFIG, folder=tmp_path, python_path=ROOT) as live:
        run(live, tmp_path, 600)
